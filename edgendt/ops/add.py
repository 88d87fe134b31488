"""Add: the residual stream takes in what a Linear wrote in its format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgendt.fixed import Codes, Int, saturate


@dataclass(frozen=True)
class Add:
    """h' = saturate(h + y), all three in one format: [bins, size] twice -> [bins, size]."""

    kind: ClassVar[str] = "add"
    constants: ClassVar[tuple[str, ...]] = ()
    arity: ClassVar[int] = 2

    size: int
    y: Int

    def check(self, accumulator: Int) -> None:
        """Nothing to refuse: two codes of one format always fit the accumulator."""

    def run(self, h: Codes, x: Codes) -> Codes:
        """h, x: [bins, size] -> [bins, size]."""
        return saturate(h + x, self.y)
