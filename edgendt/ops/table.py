"""Table: a function of one number, GELU say, as an entry for every code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import erf
from typing import ClassVar

import numpy as np

from edgendt.fixed import Codes, Int, nearest

ADDRESS_BITS = 8


@dataclass(frozen=True)
class Table:
    """y = table[x]: [rows, size] -> [rows, size]; the lowest code of x has the first entry."""

    kind: ClassVar[str] = "table"
    constants: ClassVar[tuple[str, ...]] = ("table",)
    arity: ClassVar[int] = 1

    size: int
    x: Int
    y: Int

    def __post_init__(self) -> None:
        if self.x.bits > ADDRESS_BITS:
            raise ValueError(f"x must have at most {ADDRESS_BITS} bits, which address the table, got {self.x}")

    def check(self, accumulator: Int, *, table: Codes) -> None:
        """ValueError when the table has another number of entries or leaves the format."""
        if table.shape != (1 << self.x.bits,):
            raise ValueError(f"table must be [{1 << self.x.bits}], got {list(table.shape)}")
        if not self.y.holds(table):
            raise ValueError(f"table must be {self.y.lo}..{self.y.hi}, got {table.min()}..{table.max()}")

    def run(self, x: Codes, *, table: Codes) -> Codes:
        """x: [rows, size] -> [rows, size]."""
        return table[x - self.x.lo]


def tabulate(function: Callable[[float], float], x: Int, y: Int) -> Codes:
    """A function's values at every code of x, each the nearest code of y. [2^x.bits]"""
    values = (function(code * x.scale) for code in range(x.lo, x.hi + 1))
    return np.array([nearest(value * 2.0**y.frac) for value in values], dtype=np.int64).clip(y.lo, y.hi)


def gelu(x: float) -> float:
    """x · Φ(x) (Hendrycks and Gimpel 2016)."""
    return x * (1 + erf(x / 2**0.5)) / 2
