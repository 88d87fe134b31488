"""LayerNorm in integers: exact sums, one reciprocal square root from a table of 1,024 entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgendt.fixed import Codes, Int, bit_length, narrow, nearest, rne

NORM_FRAC = 12  # fraction bits of the normalised value t
# Only 256..1023 is ever addressed; lower entries are zero so that the table is a plain 1,024-entry memory.
RSQRT: Codes = np.array(
    [0] * 256 + [nearest(2**15 / ((i + 0.5) / 256) ** 0.5) for i in range(256, 1024)], dtype=np.int64
)
BETA = Int(24)  # format bits of beta; its fraction is NORM_FRAC + gamma.frac


def eps_code(size: int, x: Int, eps: float = 1e-5) -> int:
    """E: eps at the scale of the variance sum, at least 1."""
    return max(1, nearest(eps * size**2 * 4.0**x.frac))


def table_index(a: Codes, length: Codes) -> Codes:
    """The ten leading bits of `a`, whose bit length (rounded up to even where the op says so) is `length`."""
    return np.where(length >= 10, a >> np.maximum(length - 10, 0), a << np.maximum(10 - length, 0))


@dataclass(frozen=True)
class LayerNorm:
    """y = narrow((x - mean) / std * gamma + beta): [bins, size] -> [bins, size]."""

    kind: ClassVar[str] = "layernorm"
    constants: ClassVar[tuple[str, ...]] = ("gamma", "beta")
    arity: ClassVar[int] = 1

    size: int
    x: Int
    gamma: Int
    y: Int
    eps_code: int

    @property
    def shift(self) -> int:
        return NORM_FRAC + self.gamma.frac - self.y.frac

    def check(self, accumulator: Int, *, gamma: Codes, beta: Codes) -> None:
        """ValueError when a shape or a code leaves what it may be."""
        if gamma.shape != (self.size,) or beta.shape != (self.size,):
            raise ValueError(f"gamma and beta must be [{self.size}], got {list(gamma.shape)} and {list(beta.shape)}")
        if not self.gamma.holds(gamma):
            raise ValueError(f"gamma must be {self.gamma.lo}..{self.gamma.hi}, got {gamma.min()}..{gamma.max()}")
        if not BETA.holds(beta):
            raise ValueError(f"beta must be {BETA.lo}..{BETA.hi}, got {beta.min()}..{beta.max()}")
        if self.eps_code < 1:
            raise ValueError(f"eps_code must be at least 1, got {self.eps_code}")

    def normalise(self, x: Codes) -> Codes:
        """t: x with its mean removed, over its standard deviation, at NORM_FRAC fraction bits. [bins, size]"""
        s1 = x.sum(axis=1, keepdims=True)
        s2 = (x * x).sum(axis=1, keepdims=True)
        v = self.size * s2 - s1 * s1 + self.eps_code
        length = bit_length(v)
        length += length & 1
        r = RSQRT[table_index(v, length)]
        return rne((self.size * x - s1) * r, 3 + (length - 2) // 2)

    def run(self, x: Codes, *, gamma: Codes, beta: Codes) -> Codes:
        """x: [bins, size] -> [bins, size]."""
        return narrow(self.normalise(x) * gamma + beta, self.shift, self.y)
