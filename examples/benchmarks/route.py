"""Place and route: clock, cells and time of the open boards' own engines, and of the default board's others."""

from __future__ import annotations

import os
import resource
import tempfile
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.page import KEPT
from edgendt.artifact import read_json
from edgendt.boards import DEFAULT, Board, known
from edgendt.engine.compile import compile_program
from edgendt.engine.config import Engine
from edgendt.engine.cycles import steady
from edgendt.engine.image import engine_id
from edgendt.engine.reference import DEFAULT as PLAIN
from edgendt.engine.reference import TINY, S
from edgendt.errors import BadInput, DoesNotFit
from edgendt.synth.engine import route

OTHERS = ("full", "streaming", "window", "tokens")  # engines of the default board beside its own
NOTE = """yosys, nextpnr and the part's packer, one after the other, on one core; seeds 1 to `SEEDS` (1 when not set).
Cells and clock of nextpnr's report; asked: what the PLL makes; id: of the engine's parameters, as a board tells it.
Cycles (analytic) of the largest reference network that the engine holds, and µs at the lower one of both clocks.
Seconds hold whatever else the computer did. Notes: what `synth.json` says of the way there."""


def seeds() -> range:
    """1 to $SEEDS; BadInput when that is no count."""
    text = os.environ.get("SEEDS") or "1"
    if not text.isdecimal() or int(text) < 1:
        raise BadInput(f"SEEDS must be a count of at least 1, got {text!r}")
    return range(1, int(text) + 1)


def boards() -> list[dict[str, Any]]:
    """Every open board with its own engine."""
    targets = [board for board in map(Board.named, known()) if board.open]
    return [_row(board, board.engine, seed) for board in targets for seed in seeds()]


def on_default(engine: str) -> list[dict[str, Any]]:
    """One of `OTHERS` on the default board."""
    return [_row(Board.named(DEFAULT), engine, seed) for seed in seeds()]


def reached() -> float:
    """MHz of `full` on the default board: what its best seed reaches, at most what the PLL makes of the rows kept;
    BadInput if none is of today's."""
    wanted = id_of(Engine.named("full"))
    rows = [row for row in read_json(KEPT)["route-full"]["rows"] if row.get("id") == wanted]
    clocks = [min(row["fmax MHz"], row["asked MHz"]) for row in rows]
    if not clocks:
        raise BadInput(f"{KEPT.name} has no clock of `full` as it is ({wanted}): run make bench ONLY=route-full first")
    return float(max(clocks))


def id_of(engine: Engine) -> str:
    """Of its parameters, as a board tells it."""
    return f"{engine_id(engine.parameters()):08x}"


def _row(board: Board, name: str, seed: int) -> dict[str, Any]:
    board = board.running(name)
    wall, own = perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    with tempfile.TemporaryDirectory() as folder:
        made = route(board, Engine.named(name), Path(folder), seed=seed, judged=False)
    network, cycles = _bin(Engine.named(name))
    fmax = made["fmax_mhz"] and round(made["fmax_mhz"], 1)
    clock = min(fmax, made["clock_mhz"]) if fmax else None
    return {
        "board": board.name,
        "engine": f"`{name}`",
        "id": id_of(Engine.named(name)),
        "seed": seed,
        "fmax MHz": fmax,
        "asked MHz": made["clock_mhz"],
        "network": network,
        "cycles": cycles,
        "µs": clock and round(cycles / clock, 1),
        "cells": ", ".join(f"{made['resources'][kind]['used']:,} {kind}" for kind in made["estimate"]),
        "wall s": round(perf_counter() - wall),
        "user s": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - own),
        "notes": "; ".join(made["notes"]),
        "stage": "post-route, analytic cycles",
    }


def _bin(engine: Engine) -> tuple[str, int]:
    """The largest reference network that the engine holds, and the cycles of its bin with the window full."""
    for network in (S, PLAIN, TINY):
        with suppress(DoesNotFit):
            return network.name, steady(compile_program(network.program(), engine)).total
    raise AssertionError("every engine holds the smallest network")
