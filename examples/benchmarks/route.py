"""Place and route: clock, cells and time of the open boards' own engines, and of `full`."""

from __future__ import annotations

import os
import resource
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.page import KEPT
from edgendt.artifact import read_json
from edgendt.boards import DEFAULT, Board, known
from edgendt.engine.config import Engine
from edgendt.errors import BadInput, ToolFailed
from edgendt.synth import parse
from edgendt.synth.engine import route
from edgendt.synth.project import FAMILIES
from edgendt.synth.size import cells

NOTE = """yosys, nextpnr and the part's packer, one after the other, on one core; seeds 1 to `SEEDS` (1 when not set).
Cells and clock of nextpnr's report; asked: what the PLL makes. Seconds hold whatever else the computer did."""


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


def full() -> list[dict[str, Any]]:
    """`full` on the default board."""
    return [_row(Board.named(DEFAULT), "full", seed) for seed in seeds()]


def reached() -> float:
    """MHz that `full` reaches on the default board: the best seed of the rows kept."""
    return float(max(row["fmax MHz"] for row in read_json(KEPT)["route-full"]["rows"]))


def _row(board: Board, name: str, seed: int) -> dict[str, Any]:
    wall, own = perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    with tempfile.TemporaryDirectory() as folder:
        try:
            asked = route(board, Engine.named(name), Path(folder), seed=seed)["clock_mhz"]
        except ToolFailed as error:
            if error.command != "timing":  # a missed clock is a result
                raise
            asked = board.clock_mhz
        report = read_json(Path(folder) / "route.json")
    used, kinds = parse.resources(report), cells(Engine.named(name), board.family)
    return {
        "board": board.name,
        "engine": f"`{name}`",
        "seed": seed,
        "fmax MHz": round(parse.clock(report)[1], 1) if FAMILIES[board.family].timed else None,
        "asked MHz": asked,
        "cells": ", ".join(f"{used[kind]['used']:,} {kind}" for kind in kinds),
        "wall s": round(perf_counter() - wall),
        "user s": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - own),
        "stage": "post-route",
    }
