"""Attention weights between channels: softmax of their time courses' products, averaged over heads, rounded once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from edgendt.fixed import Codes, Int, narrow
from edgendt.ops.attention import Scale, check_scores, reciprocal


@dataclass(frozen=True)
class SpatialWeights:
    """A = mean over heads of softmax(q k^T / sqrt(d_h)): two [size, bins] -> [size, size], rows sum to about 1.

    Of several such behind one another, as many.
    Row i says how much every channel j gives to channel i. Source: Le & Shlizerman 2022, spatial attention of STNDT.
    """

    kind: ClassVar[str] = "spatial_weights"
    constants: ClassVar[tuple[str, ...]] = ()
    arity: ClassVar[int] = 2

    size: int
    bins: int
    heads: int
    q: Int
    k: Int
    y: Int

    def __post_init__(self) -> None:
        if self.heads < 1 or self.bins % self.heads:
            raise ValueError(f"heads must divide bins {self.bins}, got {self.heads}")
        if self.heads & (self.heads - 1):
            raise ValueError(f"heads must be a power of two, for their mean is a shift, got {self.heads}")

    @property
    def head_size(self) -> int:
        return self.bins // self.heads

    @cached_property
    def scale(self) -> Scale:
        """From scores to exponentials."""
        return Scale.of(self.head_size, self.q, self.k)

    @property
    def longest(self) -> int:
        """Bit length of the largest sum of exponentials, at whose fraction the heads are added."""
        return (255 * self.size).bit_length()

    @property
    def mean_shift(self) -> int:
        """Right shift from the sum over heads to a code of the mean."""
        return 14 + self.longest + (self.heads.bit_length() - 1) - self.y.frac

    def check(self, accumulator: Int) -> None:
        """ValueError when scores can leave the accumulator, C its 15 bits, or weights are signed."""
        check_scores(self.head_size, self.q, self.k, accumulator, "bins")
        if self.y.signed:
            raise ValueError(f"y must be unsigned, got {self.y}")

    def run(self, q: Codes, k: Codes) -> Codes:
        """q, k: [n · size, bins] -> [n · size, size]."""
        shape = (-1, self.size, self.heads, self.head_size)
        e = self.scale.exponentials(np.einsum("nihd,njhd->nhij", q.reshape(shape), k.reshape(shape)))
        g, length = reciprocal(e.sum(axis=-1))
        share = e * g[..., None] << (self.longest - length)[..., None]  # of every head at one fraction: sums are exact
        return narrow(share.sum(axis=1), self.mean_shift, self.y).reshape(-1, self.size)
