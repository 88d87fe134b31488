"""edt_reg: what went in, from the next edge on and no earlier."""

import random

import cocotb
from bench import case, cycles
from cocotb.clock import Clock
from cocotb.triggers import Timer


@cocotb.test()
async def equals_what_went_in(dut):
    rng, width = random.Random(1), case()["width"]
    cocotb.start_soon(Clock(dut.clk_i, 10, "ns").start())
    dut.d_i.value = held = 0
    await cycles(dut, 1)
    for word in [(1 << width) - 1, 0, *(rng.getrandbits(width) for _ in range(100))]:
        dut.d_i.value = word
        await Timer(1, "ns")
        assert int(dut.q_o.value) == held, "it changed before the edge"
        await cycles(dut, 1)
        assert int(dut.q_o.value) == word
        held = word
