"""What an engine takes of a part, before any tool runs: core, link and what joins it to the host."""

from __future__ import annotations

from edgendt.boards import Board
from edgendt.engine.config import Engine
from edgendt.engine.size import BLOCKS, LOGIC, MULTIPLIER, resources
from edgendt.errors import DoesNotFit
from edgendt.synth.parse import ADVICE

LINK = {
    "ecp5": (2, 1420, 760),
    "xilinx": (1, 1420, 760),
}  # blocks: packet buffer and, at a UART, FIFO; logic; registers
# A part's cells per LUT and register of the formula, which ECP5s were fitted to. nextpnr's packing gives carry chains
# cells of their own; on AMD's parts LUTs have six inputs and delays become shift registers (yosys, docs/synth.md).
SCALE = {"ecp5": (1.06, 1.0), "xilinx": (0.63, 0.82)}


def family(board: Board) -> str:
    """Of its part, as edgendt.engine.size knows it."""
    return "xilinx" if board.zynq else "ecp5"


def cells(engine: Engine, target: str = "ecp5") -> dict[str, int]:
    """Cells by kinds of a part's tool, link and what joins it to the host included: on an ECP5 the UART top's, as
    nextpnr packs it, on AMD's parts those of edt_axi_engine, without DMA and interconnect. Within 15 %, blocks and
    multipliers exactly.
    """
    core, link, scale = resources(engine, target), LINK[target], SCALE[target]
    ram, multiplier, (logic, registers) = BLOCKS[target][0], MULTIPLIER[target], LOGIC[target]
    return {
        ram: core[ram] + link[0],
        multiplier: core[multiplier],
        logic: round(scale[0] * (core[logic] + link[1])),
        registers: round(scale[1] * (core[registers] + link[2])),
    }


def part(board: Board, engine: Engine) -> dict[str, dict[str, int]]:
    """{"used", "available"} of a board's part by kind; DoesNotFit when the part has too little of anything."""
    target = family(board)
    needed = cells(engine, target)
    logic, registers = LOGIC[target]
    there = {
        MULTIPLIER[target]: board.multipliers,
        BLOCKS[target][0]: board.rams,
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
