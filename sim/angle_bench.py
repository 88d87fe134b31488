"""edt_angle: cosine and sine of every channel, of random steps, for times up to the wrap, ready in their cycle."""

import random
from typing import Any

import cocotb
from bench import case, cycles
from cocotb.clock import Clock
from cocotb.triggers import Timer

from edgendt.engine.layout import ANGLES, MEM_COS, MEM_STEP, STEP_BITS
from edgendt.ops.rotary import COS

READY = 8  # cycles from a start to the angles, and two a channel, or one
TIMES = (0, 1, 65535, 32768)


def entries(step: int, odd: int, time: int) -> tuple[int, int]:
    """(sine towards the partner, cosine) of a channel."""
    a = (step * time % 65536 + 32) // 64 % 1024
    return int(COS[(a - 256 if odd else a + 256) % 1024]), int(COS[a])


async def write(dut: Any, memory: int, words: list[int], first: int = 0) -> None:
    for address, word in enumerate(words, first):
        dut.load_en_i.value, dut.load_mem_i.value = 1, memory
        dut.load_addr_i.value, dut.load_data_i.value = address, word
        await cycles(dut, 1)
    dut.load_en_i.value = 0


@cocotb.test()
async def equals_the_reference(dut: Any) -> None:
    rng, sfus, each = random.Random(case().get("seed", 1)), case()["sfus"], 3 - case()["tables"]
    cocotb.start_soon(Clock(dut.clk_i, 10, "ns").start())
    dut.load_en_i.value = dut.start_i.value = dut.raddr_i.value = 0
    dut.rst_i.value = 1
    await cycles(dut, 2)
    dut.rst_i.value = 0
    await write(dut, MEM_COS, [int(entry) & 0xFFF for entry in COS])
    for turn in range(40):
        count = ANGLES if turn == 0 else sfus * rng.randrange(1, 20)
        channels = [(rng.choice([0, 1, 32768, rng.randrange(1, 32768)]), rng.randrange(2)) for _ in range(count)]
        words = [step | odd << STEP_BITS for step, odd in channels]
        words[-1] |= 2 << STEP_BITS
        await write(dut, MEM_STEP, words)
        await write(dut, rng.choice([0, 4, 7]), [rng.getrandbits(18) for _ in range(5)])  # another memory's words
        for _ in range(2):
            time = rng.choice([*TIMES, rng.randrange(65536)])
            dut.start_i.value, dut.time_i.value = 1, time
            await cycles(dut, 1)
            dut.start_i.value = 0
            for cycle in range(1, each * count + READY + 1):
                await Timer(1, "ns")
                assert int(dut.ok_o.value) == (cycle == each * count + READY), (cycle, count)
                await cycles(dut, cycle < each * count + READY)
            for word in range(count // sfus):
                dut.raddr_i.value = word
                await cycles(dut, 2)
                await Timer(1, "ns")
                for unit in range(sfus):
                    both = int(dut.angle_o.value) >> 24 * unit & 0xFFFFFF
                    want = entries(*channels[word * sfus + unit], time)
                    assert (both >> 12, both & 0xFFF) == tuple(entry & 0xFFF for entry in want), (word, unit, time)
