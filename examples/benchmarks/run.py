"""Run benchmarks, keep their rows in docs/benchmarks.json, write docs/benchmarks.md from it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import amd, cpu, cycles, firmware, projects, published, recordings, route, rtl
from benchmarks.page import KEPT, page
from edgendt.artifact import commit, read_json, write_json
from edgendt.errors import BadInput, EdgendtError
from edgendt.profile.cpu import describe

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
COMMIT = commit()  # of the code that was loaded, whatever changes while it runs
Row = dict[str, Any]


@dataclass(frozen=True)
class Benchmark:
    """run: rows, each with its `stage`; note: what the figures mean, under the title."""

    name: str
    title: str
    run: Callable[[], list[Row]]
    note: str


BENCHMARKS = (
    Benchmark("cycles", "Cycles per bin of reference networks", cycles.table, cycles.NOTE),
    Benchmark("windows", "Whole windows", cycles.windows, cycles.WINDOWS_NOTE),
    Benchmark("recordings", "Whole windows of recordings", recordings.table, recordings.NOTE),
    Benchmark("recordings-open", "A recording on an open board", recordings.on_open_boards, recordings.OPEN_NOTE),
    Benchmark("boards", "Networks of M's kind on the open boards", cycles.on_boards, cycles.BOARDS_NOTE),
    Benchmark("route", "Clock and size, every open board's own engine", route.boards, route.NOTE),
    *(
        Benchmark(f"route-{name}", f"Clock and size of `{name}`", partial(route.on_default, name), route.NOTE)
        for name in route.OTHERS
    ),
    Benchmark("amd-sizes", "Size on AMD's boards, every board's own engine", amd.sizes, amd.NOTE),
    Benchmark("cpu", "The same network on a CPU", cpu.table, cpu.NOTE),
    Benchmark("firmware", "The hls4ml firmware, emulated", firmware.table, firmware.NOTE),
    Benchmark("projects", "Projects of the hls4ml flow", projects.table, projects.NOTE),
    Benchmark("fast", "The engine's RTL, compiled", rtl.fast, rtl.FAST_NOTE),
    Benchmark("wide", "Network M on the engine of the KV260", rtl.wide, rtl.WIDE_NOTE),
    Benchmark("link", "A bin on the line", rtl.link, rtl.LINK_NOTE),
    Benchmark("load", "Loading a network", rtl.load, rtl.LOAD_NOTE),
    Benchmark("published", "Published figures beside ours", published.table, published.NOTE),
)


def chosen(names: Sequence[str]) -> list[Benchmark]:
    """The benchmarks named, all for none; ValueError for a name that there is not."""
    known = {one.name: one for one in BENCHMARKS}
    for name in names:
        if name not in known:
            raise ValueError(f"ONLY must name some of {', '.join(known)}, got {name!r}")
    return [known[name] for name in names] or list(BENCHMARKS)


def result(benchmark: Benchmark) -> dict[str, Any]:
    """What is kept of one run: its rows, and where they come from."""
    rows = benchmark.run()
    return {
        "rows": rows,
        "command": f"make bench ONLY={benchmark.name}",
        "commit": COMMIT,
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": describe(),
    }


def render(kept: dict[str, Any]) -> str:
    """docs/benchmarks.md."""
    return page([(one.title, one.note, kept[one.name]) for one in BENCHMARKS if one.name in kept])


def main(words: Sequence[str], kept: Path = KEPT, to: Path = PAGE) -> int:
    """Run the benchmarks named; each is on the page as soon as it is done. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(one.name for one in BENCHMARKS))
    parser.add_argument("--page-only", action="store_true", help="write the page from the results that are kept")
    options = parser.parse_args(words)
    try:
        for benchmark in [] if options.page_only else chosen(options.names):
            print(f"{benchmark.name}: {benchmark.title}", file=sys.stderr, flush=True)
            made = result(benchmark)
            write_json(kept, _results(kept) | {benchmark.name: made})
            to.write_text(render(_results(kept)))
    except (ValueError, EdgendtError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, ValueError | BadInput) else 1
    if options.page_only:
        to.write_text(render(_results(kept)))
    return 0


def _results(kept: Path) -> dict[str, Any]:
    return dict(read_json(kept)) if kept.exists() else {}
