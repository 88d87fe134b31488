"""Attention and LayerNorm whose roundings meet exact ties: random codes all but never do, so they are constructed.

Attention's a·g / 2**s is halfway only where RECIP's g has an odd part below 256 and a = Σ e·v is the right multiple of
a power of two. One channel per head makes a score q·k = k, so keys choose the exponentials and values solve for a.
LayerNorm rounds twice: t, tied where the spread is small, and shown by a result as fine as t; then t·γ + β, which β
puts there.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
from strategies import Example, biased, tied

from edgendt.fixed import Codes, Int, bit_length
from edgendt.ops import Attention, LayerNorm
from edgendt.ops.attention import RECIP
from edgendt.ops.layernorm import NORM_FRAC, RSQRT, eps_code, table_index

PER_SHIFT = 12
PER_SIZE = 8
SIZES = (2, 3, 4, 8, 16, 23)
R = Int(12, 7)


def tie_sums(total: int, shift: int) -> Iterator[int]:
    """Values of a for which a·g is an odd multiple of half of 2**shift, small enough not to saturate 8 bits."""
    length = total.bit_length()
    g = int(RECIP[total >> (length - 10) if length >= 10 else total << (10 - length)])
    twos = (g & -g).bit_length() - 1
    odd, power = g >> twos, shift + length - 1 - twos
    if power >= 0:
        for j in range(1, 254 // odd + 1, 2):
            yield from (j << power, -j << power)


def solve(e: tuple[int, int, int], a: int) -> tuple[int, int, int] | None:
    """Three 8-bit values with Σ e·v = a, if there are any."""
    v1, v2 = np.meshgrid(np.arange(-128, 128), np.arange(-128, 128))
    rest = a - e[1] * v1 - e[2] * v2
    fits = (rest % e[0] == 0) & (rest // e[0] >= -128) & (rest // e[0] <= 127)
    if not fits.any():
        return None
    i = int(np.flatnonzero(fits)[0])
    return int(rest.flat[i] // e[0]), int(v1.flat[i]), int(v2.flat[i])


def example(op: Attention, gaps: tuple[int, int], v: tuple[int, int, int]) -> Example:
    """Three bins of which the last one sees keys 127, 127 - gap, 127 - gap with the values v."""
    q = np.ones((3, 1), dtype=np.int64)
    k = 127 - np.array([[0], [gaps[0]], [gaps[1]]])
    return Example(op, (q, k, np.array(v, dtype=np.int64)[:, None]), {})


def found(op: Attention) -> Iterator[Example]:
    """Examples for one op: for each reachable sum D and each tie a, the first keys and values that give both."""
    e = op.scale.exponentials(-np.arange(256))
    first = {int(value): gap for gap, value in reversed(list(enumerate(e)))}  # smallest gap of each exponential
    shift = 14 + op.v.frac - op.y.frac
    seen = set()
    for e1, gap1 in first.items():
        for e2, gap2 in first.items():
            total = 255 + e1 + e2
            for a in tie_sums(total, shift) if e2 <= e1 else ():
                v = None if (total, a) in seen else solve((255, e1, e2), a)
                if v is not None:
                    seen.add((total, a))
                    yield example(op, (gap1, gap2), v)


@cache
def attention_ties() -> tuple[Example, ...]:
    """Examples whose last bin is a tie, of both signs; rounding half up would give another code in many of them."""
    examples: list[Example] = []
    for shift in (-2, -1, 0, 1):
        op = Attention(1, 1, 3, Int(8, 3), Int(8, 3), Int(8, 5 + shift), Int(8, 5))
        for _, case in zip(range(PER_SHIFT), found(op), strict=False):
            examples.append(case)
    return tuple(examples)


def halves(op: LayerNorm, x: Codes) -> Codes:
    """Where t, before its rounding, lies halfway between two codes. x: [bins, size] -> bool [bins, size]"""
    s1 = x.sum(axis=1, keepdims=True)
    v = op.size * (x * x).sum(axis=1, keepdims=True) - s1 * s1 + op.eps_code
    length = bit_length(v)
    length += length & 1
    shift = 3 + (length - 2) // 2
    a = (op.size * x - s1) * RSQRT[table_index(v, length)]
    return (a & (1 << shift) - 1) == 1 << shift - 1


def inner(size: int, rng: np.random.Generator) -> Example:
    """A LayerNorm whose t holds ties; β takes the right t away, so its first bin is 0, and ±1 where t is one off."""
    op = LayerNorm(size, R, Int(8, 0), Int(8, NORM_FRAC), eps_code(size, R))
    while True:
        reach = int(rng.integers(1, 40))
        x = rng.integers(-reach, reach + 1, (2, size))
        if halves(op, x[:1]).any():
            gamma = rng.choice([-1, 1], size)
            return Example(op, (x,), {"gamma": gamma, "beta": -op.normalise(x[:1])[0] * gamma})


def outer(size: int, rng: np.random.Generator) -> Example:
    """A LayerNorm whose every other sum t·γ + β of the first bin is a tie."""
    op = LayerNorm(size, R, Int(8, 6), Int(8, 5), eps_code(size, R))
    x, gamma = biased(rng, R, (2, size)), biased(rng, op.gamma, (size,))
    return Example(op, (x,), {"gamma": gamma, "beta": tied(op, x, gamma, np.zeros(size, np.int64), rng)})


@cache
def layernorm_ties() -> tuple[Example, ...]:
    """Examples whose first bin holds ties of both roundings; half up and half down would give other codes."""
    rng = np.random.default_rng(0)
    return tuple(make(size, rng) for make in (inner, outer) for size in SIZES for _ in range(PER_SIZE))
