"""Lookup: a token's embedding, its unit's row plus its kind's row; a read of two tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgendt.fixed import Codes, Int, saturate


@dataclass(frozen=True)
class Lookup:
    """y = saturate(table[row] + kinds[which]): [tokens, 2], each (row, which) -> [tokens, size].

    pairs: `table` has a row for every (row, which), those of a row one behind the other.
    """

    kind: ClassVar[str] = "lookup"
    constants: ClassVar[tuple[str, ...]] = ("table", "kinds")
    arity: ClassVar[int] = 1

    size: int
    rows: int
    which: int
    y: Int
    pairs: bool = False

    @property
    def entries(self) -> int:
        """Rows of `table`."""
        return self.rows * self.step

    @property
    def step(self) -> int:
        """Rows of `table` from one row's first to the next one's."""
        return self.which if self.pairs else 1

    @property
    def every(self) -> Codes:
        """Every (row, which) that there is, those of a row one behind the other. [rows * which, 2]"""
        return np.indices((self.rows, self.which)).reshape(2, -1).T

    def check(self, accumulator: Int, *, table: Codes, kinds: Codes) -> None:
        """ValueError when a table has another shape or leaves the format."""
        for name, codes, rows in (("table", table, self.entries), ("kinds", kinds, self.which)):
            if codes.shape != (rows, self.size):
                raise ValueError(f"{name} must be [{rows}, {self.size}], got {list(codes.shape)}")
            if not self.y.holds(codes):
                raise ValueError(f"{name} must be {self.y.lo}..{self.y.hi}, got {codes.min()}..{codes.max()}")

    def check_tokens(self, x: Codes) -> None:
        """ValueError for a row or a kind that no table has. x: [tokens, 2]"""
        for name, column, rows in zip(("row", "kind"), x.T, (self.rows, self.which), strict=True):
            if column.size and not 0 <= column.min() <= column.max() < rows:
                raise ValueError(f"{name} of a token must be 0..{rows - 1}, got {column.min()}..{column.max()}")

    def run(self, x: Codes, *, table: Codes, kinds: Codes) -> Codes:
        """x: [tokens, 2] -> [tokens, size]. ValueError for a row or a kind that no table has."""
        self.check_tokens(x)
        return saturate(table[self.entry(x)] + kinds[x[:, 1]], self.y)

    def entry(self, x: Codes) -> Codes:
        """x: [tokens, 2] -> the row of `table` of each. [tokens]"""
        found: Codes = x[:, 0] * self.step + x[:, 1] * self.pairs
        return found
