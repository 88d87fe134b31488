"""Before any build: does the network fit the engine, the engine the board, and what will a bin cost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgendt.artifact import Run, read_json
from edgendt.boards import Board
from edgendt.engine.compile import DEPTHS, Compiled, compile_program
from edgendt.engine.config import Engine
from edgendt.engine.cycles import Cycles, cycles_of, cycles_per_bin, cycles_per_row, steady, tokens_of, window_of
from edgendt.engine.keys import compared, taken, ways
from edgendt.engine.reference import Network
from edgendt.errors import DoesNotFit, reading
from edgendt.host.wire import wire, words
from edgendt.metrics import summary
from edgendt.program import Program
from edgendt.synth.size import part
from edgendt.synth.smaller import Held, lacking, smaller
from edgendt.synth.usual import or_another, usual_engine

STAGE = "analytic"
TRIAL = 256  # bins looked at when a network has no last one


def program_of(run: str | Path | None, runs: Path) -> Program:
    """The Program of a run, or of a program.edt named directly. BadInput when there is none."""
    if run is not None and Path(run).is_file():
        return Program.load(run)
    return Program.load(Run.open(run, runs).stage("quantize") / "program.edt")


def largest_count(run: str | Path | None, runs: Path) -> int | None:
    """Of the inputs of a run's recording; None where that is not known."""
    if run is not None and Path(run).is_file():
        return None
    path = Run.open(run, runs).stage("quantize") / "data.json"
    with reading(str(path)):
        found = read_json(path).get("largest_count") if path.is_file() else None
        return None if found is None else int(found)


def estimate(program: Program, board: str, engine: str | None = None, largest: int | None = None) -> dict[str, Any]:
    """Cycles (exactly the RTL's), memory words, and the part's blocks, from the Program alone.

    largest: count of the recording, for the link. DoesNotFit says what to change; BadInput for a board without an
    engine.
    """
    target = Board.named(board)
    name = str(engine or usual_engine(program, target))
    target = target.running(name)
    built = Engine.named(name)
    both = ways(program, built) if program.inputs else {}
    with or_another(name, target, program):
        compiled = taken(both) if both else compile_program(program, built)
        needs = part(target, built)
    quantiles, median = (per_tokens if program.inputs else per_window if program.bins else per_bin)(compiled)
    return {
        "program": program.name,
        "board": board,
        "engine": name,
        "stage": STAGE,
        "whole_window": program.bins,
        "tokens": compiled.most if program.inputs else None,
        "lanes": built.products,
        "cycles": quantiles,
        "by_op": dict(median.by_op),
        "bound_cycles": median.bound,
        "efficiency": median.efficiency,
        "latency_us": {key: value / target.clock_mhz for key, value in quantiles.items()},
        "clock_mhz": target.clock_mhz,
        "clock_stage": target.clock_stage(name),
        "link": wire(program, target, largest),
        "image_bytes": len(compiled.image.to_bytes()),
        "memories": memories(compiled),
        "resources": needs,
        "keys": compared(both),
    }


def per_bin(compiled: Compiled) -> tuple[dict[str, float], Cycles]:
    """Quantiles of the cycles over a trial's bins, and the median bin."""
    cycles = cycles_per_bin(compiled, compiled.program.max_bins or TRIAL)
    quantiles = summary(cycles)
    return quantiles, cycles_of(compiled, cycles.index(int(quantiles["p50"])))


def per_window(compiled: Compiled) -> tuple[dict[str, float], Cycles]:
    """Cycles of a whole window, in all and from its last bin on, and the window."""
    assert compiled.program.bins is not None
    window = window_of(compiled)
    return {"window": window.total, "behind_last_bin": window_of(compiled, compiled.program.bins - 1).total}, window


def per_tokens(compiled: Compiled) -> tuple[dict[str, float], Cycles]:
    """Cycles of each token, of a window of as many as fit from its last one on, of each query, of all; that window."""
    most, window = compiled.most, tokens_of(compiled, compiled.most, 1)
    first, last, query = (cycles_per_row(compiled, most, 1)[at] for at in (0, most - 1, most))
    return {"token": first, "last_token": last, "query": query, "window": window.total}, window


def instead(program: Program, board: str, error: DoesNotFit) -> dict[str, Any]:
    """Networks like one that is too large that the board's named engines hold, window full; None where it is no NDT.

    lacking: why there is none.
    """
    target, asked = Board.named(board), Network.of(program)
    found = [] if asked is None else [_instead(one, target) for one in smaller(target, asked)]
    return {
        "program": program.name,
        "board": board,
        "error": str(error),
        "stage": STAGE,
        "channels": program.channels,
        "outputs": program.outputs,
        "smaller": None if asked is None else found,
        "lacking": None if asked is None or found else lacking(target, asked),
    }


def _instead(held: Held, board: Board) -> dict[str, Any]:
    network, cycles = held.network, steady(held.compiled).total
    clock = board.running(held.engine).clock_mhz
    return {
        "layers": network.layers,
        "d": network.d,
        "heads": network.heads,
        "ffn": network.ffn,
        "window": network.window,
        "max_bins": network.rows or None,
        "weights": network.weights,
        "engine": held.engine,
        "lanes": held.compiled.engine.products,
        "cycles": cycles,
        "clock_mhz": clock,
        "clock_stage": board.clock_stage(held.engine),
        "us": cycles / clock,
        "memories": memories(held.compiled),
        "resources": part(board, held.compiled.engine),
    }


def memories(compiled: Compiled) -> dict[str, dict[str, int]]:
    """Words used and there, by memory."""
    return {
        what: {"used": int(compiled.sizes[name]), "available": getattr(compiled.engine, depth)}
        for name, (depth, what, _) in DEPTHS.items()
    }


def render(result: Mapping[str, Any]) -> Any:
    """Tables for a terminal."""
    from rich.console import Group

    cycles, micro = result["cycles"], result["latency_us"]
    rows = [[key.replace("_", " "), f"{cycles[key]:,.0f}", f"{micro[key]:.1f}"] for key in cycles]
    bins, tokens = result["whole_window"], result["tokens"]
    unit = f"per window of {bins} bins" if bins else f"{tokens:,} tokens, as many as fit" if tokens else "per bin"
    head = f"{result['program']} fits {result['board']}, engine {result['engine']} ({result['lanes']} lanes)"
    at = f"µs at {result['clock_mhz']:g} MHz ({result['clock_stage']})"
    used = {**result["memories"], **result["resources"]}
    return Group(
        _table(head, [f"{unit} ({result['stage']})", "cycles", at], rows),
        f"bound {result['bound_cycles']:,} cycles, efficiency {result['efficiency']:.2f}; "
        f"image {result['image_bytes'] / 1000:.1f} kB",
        f"{words(result['link'])}\n",
        _table(
            "memory", ["", "used", "there"], [[k, f"{v['used']:,}", f"{v['available']:,}"] for k, v in used.items()]
        ),
        *([] if result["keys"] is None else ["", *_keys(result["keys"])]),
    )


def _keys(keys: Mapping[str, Any]) -> list[Any]:
    """Both ways of holding keys and values of tokens, for a terminal."""
    columns = ["keys and values of tokens", "kbit", "products of a token", "cycles of a token"]
    rows = []
    for name, way in keys["ways"].items():
        cycles = way["short"] or f"{way['token']:,}"
        taken = f"{name} (taken)" if name == keys["choice"] else name
        rows.append([taken, f"{way['bits'] / 1000:,.0f}", f"{way['products_per_token']:,}", cycles])
    return [_table(f"a table has room for {keys['rows']} units ({STAGE})", columns, rows)]


def render_instead(result: Mapping[str, Any]) -> Any:
    """A table for a terminal, or why there is none; None where nothing was looked for."""
    if not result["smaller"]:
        why = result["lacking"]
        return why and f"no smaller network with its channels and outputs fits, either: {why}"
    _, blocks, *_ = result["smaller"][0]["resources"]
    columns = ["layers", "d", "FFN", "W", "bins", "weights", "engine", "cycles", "MHz", "µs", blocks]
    rows = [
        [
            *(str(one[key]) for key in ("layers", "d", "ffn", "window")),
            str(one["max_bins"] or "–"),
            f"{one['weights']:,}",
            one["engine"],
            f"{one['cycles']:,}",
            f"{one['clock_mhz']:g}" + "*" * (one["clock_stage"] == "post-route"),
            f"{one['us']:.1f}",
            "{used:,} of {available:,}".format(**one["resources"][blocks]),
        ]
        for one in result["smaller"]
    ]
    kept = ", * kept post-route" * any(one["clock_stage"] == "post-route" for one in result["smaller"])
    at = f"{result['stage']}, window full, clocks assumed{kept}"
    like = "networks like {program}, {channels} -> {outputs}, that {board} holds".format(**result)
    return _table(f"{like} ({at})", columns, rows)


def _table(title: str, columns: list[str], rows: list[list[str]]) -> Any:
    from rich.table import Table

    made = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        made.add_column(column, justify="right" if index else "left")
    for row in rows:
        made.add_row(*row)
    return made
