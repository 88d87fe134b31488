"""edt_mul = a * b two cycles later, a new pair in every cycle; all pairs of limits and their neighbours among them."""

import itertools
import random

import cocotb
from bench import case, cycles
from cocotb.clock import Clock

LATENCY = 2


def limits(bits):
    least, most = -(1 << bits - 1), (1 << bits - 1) - 1
    return [least, least + 1, -1, 0, 1, most - 1, most]


@cocotb.test()
async def equals_the_product(dut):
    rng = random.Random(1)
    a_bits, b_bits = case()["a_bits"], case()["b_bits"]
    pairs = list(itertools.product(limits(a_bits), limits(b_bits)))
    pairs += [
        (rng.randrange(-(1 << a_bits - 1), 1 << a_bits - 1), rng.randrange(-(1 << b_bits - 1), 1 << b_bits - 1))
        for _ in range(500)
    ]
    rng.shuffle(pairs)
    cocotb.start_soon(Clock(dut.clk_i, 10, "ns").start())
    await cycles(dut, 1)
    pipe = [None] * LATENCY
    for pair in [*pairs, *pipe]:
        expected = pipe.pop()
        if expected is not None:
            assert dut.p_o.value.to_signed() == expected[0] * expected[1], expected
        pipe.insert(0, pair)
        if pair is not None:
            dut.a_i.value, dut.b_i.value = (
                value & (1 << bits) - 1 for value, bits in zip(pair, (a_bits, b_bits), strict=True)
            )
        await cycles(dut, 1)
