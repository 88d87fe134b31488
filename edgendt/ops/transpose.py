"""Transpose: the time courses of a whole window's channels as rows, for ops that look at channels side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgendt.fixed import Codes, Int


@dataclass(frozen=True)
class Transpose:
    """y = x^T: [bins, channels] of a whole window -> [channels, bins]; no code changes."""

    kind: ClassVar[str] = "transpose"
    constants: ClassVar[tuple[str, ...]] = ()
    arity: ClassVar[int] = 1

    channels: int
    bins: int
    y: Int

    @property
    def size(self) -> int:
        return self.bins

    @property
    def whole(self) -> int:
        """Bins of the whole window that it needs."""
        return self.bins

    def check(self, accumulator: Int) -> None:
        """Nothing to refuse: it computes nothing."""

    def run(self, x: Codes) -> Codes:
        """x: [bins, channels] -> [channels, bins]. ValueError for bins of no whole window."""
        if len(x) != self.bins:
            raise ValueError(f"bins must be the whole window's {self.bins}, got {len(x)}")
        return x.T.copy()
