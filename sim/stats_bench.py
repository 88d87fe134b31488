"""edt_stats: sums of a residual vector written with idle cycles between, then shift and reciprocal root."""

import random

import cocotb
from bench import case, cycles
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from edgendt.fixed import Int
from edgendt.ops.layernorm import RSQRT, eps_code


def vector(rng):
    """Codes of one residual vector: constant, at the limits, or spread."""
    size, kind = rng.randrange(1, 257), rng.randrange(4)
    if kind == 0:
        return [rng.choice([0, 1, -32768, 32767])] * size
    if kind == 1:
        return [rng.choice([-32768, 32767]) for _ in range(size)]
    reach = 1 << rng.randrange(1, 16)
    return [rng.randrange(-reach, reach) for _ in range(size)]


def reference(codes, eps):
    """(S1, shift, root)"""
    s1 = sum(codes)
    v = len(codes) * sum(code * code for code in codes) - s1 * s1 + eps
    length = v.bit_length() + v.bit_length() % 2
    index = v >> length - 10 if length >= 10 else v << 10 - length
    return s1, 3 + (length - 2) // 2, int(RSQRT[index])


async def write(dut, rng, codes, pipes, idle):
    """The vector, a word of `pipes` codes at a time; what lies behind its end is junk."""
    words = -(-len(codes) // pipes)
    padded = codes + [rng.randrange(-32768, 32768) for _ in range(words * pipes - len(codes))]
    for word in range(words):
        while rng.random() < idle:
            dut.valid_i.value = 0
            await cycles(dut, 1)
        part = padded[word * pipes : (word + 1) * pipes]
        dut.valid_i.value, dut.first_i.value, dut.last_i.value = 1, word == 0, word == words - 1
        dut.last_mask_i.value = (len(codes) - 1) % pipes + 1
        dut.word_i.value = sum((code & 0xFFFF) << 16 * p for p, code in enumerate(part))
        await cycles(dut, 1)
    dut.valid_i.value = 0


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.4])
async def equals_the_reference(dut, idle):
    rng, pipes = random.Random(case().get("seed", 1)), case()["pipes"]
    cocotb.start_soon(Clock(dut.clk_i, 10, "ns").start())
    for name in ("clear_i", "valid_i", "first_i", "last_i", "start_i", "table_i"):
        getattr(dut, name).value = 0
    dut.rst_i.value = 1
    await cycles(dut, 2)
    dut.rst_i.value = 0
    for _ in range(60):
        codes = vector(rng)
        eps = rng.choice([1, eps_code(len(codes), Int(16, rng.randrange(0, 14)))])
        dut.clear_i.value = 1
        await cycles(dut, 1)
        dut.clear_i.value = 0
        await write(dut, rng, codes, pipes, idle)
        waited = 1
        while not int(dut.ok_o.value):
            await cycles(dut, 1)
            waited += 1
        assert waited == 3 + (pipes - 1).bit_length(), "ok_o comes 3 + log2(P) cycles after the last word"
        dut.size_i.value, dut.eps_i.value, dut.start_i.value = len(codes), eps, 1
        await cycles(dut, 1)
        dut.start_i.value = 0
        index = []
        for _ in range(15):
            index.append(int(dut.index_o.value))
            if len(index) >= 3:
                dut.table_i.value = int(RSQRT[index[-3]])  # the table answers two cycles later
            await cycles(dut, 1)
        got = dut.sum_o.value.to_signed(), int(dut.shift_o.value), int(dut.root_o.value)
        assert got == reference(codes, eps), (len(codes), eps)
    await FallingEdge(dut.clk_i)
