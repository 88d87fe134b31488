"""AMD's boards: what their own engine takes of the part as yosys synthesises it, beside the formula."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import amd_cells

from benchmarks.route import id_of
from edgendt.boards import Board, known
from edgendt.engine.config import Engine
from edgendt.synth import vivado
from edgendt.synth.size import part

NOTE = """The engine of each board's Vivado project (DMA, interconnect and processor come on top), synthesised with
yosys' `synth_xilinx` for series 7 or UltraScale+, in two pieces, since `kria-wide` in one is too large for yosys' 4 GB:
the rest, in which segments are black boxes, and the segment in the middle; in all = rest + segments × segment. A small
engine so counted takes the blocks and multipliers that it takes in one flat piece, LUTs within 5 % and FFs within 10
(`tests/test_synth_real.py`): in one piece segments share what is equal in them. RAMB18: a RAMB36 is two. LUT: memory,
shift registers and inverters included. FF: on UltraScale+ yosys leaves those of the multipliers outside them.
Estimated: by the formula (docs/synth.md, Size). The boards' clocks are assumed: nothing was placed or timed."""
Pieces = tuple[Counter[str], Counter[str]]


def sizes() -> list[dict[str, Any]]:
    """Every board with a Zynq and an engine of its own; a row for every kind of its part's cells."""
    made: dict[tuple[str, str], Pieces] = {}  # boards may share family and engine
    rows = []
    for board in (board for board in map(Board.named, known()) if board.zynq and board.engine):
        key = amd_cells.family(board), str(board.engine)
        made[key] = made.get(key) or pieces(board, Engine.named(key[1]))
        rows += _rows(board, key[1], *made[key])
    return rows


def pieces(board: Board, engine: Engine) -> Pieces:
    """What all but the segments take, and what one takes."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        vivado.write_project(board, engine, folder)
        return amd_cells.rest(board, engine, folder), amd_cells.segment(board, engine, folder, engine.segments // 2)


def _rows(board: Board, name: str, rest: Counter[str], segment: Counter[str]) -> list[dict[str, Any]]:
    engine = Engine.named(name)
    kinds = part(board, engine)
    taken = {kind: rest[kind] + engine.segments * segment[kind] for kind in kinds}
    return [
        {
            "board": board.name,
            "part": board.part,
            "engine": f"`{name}`",
            "id": id_of(engine),
            "kind": kind,
            "rest": rest[kind],
            "segments": engine.segments,
            "segment": segment[kind],
            "in all": taken[kind],
            "estimated": count["used"],
            "of": count["available"],
            "share": round(taken[kind] / count["available"], 3),
            "stage": "post-synthesis",
        }
        for kind, count in kinds.items()
    ]
