"""Attention in integers, over the past or a whole window: 8-bit exponentials weight the values, then one division."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np

from edgendt.fixed import Codes, Int, bit_length, check_sums, narrow, nearest, rne
from edgendt.ops.layernorm import table_index

EXP: Codes = np.array([nearest(65280 * 2 ** (-i / 256)) for i in range(256)], dtype=np.int64)
# Only 512..1023 is ever addressed; lower entries are zero so that the table is a plain 1,024-entry memory.
RECIP: Codes = np.array([0] * 512 + [nearest(2**24 / (i + 0.5)) for i in range(512, 1024)], dtype=np.int64)
ALL = -1
EXP_ZERO = 4096  # from here on an exponential is zero
LOG2_E = 1.4426950408889634


class Scale(NamedTuple):
    """C and sh: how far a score is from the largest one, times C >> sh, is the address of its exponential."""

    c: int
    shift: int

    @classmethod
    def of(cls, head_size: int, q: Int, k: Int) -> Scale:
        """The largest sh >= 0 that keeps C below 2**15."""
        base = LOG2_E / head_size**0.5 * 2.0 ** (8 - q.frac - k.frac)
        shift = 0
        while nearest(base * 2.0 ** (shift + 1)) < 1 << 15:
            shift += 1
        return cls(nearest(base * 2.0**shift), shift)

    def exponentials(self, scores: Codes) -> Codes:
        """scores: [..., keys] -> e, 0..255, 255 at the maximum."""
        u = ((scores.max(axis=-1, keepdims=True) - scores) * self.c) >> self.shift
        e = rne(EXP[u & 255], 8 + np.minimum(u >> 8, 40))
        return np.where(u >= EXP_ZERO, 0, e)


def check_scores(head_size: int, q: Int, k: Int, accumulator: Int, what: str = "channels") -> None:
    """ValueError when a score of so many `what` per head can leave the accumulator, or C its 15 bits."""
    check_sums(accumulator, head_size * q.limit * k.limit, f" with {head_size} {what} per head")
    if (c := Scale.of(head_size, q, k).c) >= 1 << 15:
        raise ValueError(f"C must be below 2**15, got {c}: the fractions of q and k are too small")


def reciprocal(total: Codes) -> tuple[Codes, Codes]:
    """(g, L) of sums D of exponentials: 1 / D is g * 2**-(14 + L); g is 0 where D is."""
    length = bit_length(total)
    return np.where(total > 0, RECIP[table_index(total, length)], 0), length


@dataclass(frozen=True)
class Attention:
    """o = softmax(q k^T / sqrt(d_h)) v per head over the last `window` bins: three [bins, size] -> [bins, size].

    Not causal: bins are those of a whole window, of which there are `window`, and bin i sees bins i - back..i + ahead;
    ALL of those before it, or behind it.
    """

    kind: ClassVar[str] = "attention"
    constants: ClassVar[tuple[str, ...]] = ()
    arity: ClassVar[int] = 3

    size: int
    heads: int
    window: int
    q: Int
    k: Int
    v: Int
    y: Int
    causal: bool = True
    back: int = ALL
    ahead: int = ALL

    def __post_init__(self) -> None:
        if self.heads < 1 or self.size % self.heads:
            raise ValueError(f"heads must divide size {self.size}, got {self.heads}")
        if self.window < 1:
            raise ValueError(f"window must be at least 1, got {self.window}")
        if min(self.back, self.ahead) < ALL:
            raise ValueError(f"back and ahead must be at least 0, or {ALL} for all, got {self.back} and {self.ahead}")
        if self.causal and (self.back, self.ahead) != (ALL, ALL):
            raise ValueError("back and ahead are of whole windows, where causal is false")

    @property
    def head_size(self) -> int:
        return self.size // self.heads

    @property
    def limited(self) -> bool:
        """True where a bin of a whole window does not see all others."""
        return any(0 <= reach < self.window - 1 for reach in (self.back, self.ahead))

    @property
    def whole(self) -> int | None:
        """Bins of the whole window that it needs; None: it goes bin by bin."""
        return None if self.causal else self.window

    @cached_property
    def scale(self) -> Scale:
        """From scores to exponentials."""
        return Scale.of(self.head_size, self.q, self.k)

    def check(self, accumulator: Int) -> None:
        """ValueError when scores or weighted values can leave the accumulator, or C its 15 bits."""
        check_scores(self.head_size, self.q, self.k, accumulator)
        check_sums(accumulator, self.window * 255 * self.v.limit, f" with {self.window} keys")

    def mix(self, q: Codes, k: Codes, v: Codes) -> Codes:
        """One bin. q: [heads, d_h]; k, v: [keys, heads, d_h] -> [size]."""
        scores = np.einsum("hd,khd->hk", q, k)
        e = self.scale.exponentials(scores)
        weighted = np.einsum("hk,khd->hd", e, v)
        g, length = reciprocal(e.sum(axis=-1))
        shift = 14 + length + self.v.frac - self.y.frac
        return narrow(weighted * g[:, None], shift[:, None], self.y).reshape(self.size)

    def sees(self, bins: int) -> list[tuple[int, int]]:
        """[first, last + 1) of the keys of each of `bins` queries. ValueError for bins of no whole window."""
        if self.causal:
            return [(max(0, i - self.window + 1), i + 1) for i in range(bins)]
        if bins != self.window:
            raise ValueError(f"bins must be the whole window's {self.window}, got {bins}")
        back, ahead = (bins if reach == ALL else reach for reach in (self.back, self.ahead))
        return [(max(0, i - back), min(bins, i + ahead + 1)) for i in range(bins)]

    def run(self, q: Codes, k: Codes, v: Codes) -> Codes:
        """q, k, v: [bins, size] -> [bins, size]; bin i sees the keys of `sees`."""
        shape = (len(q), self.heads, self.head_size)
        q, k, v = q.reshape(shape), k.reshape(shape), v.reshape(shape)
        rows = [self.mix(q[i], k[first:last], v[first:last]) for i, (first, last) in enumerate(self.sees(len(q)))]
        return np.array(rows, dtype=np.int64).reshape(len(q), self.size)
