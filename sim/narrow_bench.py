"""edt_narrow = saturate(narrow(acc + bias) + addend), a new accumulator in every cycle or with idle ones between."""

import random

import cocotb
from bench import case, cycles
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from edgendt.engine.layout import SHIFT_BIAS, fmt
from edgendt.fixed import Int, narrow, saturate

LATENCY = 8


def item(rng, acc_bits):
    """One accumulator with its operands; half of the sums lie on a tie or beside one."""
    shift = rng.randrange(-16, 32)
    bias = rng.randrange(-(1 << acc_bits - 2), 1 << acc_bits - 2)
    total = rng.randrange(-(1 << rng.randrange(1, acc_bits)), 1 << rng.randrange(1, acc_bits))
    if 0 < shift < acc_bits - 2 and rng.random() < 0.5:
        total = (total >> shift << shift) + (1 << shift - 1) + rng.choice([-1, 0, 0, 1, 1 << rng.randrange(shift)])
    acc = max(-(1 << acc_bits - 1), min((1 << acc_bits - 1) - 1, total - bias))
    y1 = Int(rng.randrange(1, 17), 0, rng.random() < 0.6)
    y2 = Int(rng.randrange(1, 17), 0, rng.random() < 0.8)
    return acc, bias, shift, y1, rng.choice([0, -(1 << 15), (1 << 15) - 1, rng.randrange(-999, 999)]), y2


def reference(one):
    acc, bias, shift, y1, addend, y2 = one
    return int(saturate(narrow(acc + bias, shift, y1) + addend, y2))


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.5])
async def equals_the_reference(dut, idle):
    rng = random.Random(case().get("seed", 1))
    acc_bits = case()["acc_bits"]
    cocotb.start_soon(Clock(dut.clk_i, 10, "ns").start())
    await FallingEdge(dut.clk_i)
    pipe = [None] * (LATENCY + 1)
    seen = 0
    while seen < 3000:
        pipe = [None if rng.random() < idle else item(rng, acc_bits), *pipe[:LATENCY]]
        junk = item(rng, acc_bits)
        now = [one or junk for one in pipe]
        dut.acc_i.value = now[0][0] & (1 << acc_bits) - 1
        dut.bias_i.value = now[1][2] + SHIFT_BIAS << 28 | now[1][1] & 0xFFFFFFF
        dut.y1_i.value = fmt(now[4][3])
        dut.addend_i.value = now[6][4] & 0xFFFF
        dut.y2_i.value = fmt(now[6][5])
        if pipe[LATENCY] is not None:
            assert dut.y_o.value.to_signed() == reference(pipe[LATENCY]), pipe[LATENCY]
            seen += 1
        await cycles(dut, 1)
