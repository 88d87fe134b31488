"""edt_narrow = saturate(narrow(acc + bias) + addend), a new accumulator in every cycle or with idle ones between.

case: acc_bits; optional golden, the file of the golden vectors, whose group `narrow` must then come out as it is.
"""

import random
from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any

import cocotb
import numpy as np
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
        total = (
            (total >> shift << shift)
            + (1 << shift - 1)
            + rng.choice([-1, 0, 0, 1, *(1 << rng.randrange(shift) for _ in range(4))])
        )
    acc = max(-(1 << acc_bits - 1), min((1 << acc_bits - 1) - 1, total - bias))
    y1 = Int(rng.randrange(1, 17), 0, rng.random() < 0.6)
    y2 = Int(rng.randrange(1, 17), 0, rng.random() < 0.8)
    return acc, bias, shift, y1, rng.choice([0, -(1 << 15), (1 << 15) - 1, rng.randrange(-999, 999)]), y2


def reference(one):
    acc, bias, shift, y1, addend, y2 = one
    return int(saturate(narrow(acc + bias, shift, y1) + addend, y2))


def golden(path: str, acc_bits: int) -> Iterator[tuple[Any, int]]:
    """(item, code that must come out) of each golden number that the accumulator can hold."""
    with np.load(path, allow_pickle=False) as data:
        names = dict.fromkeys(name.rpartition("/")[0] for name in data.files if name.startswith("narrow/"))
        for name in names:
            a, shift, bits, signed, y = (data[f"{name}/{part}"].tolist() for part in "a shift bits signed y".split())
            form = Int(bits, 0, bool(signed))
            for total, code in zip(a, y, strict=True):
                if Int(acc_bits).holds(total):
                    yield (total - total // 3, total // 3, shift, form, 0, form), code


async def stream(dut, rng, items, idle, acc_bits):
    """items: (item, code that must come out), one per cycle, idle cycles between; returns how many came out."""
    cocotb.start_soon(Clock(dut.clk_i, 10, "ns").start())
    await FallingEdge(dut.clk_i)
    pipe, seen = [None] * (LATENCY + 1), 0
    for one in chain(items, repeat(None, LATENCY)):
        for beat in (*repeat(None, int(rng.random() < idle)), one):
            pipe = [beat, *pipe[:LATENCY]]
            junk = item(rng, acc_bits)
            now = [pair[0] if pair else junk for pair in pipe]
            dut.acc_i.value = now[0][0] & (1 << acc_bits) - 1
            dut.bias_i.value = now[1][2] + SHIFT_BIAS << 28 | now[1][1] & 0xFFFFFFF
            dut.y1_i.value = fmt(now[4][3])
            dut.addend_i.value = now[6][4] & 0xFFFF
            dut.y2_i.value = fmt(now[6][5])
            if pipe[LATENCY] is not None:
                given, code = pipe[LATENCY]
                assert dut.y_o.value.to_signed() == code, given
                seen += 1
            await cycles(dut, 1)
    return seen


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.5])
async def equals_the_reference(dut, idle):
    rng, acc_bits = random.Random(case().get("seed", 1)), case()["acc_bits"]
    items = (item(rng, acc_bits) for _ in range(3000))
    assert await stream(dut, rng, ((one, reference(one)) for one in items), idle, acc_bits) == 3000


@cocotb.test(skip="golden" not in case())
async def equals_the_golden_vectors(dut):
    acc_bits = case()["acc_bits"]
    assert await stream(dut, random.Random(1), golden(case()["golden"], acc_bits), 0.0, acc_bits) > 1500
