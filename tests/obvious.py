"""The semantics once more, slow and obvious: Python integers, fractions and loops; shares nothing."""

from __future__ import annotations

import math
from fractions import Fraction

Row = list[int]


def rne(a: int, shift: int) -> int:
    """a * 2**-shift to the nearest integer, ties to even: what `round` does to an exact fraction."""
    return round(Fraction(a) / Fraction(2) ** shift)


def saturate(a: int, bits: int, signed: bool = True) -> int:
    """Clip to the range of the format."""
    lo, hi = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return min(max(a, lo), hi)


def linear(x: Row, weight: list[Row], bias: Row, shifts: Row, bits: int, signed: bool) -> Row:
    """One bin of a Linear."""
    out = []
    for row, b, shift in zip(weight, bias, shifts, strict=True):
        out.append(saturate(rne(sum(w * v for w, v in zip(row, x, strict=True)) + b, shift), bits, signed))
    return out


def rsqrt(index: int) -> int:
    """Entry of the reciprocal square root table, from its formula."""
    return round(2**15 / math.sqrt((index + 0.5) / 256))


def layernorm(x: Row, gamma: Row, beta: Row, eps: int, gfrac: int, yfrac: int, bits: int) -> Row:
    """One bin of a LayerNorm."""
    d, s1, s2 = len(x), sum(x), sum(v * v for v in x)
    v = d * s2 - s1 * s1 + eps
    length = v.bit_length() + v.bit_length() % 2
    index = v >> (length - 10) if length >= 10 else v << (10 - length)
    r = rsqrt(index)
    t = [rne((d * value - s1) * r, 3 + (length - 2) // 2) for value in x]
    return [saturate(rne(a * g + b, 12 + gfrac - yfrac), bits) for a, g, b in zip(t, gamma, beta, strict=True)]


def rotary(x: Row, time: int, steps: Row, shift: int, bits: int) -> Row:
    """One row of a Rotary."""
    out = []
    for head in range(0, len(x), 2 * len(steps)):
        for i, step in enumerate(steps):
            even, odd = x[head + 2 * i : head + 2 * i + 2]
            a = (time * step % 2**16 + 32) // 64 % 1024
            angle = 2 * math.pi * a / 1024
            cos, sin = round(1024 * math.cos(angle)), round(1024 * math.sin(angle))
            out += [saturate(rne(v, shift), bits) for v in (even * cos - odd * sin, even * sin + odd * cos)]
    return out


def scale(head_size: int, qfrac: int, kfrac: int) -> tuple[int, int]:
    """C and its shift."""
    real = math.log2(math.e) / math.sqrt(head_size)
    fits = [sh for sh in range(64) if round(real * 2.0 ** (sh + 8 - qfrac - kfrac)) < 2**15]
    return round(real * 2.0 ** (fits[-1] + 8 - qfrac - kfrac)), fits[-1]


def attend(q: Row, keys: list[Row], values: list[Row], fracs: dict[str, int], bits: int) -> Row:
    """One head of one bin: the keys it sees, the newest last."""
    c, sh = scale(len(q), fracs["q"], fracs["k"])
    scores = [sum(a * b for a, b in zip(q, key, strict=True)) for key in keys]
    e = []
    for score in scores:
        u = ((max(scores) - score) * c) // 2**sh
        e.append(0 if u >= 4096 else rne(round(65280 * 2 ** (-(u % 256) / 256)), 8 + u // 256))
    total = sum(e)
    length = total.bit_length()
    index = total >> (length - 10) if length >= 10 else total << (10 - length)
    g = round(2**24 / (index + 0.5))
    columns = [sum(w * value[i] for w, value in zip(e, values, strict=True)) for i in range(len(q))]
    return [saturate(rne(a * g, 14 + length + fracs["v"] - fracs["y"]), bits) for a in columns]


def spatial_weights(q: list[Row], k: list[Row], heads: int, fracs: dict[str, int], bits: int) -> list[Row]:
    """Weights between channels: a head's share e / D at its own fraction, added as exact fractions, rounded once."""
    width, out = len(q[0]) // heads, []
    c, sh = scale(width, fracs["q"], fracs["k"])
    for mine in q:
        total = [Fraction(0)] * len(k)
        for part in (slice(h * width, (h + 1) * width) for h in range(heads)):
            scores = [sum(a * b for a, b in zip(mine[part], key[part], strict=True)) for key in k]
            u = [((max(scores) - score) * c) // 2**sh for score in scores]
            e = [0 if v >= 4096 else rne(round(65280 * 2 ** (-(v % 256) / 256)), 8 + v // 256) for v in u]
            length = sum(e).bit_length()
            index = sum(e) >> (length - 10) if length >= 10 else sum(e) << (10 - length)
            g = Fraction(round(2**24 / (index + 0.5)), 2 ** (14 + length))
            total = [t + w * g / heads for t, w in zip(total, e, strict=True)]
        out.append([saturate(round(t * 2 ** fracs["y"]), bits, signed=False) for t in total])
    return out


def spatial_mix(a: list[Row], z: list[Row], shift: int, bits: int) -> list[Row]:
    """Every bin's weighted sums over channels."""
    return [[saturate(rne(sum(w * v for w, v in zip(row, b, strict=True)), shift), bits) for row in a] for b in z]


def attention(
    q: list[Row],
    k: list[Row],
    v: list[Row],
    heads: int,
    window: int,
    fracs: dict[str, int],
    causal: bool = True,
    back: int = -1,
    ahead: int = -1,
) -> list[Row]:
    """Every bin and head of a causal windowed attention, or of one over bins of a whole window."""
    size = len(q[0]) // heads
    out = []
    for i in range(len(q)):
        seen = [
            j
            for j in range(len(q))
            if (i - window < j <= i if causal else (back < 0 or j >= i - back) and (ahead < 0 or j <= i + ahead))
        ]
        row: Row = []
        for part in (slice(h * size, (h + 1) * size) for h in range(heads)):
            row += attend(q[i][part], [k[j][part] for j in seen], [v[j][part] for j in seen], fracs, 8)
        out.append(row)
    return out
