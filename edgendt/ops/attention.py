"""Causal windowed attention in integers: unnormalised 8-bit exponentials weight the values, then one division."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from edgendt.fixed import Codes, Int, bit_length, narrow, nearest, rne
from edgendt.ops.layernorm import table_index

EXP: Codes = np.array([nearest(65280 * 2 ** (-i / 256)) for i in range(256)], dtype=np.int64)
# Only 512..1023 is ever addressed; lower entries are zero so that the table is a plain 1,024-entry memory.
RECIP: Codes = np.array([0] * 512 + [nearest(2**24 / (i + 0.5)) for i in range(512, 1024)], dtype=np.int64)
EXP_ZERO = 4096  # from here on an exponential is zero
LOG2_E = 1.4426950408889634


@dataclass(frozen=True)
class Attention:
    """o = softmax(q k^T / sqrt(d_h)) v per head over the last `window` bins: three [bins, size] -> [bins, size]."""

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

    def __post_init__(self) -> None:
        if self.heads < 1 or self.size % self.heads:
            raise ValueError(f"heads must divide size {self.size}, got {self.heads}")
        if self.window < 1:
            raise ValueError(f"window must be at least 1, got {self.window}")

    @property
    def head_size(self) -> int:
        return self.size // self.heads

    @cached_property
    def scale(self) -> tuple[int, int]:
        """(C, sh): score difference to exponent address, with the largest sh >= 0 that keeps C below 2**15."""
        base = LOG2_E / self.head_size**0.5 * 2.0 ** (8 - self.q.frac - self.k.frac)
        shift = 0
        while nearest(base * 2.0 ** (shift + 1)) < 1 << 15:
            shift += 1
        return nearest(base * 2.0**shift), shift

    @property
    def c(self) -> int:
        return self.scale[0]

    @property
    def shift(self) -> int:
        return self.scale[1]

    def check(self, accumulator: Int) -> None:
        """ValueError when scores or weighted values can leave the accumulator, or C its 15 bits."""
        score = self.head_size * self.q.limit * self.k.limit
        value = self.window * 255 * self.v.limit
        if max(score, value) > accumulator.hi:
            raise ValueError(
                f"accumulator must stay within {accumulator.bits} bits, can reach {max(score, value)} "
                f"with {self.head_size} channels per head and {self.window} keys"
            )
        if self.c >= 1 << 15:
            raise ValueError(f"C must be below 2**15, got {self.c}: the fractions of q and k are too small")

    def exponentials(self, scores: Codes) -> Codes:
        """scores: [..., keys] -> e, 0..255, 255 at the maximum."""
        u = ((scores.max(axis=-1, keepdims=True) - scores) * self.c) >> self.shift
        e = rne(EXP[u & 255], 8 + np.minimum(u >> 8, 40))
        return np.where(u >= EXP_ZERO, 0, e)

    def mix(self, q: Codes, k: Codes, v: Codes) -> Codes:
        """One bin. q: [heads, d_h]; k, v: [keys, heads, d_h] -> [size]."""
        scores = np.einsum("hd,khd->hk", q, k)
        e = self.exponentials(scores)
        total = e.sum(axis=-1)
        weighted = np.einsum("hk,khd->hd", e, v)
        length = bit_length(total)
        g = np.where(total > 0, RECIP[table_index(total, length)], 0)
        shift = 14 + length + self.v.frac - self.y.frac
        return narrow(weighted * g[:, None], shift[:, None], self.y).reshape(self.size)

    def run(self, q: Codes, k: Codes, v: Codes) -> Codes:
        """q, k, v: [bins, size] -> [bins, size]; bin i sees bins max(0, i - window + 1)..i."""
        shape = (len(q), self.heads, self.head_size)
        q, k, v = q.reshape(shape), k.reshape(shape), v.reshape(shape)
        first = [max(0, i - self.window + 1) for i in range(len(q))]
        rows = [self.mix(q[i], k[f : i + 1], v[f : i + 1]) for i, f in enumerate(first)]
        return np.array(rows, dtype=np.int64).reshape(len(q), self.size)
