"""What an engine takes of a part, before any tool runs: the core, and on an ECP5 link, UART bridge and packing too."""

from __future__ import annotations

from edgendt.boards import Board
from edgendt.engine.config import Engine
from edgendt.engine.size import BLOCKS, LOGIC, MULTIPLIER, resources
from edgendt.errors import DoesNotFit
from edgendt.synth.parse import ADVICE

LINK = {
    "DP16KD": 2,
    "TRELLIS_COMB": 1420,
    "TRELLIS_FF": 760,
}  # packet buffer and FIFO; logic as synthesised with the small engine
PACKING = 1.06  # cells after nextpnr's packing per LUT before: carry chains take cells of their own


def cells(engine: Engine) -> dict[str, int]:
    """Cells by nextpnr's kinds, which the routed ECP5 top meets within 15 % (exactly, in blocks and multipliers)."""
    core = resources(engine, "ecp5")
    return {
        "DP16KD": core["DP16KD"] + LINK["DP16KD"],
        "MULT18X18D": core["MULT18X18D"],
        "TRELLIS_COMB": round(PACKING * (core["TRELLIS_COMB"] + LINK["TRELLIS_COMB"])),
        "TRELLIS_FF": core["TRELLIS_FF"] + LINK["TRELLIS_FF"],
    }


def part(board: Board, engine: Engine) -> dict[str, dict[str, int]]:
    """{"used", "available"} of a board's part by kind; of the core alone where the board has no top of its own.

    DoesNotFit when the part has too little of anything.
    """
    family = "xilinx" if board.ecp5 is None else "ecp5"
    needed = resources(engine, family) if board.ecp5 is None else cells(engine)
    logic, registers = LOGIC[family]
    there = {
        MULTIPLIER[family]: board.multipliers,
        BLOCKS[family][0]: board.rams,
        logic: board.luts,
        registers: board.registers,
    }
    for kind, available in there.items():
        if needed[kind] > available:
            advice = ADVICE.get(kind, "choose a smaller engine, or a larger part")
            raise DoesNotFit(f"the engine needs {needed[kind]} {kind} and {board.part} has {available}", advice)
    return {kind: {"used": needed[kind], "available": available} for kind, available in there.items()}


def deviation(used: dict[str, dict[str, int]], expected: dict[str, int]) -> dict[str, float]:
    """(used - expected) / expected by kind."""
    return {kind: used.get(kind, {"used": 0})["used"] / count - 1 for kind, count in expected.items()}
