"""Position: a learned row per bin joins the embedding; the embedder's bias is part of the row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgendt.fixed import Codes, Int, saturate


@dataclass(frozen=True)
class Position:
    """h = saturate(x + table[bin]): [bins, size] -> [bins, size]; `bins` rows, none beyond. Or a row per channel."""

    kind: ClassVar[str] = "position"
    constants: ClassVar[tuple[str, ...]] = ("table",)
    arity: ClassVar[int] = 1

    size: int
    bins: int
    y: Int

    def check(self, accumulator: Int, *, table: Codes) -> None:
        """ValueError when the table has another shape or leaves the format."""
        if table.shape != (self.bins, self.size):
            raise ValueError(f"table must be [{self.bins}, {self.size}], got {list(table.shape)}")
        if not self.y.holds(table):
            raise ValueError(f"table must be {self.y.lo}..{self.y.hi}, got {table.min()}..{table.max()}")

    def run(self, x: Codes, *, table: Codes, first: int = 0) -> Codes:
        """x: [bins, size], bin `first` in row 0 -> [bins, size]. ValueError past the last position row."""
        if first + len(x) > self.bins:
            raise ValueError(f"bin must be below {self.bins} (position rows), got {first + len(x) - 1}")
        return saturate(x + table[first : first + len(x)], self.y)
