"""Transpose: time courses of channels as rows, of a whole window or up to each bin, for ops that look at them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgendt.fixed import Codes, Int


@dataclass(frozen=True)
class Transpose:
    """y = x^T: [bins, channels] of a whole window -> [channels, bins]; no code changes.

    Causal: of the last `bins` bins at every bin, zeros before the first one: [n, channels] -> [n · channels, bins].
    """

    kind: ClassVar[str] = "transpose"
    constants: ClassVar[tuple[str, ...]] = ()
    arity: ClassVar[int] = 1

    channels: int
    bins: int
    y: Int
    causal: bool = False

    @property
    def size(self) -> int:
        return self.bins

    @property
    def whole(self) -> int | None:
        """Bins of the whole window that it needs; None: it goes bin by bin."""
        return None if self.causal else self.bins

    def check(self, accumulator: Int) -> None:
        """Nothing to refuse: it computes nothing."""

    def run(self, x: Codes) -> Codes:
        """x: [bins, channels] -> [channels, bins], or one such behind the other. ValueError for bins of no window."""
        if self.causal:
            padded = np.concatenate([np.zeros((self.bins - 1, self.channels), np.int64), x])
            behind = np.lib.stride_tricks.sliding_window_view(padded, self.bins, axis=0)  # [n, channels, bins]
            return behind.reshape(-1, self.bins).copy()
        if len(x) != self.bins:
            raise ValueError(f"bins must be the whole window's {self.bins}, got {len(x)}")
        return x.T.copy()
