"""edt_ram in every width of a block memory, as RTL or as mapped cells: a word two cycles later, inverted when it is
written in the cycle that reads it."""

import random
from typing import Any

import cocotb
from bench import cycles
from cocotb.clock import Clock

LATENCY = 2
# Output of sim/standin/rams.sv: width, depth, write enables.
SHAPES = {
    "quarter_o": (36, 512, 4),
    "whole_o": (36, 512, 1),
    "half_o": (36, 1024, 2),
    "pair_o": (18, 1024, 1),
    "byte_o": (9, 2048, 1),
    "nibble_o": (4, 4096, 1),
    "two_o": (2, 8192, 1),
    "one_o": (1, 16384, 1),
}
NEAR = 24  # addresses that most accesses choose from, so that words are read back, and in the cycle that writes them


class Memory:
    """What edt_ram holds, part by part; None where nobody has written."""

    def __init__(self, width: int, depth: int, enables: int) -> None:
        self.depth, self.enables, self.part = depth, enables, width // enables
        self.words: dict[int, list[int | None]] = {}

    def cycle(self, we: int, waddr: int, wdata: int, raddr: int) -> list[int | None]:
        """The parts that this cycle's read gives."""
        write, read, mask = waddr % self.depth, raddr % self.depth, (1 << self.part) - 1
        old = self.words.get(read, [None] * self.enables)
        got = [
            None if code is None else code ^ (mask if write == read and we >> part & 1 else 0)
            for part, code in enumerate(old)
        ]
        word = self.words.setdefault(write, [None] * self.enables)
        for part in range(self.enables):
            if we >> part & 1:
                word[part] = wdata >> part * self.part & mask
        return got

    def agrees(self, expected: list[int | None], word: int) -> bool:
        """Whether the word holds all expected parts."""
        parts = [word >> part * self.part & (1 << self.part) - 1 for part in range(self.enables)]
        return all(code in (None, part) for code, part in zip(expected, parts, strict=True))


@cocotb.test()
async def gives_back_what_was_written(dut: Any) -> None:
    rng = random.Random(1)
    memories = {name: Memory(*shape) for name, shape in SHAPES.items()}
    near = [rng.randrange(1 << 14) for _ in range(NEAR)]
    cocotb.start_soon(Clock(dut.clk_i, 10, "ns").start())
    dut.we_i.value = 0
    await cycles(dut, 2)
    pipe: list[dict[str, list[int | None]]] = [{}] * LATENCY
    for _ in range(3000):
        for name, expected in pipe.pop().items():
            word = int(getattr(dut, name).value)
            assert memories[name].agrees(expected, word), (name, expected, f"{word:x}")
        waddr, raddr = (rng.choice(near) if rng.random() < 0.95 else rng.randrange(1 << 14) for _ in range(2))
        raddr = waddr if rng.random() < 0.2 else raddr
        access = (rng.randrange(16), waddr, rng.getrandbits(36), raddr)
        dut.we_i.value, dut.waddr_i.value, dut.wdata_i.value, dut.raddr_i.value = access
        pipe.insert(0, {name: memory.cycle(*access) for name, memory in memories.items()})
        await cycles(dut, 1)
