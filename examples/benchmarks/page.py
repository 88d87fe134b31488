"""docs/benchmarks.md from the kept results: one table each, its columns those of its rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

KEPT = Path(__file__).parent.parent.parent / "docs" / "benchmarks.json"

HEAD = """# Benchmarks

Made by `make bench`, one section by `make bench ONLY=name`; `docs/benchmarks.json` holds the figures. Every row has
its stage; stages are not ranked against each other. *analytic*: computed from the network and the engine;
*simulated*: counted by the RTL; *emulated*: a board's whole RTL in simulation, whose times say how fast the
simulation is; *measured*: on the computer named; *post-synthesis*: counted by yosys; *post-route*: of nextpnr. S
and M: the reference networks of `edgendt/engine/reference.py`, 137 → 182, d 128, 4 layers, W 64 and 182 → 182, d 182,
4 layers, W 180.
"""


def page(sections: Iterable[tuple[str, str, dict[str, Any]]]) -> str:
    """sections: title, note and result of each benchmark."""
    return HEAD + "".join(_section(*section) for section in sections)


def _section(title: str, note: str, result: dict[str, Any]) -> str:
    source = f"`{result['command']}`, commit {result['commit']}, {result['date']}, {result['cpu']}"
    return f"\n## {title}\n\n{note}\n\n{source}.\n\n{_table(result['rows'])}\n"


def _table(rows: Sequence[dict[str, Any]]) -> str:
    columns = sorted(dict.fromkeys(column for row in rows for column in row), key=lambda column: column == "stage")
    lines = [columns, ["---"] * len(columns), *([_cell(row.get(column)) for column in columns] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 1000 else f"{value:,.4g}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
