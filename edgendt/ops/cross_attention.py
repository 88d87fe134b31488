"""Cross-attention in integers: queries of one sequence over keys of another, the arithmetic that of Attention."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from edgendt.fixed import Codes, Int
from edgendt.ops.attention import Attention, Scale


@dataclass(frozen=True)
class CrossAttention:
    """o = softmax(q k^T / sqrt(d_h)) v per head: [queries, size], two [keys, size] -> [queries, size].

    keys: the most that a window may have. Every query sees the same keys, an index range.
    """

    kind: ClassVar[str] = "cross_attention"
    constants: ClassVar[tuple[str, ...]] = ()
    arity: ClassVar[int] = 3

    size: int
    heads: int
    keys: int
    q: Int
    k: Int
    v: Int
    y: Int

    def __post_init__(self) -> None:
        if self.keys < 1:
            raise ValueError(f"keys must be at least 1, got {self.keys}")
        _ = self.attention  # which refuses heads that do not divide the size

    @cached_property
    def attention(self) -> Attention:
        """The op of one query: scores, exponentials, weighted values, division."""
        return Attention(self.size, self.heads, self.keys, self.q, self.k, self.v, self.y)

    @property
    def scale(self) -> Scale:
        """From scores to exponentials."""
        return self.attention.scale

    def check(self, accumulator: Int) -> None:
        """ValueError when scores or weighted values of `keys` keys can leave the accumulator, or C its 15 bits."""
        self.attention.check(accumulator)

    def run(self, q: Codes, k: Codes, v: Codes, *, first: int = 0, last: int | None = None) -> Codes:
        """q: [queries, size]; k, v: [rows, size], of which first..last − 1 (all by default) are keys and the others
        padding -> [queries, size]. ValueError without a key, with too many, or beyond the rows.
        """
        last = len(k) if last is None else last
        if not 0 <= first < last <= len(k):
            raise ValueError(f"keys must be a range within {len(k)} rows and hold one, got {first}..{last}")
        if last - first > self.keys:
            raise ValueError(f"keys must be at most {self.keys}, got {last - first}")
        heads = (-1, self.heads, self.attention.head_size)
        k, v = k[first:last].reshape(heads), v[first:last].reshape(heads)
        rows = [self.attention.mix(row, k, v) for row in q.reshape(heads)]
        return np.array(rows, dtype=np.int64).reshape(len(q), self.size)
