"""GEGLU: one half of a feed-forward layer gates the other through a table of GELU."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import erf
from typing import ClassVar

import numpy as np

from edgendt.fixed import Codes, Int, narrow, nearest

TABLE_BITS = 16


@dataclass(frozen=True)
class GEGLU:
    """y = narrow(a · GELU(gate)): [rows, size] twice -> [rows, size]; gate has 8 bits, signed."""

    kind: ClassVar[str] = "geglu"
    constants: ClassVar[tuple[str, ...]] = ()
    arity: ClassVar[int] = 2

    size: int
    a: Int
    gate: Int
    y: Int

    def __post_init__(self) -> None:
        if self.gate.bits != 8 or not self.gate.signed:
            raise ValueError(f"gate must be signed and have 8 bits, which address the table, got {self.gate}")

    @property
    def entry(self) -> Int:
        """Format of the table: no GELU is larger than its argument, so 8 bits more than the gate's always hold it."""
        return Int(TABLE_BITS, self.gate.frac + TABLE_BITS - self.gate.bits)

    @cached_property
    def table(self) -> Codes:
        """GELU(x) = x · (1 + erf(x / √2)) / 2 of every gate code, −128 first. [256]"""
        gates = (code * self.gate.scale for code in range(self.gate.lo, self.gate.hi + 1))
        gelus = (x * (1 + erf(x / 2**0.5)) / 2 for x in gates)
        return np.array([nearest(gelu * 2.0**self.entry.frac) for gelu in gelus], dtype=np.int64)

    @property
    def shift(self) -> int:
        return self.a.frac + self.entry.frac - self.y.frac

    def check(self, accumulator: Int) -> None:
        """ValueError when a product can leave the accumulator."""
        reach = self.a.limit * int(np.abs(self.table).max())
        if reach > accumulator.hi:
            raise ValueError(f"accumulator must stay within {accumulator.bits} bits, can reach {reach}")

    def run(self, a: Codes, gate: Codes) -> Codes:
        """a, gate: [rows, size] -> [rows, size]."""
        return narrow(a * self.table[gate - self.gate.lo], self.shift, self.y)
