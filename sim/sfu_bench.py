"""edt_sfu: norm, exponential and division beats in any order, a new one in every cycle or with idle ones between."""

import random
from dataclasses import dataclass

import cocotb
from bench import case, cycles
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from edgendt.engine.layout import fmt
from edgendt.fixed import Int, narrow, rne
from edgendt.ops.attention import EXP

NORM, EXPONENTIAL, VALUE = 0, 1, 2
ACC, DEPTH = 24, 21
# Exponent addresses whose entry lies half-way between two exponentials.
TIES = [i + 256 * k for i in range(256) for k in range(16) if EXP[i] % (1 << 8 + k) == 1 << 7 + k]
SIZE, SUM, NORM_SHIFT = 37, -12345, 14  # of the LayerNorm in progress: the same for all its beats


@dataclass(frozen=True)
class Beat:
    """One element and its operands, `max` for exponentials, gamma and beta for norms."""

    op: int
    x: int
    max: int
    factor: int
    shift: int
    gamma: int
    beta: int
    y: Int


def beat(rng):
    """A random beat whose intermediate values lie on ties and limits now and then."""
    op, factor, y = rng.randrange(3), rng.randrange(1, 1 << 15), Int(8, 0, rng.random() < 0.9)
    gamma, beta = rng.choice([-128, 127, rng.randrange(-128, 128)]), rng.randrange(-(1 << 23), 1 << 23)
    if op == NORM:
        return Beat(op, rng.choice([-2048, 2047, rng.randrange(-2048, 2048)]), 0, factor, 16, gamma, beta, y)
    if op == EXPONENTIAL:
        top = rng.randrange(-(1 << 20), 1 << 20)
        if rng.random() < 0.3:
            return Beat(op, top - rng.choice(TIES), top, 1, 0, gamma, beta, y)
        below = rng.choice([0, 1, rng.randrange(1 << rng.randrange(1, 21))])
        return Beat(op, top - below, top, factor, rng.randrange(0, 30), gamma, beta, y)
    x = rng.choice([-(1 << 23), (1 << 23) - 1, rng.randrange(-(1 << 15), 1 << 15), 1 << rng.randrange(23)])
    return Beat(op, x, 0, rng.choice([factor, 1 << 14]), rng.randrange(12, 44), gamma, beta, y)


def exponential(one):
    u = (one.max - one.x) * one.factor >> one.shift
    return 0 if u >= 4096 else int(rne(EXP[u & 255], 8 + (u >> 8)))


def reference(one):
    if one.op == EXPONENTIAL:
        return exponential(one)
    if one.op == VALUE:
        return int(narrow(one.x * one.factor, one.shift, one.y))
    t = int(rne((SIZE * one.x - SUM) * one.factor, one.shift))
    t = max(-(1 << 17), min((1 << 17) - 1, t))
    return int(narrow(t * one.gamma + one.beta, NORM_SHIFT, one.y))


async def load_table(dut):
    for address, entry in enumerate(EXP):
        dut.load_en_i.value, dut.load_addr_i.value, dut.load_data_i.value = 1, address, int(entry)
        await cycles(dut, 1)
    dut.load_en_i.value = 0


def drive(dut, at):
    """Operands of the beat that is in each stage."""
    dut.x2_i.value = at[2].x & (1 << ACC) - 1
    dut.op5_i.value, dut.max5_i.value = at[5].op, at[5].max & (1 << ACC) - 1
    dut.factor6_i.value = at[6].factor
    dut.shift9_i.value, dut.floor9_i.value = at[9].shift, at[9].op == EXPONENTIAL
    limits = {NORM: ((1 << 17) - 1, -(1 << 17)), EXPONENTIAL: (4096, 0)}.get(at[11].op, (at[11].y.hi, at[11].y.lo))
    dut.hi11_i.value, dut.lo11_i.value = (limit & (1 << 18) - 1 for limit in limits)
    dut.gb13_i.value = (at[13].gamma & 0xFF) << 24 | at[13].beta & 0xFFFFFF
    dut.y18_i.value = fmt(at[18].y)
    dut.op20_i.value = at[20].op


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.5])
async def equals_the_reference(dut, idle):
    rng = random.Random(case().get("seed", 1))
    cocotb.start_soon(Clock(dut.clk_i, 10, "ns").start())
    dut.size_i.value, dut.sum5_i.value, dut.shift16_i.value = SIZE, SUM & (1 << 25) - 1, NORM_SHIFT
    await FallingEdge(dut.clk_i)
    await load_table(dut)
    stages = [None] * DEPTH
    seen = 0
    while seen < 2500:
        stages = [None if rng.random() < idle else beat(rng), *stages[:-1]]
        junk = beat(rng)
        drive(dut, [one or junk for one in stages])
        # A step to the middle of the cycle lets the last stage's multiplexer follow its select.
        await cocotb.triggers.Timer(1, "ns")
        if stages[17] is not None and stages[17].op == EXPONENTIAL:
            assert int(dut.exp17_o.value) == exponential(stages[17]), stages[17]
        if stages[20] is not None:
            assert dut.y20_o.value.to_signed() == reference(stages[20]), stages[20]
            seen += 1
        await cycles(dut, 1)
