"""edt_sfu: beats of all four kinds in any order, a new one in every cycle or with idle ones between."""

import random
from dataclasses import dataclass

import cocotb
from bench import case, cycles
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge
from control import EXPONENTIAL, NORM, TURN, VALUE

from edgendt.engine.layout import fmt
from edgendt.fixed import Int, narrow, rne
from edgendt.ops.attention import EXP

ACC, DEPTH = 24, 21
# Exponent addresses whose entry lies half-way between two exponentials.
TIES = [i + 256 * k for i in range(256) for k in range(16) if EXP[i] % (1 << 8 + k) == 1 << 7 + k]
SIZE, SUM, NORM_SHIFT = 37, -12345, 14  # of the LayerNorm in progress: the same for all its beats
T_SHIFT, T_LIMIT = 16, 1 << 17


@dataclass(frozen=True)
class Beat:
    """One element and its operands, `max` for exponentials, gamma and beta for norms, partner and angle for turns."""

    op: int
    x: int
    max: int
    factor: int
    shift: int
    gamma: int
    beta: int
    y: Int
    partner: int = 0
    cos: int = 0
    sin: int = 0
    key: bool = True  # of an exponential: not beyond the keys


def beat(rng):
    """A random beat whose intermediate values lie on ties and limits now and then."""
    return (norm, exponent, value, turn)[rng.randrange(4)](rng)


def norm(rng):
    """A LayerNorm beat: anything, a tie of t whose side decides the result, or a tie of t * gamma + beta."""
    x, factor, y = rng.choice([-2048, 2047, rng.randrange(-2048, 2048)]), rng.randrange(1, 1 << 15), y8(rng)
    gamma, beta = rng.choice([-128, 127, rng.randrange(-128, 128)]), rng.randrange(-(1 << 23), 1 << 23)
    kind = rng.randrange(3)
    if kind == 1:  # SIZE * x - SUM is an odd multiple of what the factor leaves of half a step
        twos = rng.randrange(5, 15)
        factor = rng.randrange(1, 1 << 15 - twos, 2) << twos
        modulus = 1 << T_SHIFT - twos
        x = (modulus // 2 + SUM) * pow(SIZE, -1, modulus) % modulus + rng.randrange(
            -2048 // modulus, 2048 // modulus
        ) * modulus
        gamma = rng.choice([-2, 2])
    if kind:
        t = centred(x, factor)
        code = rng.randrange(y.lo, y.hi)
        beta = (2 * code + 1 << NORM_SHIFT - 1) - t * gamma
        if kind == 1:  # between the tie and what a t rounded the other way would give
            exact = (SIZE * x - SUM) * factor
            beta += gamma // 2 if (t << T_SHIFT) > exact else -gamma // 2
        if not -(1 << 23) <= beta < 1 << 23:
            return norm(rng)
    return Beat(NORM, x, 0, factor, T_SHIFT, gamma, beta, y)


def exponent(rng):
    """An exponential beat: anything, or a tie between two exponentials."""
    top = rng.randrange(-(1 << 20), 1 << 20)
    key = rng.random() < 0.9
    if rng.random() < 0.3:
        return Beat(EXPONENTIAL, top - rng.choice(TIES), top, 1, 0, 0, 0, y8(rng), key=key)
    below = rng.choice([0, 1, rng.randrange(1 << rng.randrange(1, 21))])
    return Beat(EXPONENTIAL, top - below, top, rng.randrange(1, 1 << 15), rng.randrange(0, 30), 0, 0, y8(rng), key=key)


def value(rng):
    """A division beat: anything, or a tie."""
    x = rng.choice([-(1 << 23), (1 << 23) - 1, rng.randrange(-(1 << 15), 1 << 15), 1 << rng.randrange(23)])
    if rng.random() < 0.5:
        return Beat(VALUE, x, 0, rng.randrange(1, 1 << 15), rng.randrange(12, 44), 0, 0, y8(rng))
    twos, odd = rng.randrange(16), 2 * rng.randrange(-100, 100) + 1
    return Beat(VALUE, odd << twos, 0, 1 << 14, twos + 15, 0, 0, y8(rng))


def turn(rng):
    """A turning beat: anything, or a tie (all but the last place of the sum is even)."""
    x, partner = (rng.choice([-1024, 1023, rng.randrange(-1024, 1024), rng.randrange(-128, 128)]) for _ in range(2))
    cos, sin = (rng.choice([-1024, 0, 1024, rng.randrange(-1024, 1025)]) for _ in range(2))
    total = x * cos + partner * sin
    tie = (total & -total).bit_length()  # the shift that leaves half a step
    return Beat(TURN, x, 0, 1, rng.choice([tie, rng.randrange(0, 16)]), 0, 0, y8(rng), partner, cos, sin)


def y8(rng):
    """A format of results."""
    return Int(8, 0, rng.random() < 0.9)


def centred(x, factor):
    """t of a LayerNorm beat."""
    return max(-T_LIMIT, min(T_LIMIT - 1, int(rne((SIZE * x - SUM) * factor, T_SHIFT))))


def exponential(one):
    u = (one.max - one.x) * one.factor >> one.shift
    return 0 if u >= 4096 else int(rne(EXP[u & 255], 8 + (u >> 8)))


def reference(one):
    if one.op == EXPONENTIAL:
        return exponential(one)
    if one.op == VALUE:
        return int(narrow(one.x * one.factor, one.shift, one.y))
    if one.op == TURN:
        return int(narrow(one.x * one.cos + one.partner * one.sin, one.shift, one.y))
    return int(narrow(centred(one.x, one.factor) * one.gamma + one.beta, NORM_SHIFT, one.y))


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
    limits = {NORM: (T_LIMIT - 1, -T_LIMIT), EXPONENTIAL: (4096, 0)}.get(at[11].op, (at[11].y.hi, at[11].y.lo))
    dut.hi11_i.value, dut.lo11_i.value = (limit & (1 << 18) - 1 for limit in limits)
    dut.gb13_i.value = (at[13].gamma & 0xFF) << 24 | at[13].beta & 0xFFFFFF
    dut.y18_i.value = fmt(at[18].y)
    dut.op17_i.value, dut.key17_i.value = at[17].op, at[17].key
    dut.turn6_i.value, dut.turn8_i.value = at[6].op == TURN, at[8].op == TURN
    dut.partner2_i.value = at[2].partner & 0x7FF
    dut.angle6_i.value = (at[6].sin & 0xFFF) << 12 | at[6].cos & 0xFFF


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
        if stages[17] is not None and stages[17].op == EXPONENTIAL:
            assert int(dut.exp17_o.value) == exponential(stages[17]), stages[17]
        if stages[19] is not None and stages[19].op != NORM:
            expected = reference(stages[19]) if stages[19].key else 0
            assert int(dut.other19_o.value) == expected & 0xFF, stages[19]
        if stages[20] is not None and stages[20].op == NORM:
            assert dut.norm20_o.value.to_signed() == reference(stages[20]), stages[20]
        seen += stages[20] is not None
        await cycles(dut, 1)
