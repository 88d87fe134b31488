"""Memory blocks of the parts, and how many of them a memory takes."""

from __future__ import annotations

from dataclasses import dataclass

# Block RAM shapes (words, bits) by target; a memory takes the cheapest shape, tiled.
KBIT18 = ((16384, 1), (8192, 2), (4096, 4), (2048, 9), (1024, 18), (512, 36))
BLOCKS: dict[str, tuple[str, tuple[tuple[int, int], ...]]] = {
    "ecp5": ("DP16KD", KBIT18),
    "gowin": ("BSRAM", KBIT18),
    "ice40": ("ICESTORM_RAM", ((256, 16), (512, 8), (1024, 4), (2048, 2))),
    "xilinx": ("RAMB18", KBIT18),
}
LARGE = {"ice40": ("ICESTORM_SPRAM", 16384, 16)}  # blocks with one port: words, bits
ULTRA = ("URAM", 4096, 72)  # of AMD's parts: words, bits
# yosys weighs a block against distributed cells: (cost of a block, cost of a cell, its words, its bits)
WEIGHED = {"ecp5": (128, 4, 16, 4), "gowin": (128, 4, 16, 4), "xilinx": (129, 8, 64, 3)}


@dataclass(frozen=True)
class Memory:
    """`count` memories of `words` x `bits`. forced: into blocks, however small; ultra: into UltraRAM."""

    name: str
    count: int
    words: int
    bits: int
    forced: bool = False
    ultra: bool = False


def blocks(memory: Memory, target: str = "ecp5") -> int:
    """Block RAMs of one kind of memory; 0 where distributed memory is cheaper (shallow and wide ones)."""
    shapes = BLOCKS[target][1]
    each = min(-(-memory.words // words) * -(-memory.bits // bits) for words, bits in shapes)
    if memory.forced or target not in WEIGHED:  # it has no distributed memory
        return memory.count * each
    block, cell, words, bits = WEIGHED[target]
    cells = -(-memory.words // words) * -(-memory.bits // bits)
    return 0 if cell * cells < block * each else memory.count * each


def ultra_rams(memory: Memory) -> int:
    """UltraRAMs of one kind of memory: they have no other shape (AMD's UG901)."""
    _, words, bits = ULTRA
    return memory.count * -(-memory.words // words) * -(-memory.bits // bits)
