"""What an engine takes of a part, before any tool runs: core, link and what joins it to the host."""

from __future__ import annotations

from edgendt.blocks import BLOCKS, LARGE, ULTRA, Memory, blocks
from edgendt.boards import Board
from edgendt.engine.config import Engine
from edgendt.engine.size import LOGIC, MULTIPLIER, resources
from edgendt.errors import DoesNotFit
from edgendt.synth.parse import ADVICE

BUFFER, FIFO = Memory("packet", 1, 2048, 8), Memory("fifo", 1, 2048, 9)
LINK = (1240, 630)  # LUTs, registers, as synthesised with the small engine
HOST = (180, 130)  # UART, or AXI registers
LARGE_THERE = {"ice40": {LARGE["ice40"][0]: 4}}  # of every part of the family that has any
SCALE = {  # a part's cells per LUT and register of the formula, which was fitted to ECP5s before packing
    "ecp5": (1.06, 1.05),  # carry chains take cells of their own, segments keep registers of their own
    "gowin": (1.15, 1.24),  # distributed memory takes the registers of its place, too
    "ice40": (1.22, 1.0),  # a cell holds a LUT and a register, where they belong together
    "xilinx": (0.63, 0.82),  # LUTs have six inputs, delays become shift registers (yosys, docs/synth.md)
}


def cells(engine: Engine, family: str = "ecp5", host: bool = True) -> dict[str, int]:
    """Cells by kinds of a part's tool: within 15 %, blocks and multipliers exactly.

    With open tools those of the UART top as nextpnr packs it, or without `host` of the core with its streams; on AMD's
    parts those of edt_axi_engine as yosys counts them, without DMA and interconnect.
    """
    found, ram, multiplier = resources(engine, family), BLOCKS[family][0], MULTIPLIER[family]
    found[ram] += blocks(BUFFER, family) + (host and family != "xilinx") * blocks(FIFO, family)
    if family == "gowin" and not engine.packed and not engine.serial:  # a lane's 9 x 9 is a half
        found["MULT9X9"] = engine.products
        found[multiplier] -= engine.products
    core = dict(found)
    for kind, link, ends, scale in reversed(list(zip(LOGIC[family], LINK, HOST, SCALE[family], strict=True))):
        found[kind] = round(scale * (core[kind] + link + host * ends))
    return found


def part(board: Board, engine: Engine) -> dict[str, dict[str, int]]:
    """{"used", "available"} of a board's part by kind; DoesNotFit when the part has too little of anything."""
    family = board.family
    needed = cells(engine, family, board.hosted)
    logic, registers = LOGIC[family]
    there = {
        MULTIPLIER[family]: board.multipliers,
        BLOCKS[family][0]: board.rams,
        logic: board.luts,
        registers: board.registers,
        **LARGE_THERE.get(family, {}),
        **({ULTRA[0]: board.ultra_rams} if engine.ultra else {}),
    }
    for kind, available in there.items():
        if needed[kind] > available:
            advice = ADVICE.get(kind, "choose a smaller engine (a FILE.toml), or a larger part")
            raise DoesNotFit(f"the engine needs {needed[kind]} {kind} and {board.part} has {available}", advice)
    return {kind: {"used": needed[kind], "available": available} for kind, available in there.items()}


def fits(board: Board, engine: Engine) -> bool:
    """The board's part has enough of everything."""
    try:
        part(board, engine)
    except DoesNotFit:
        return False
    return True


def deviation(used: dict[str, dict[str, int]], expected: dict[str, int]) -> dict[str, float]:
    """(used - expected) / expected by kind."""
    return {kind: used.get(kind, {"used": 0})["used"] / count - 1 for kind, count in expected.items()}
