"""GEGLU: one half of a feed-forward layer gates the other through a table of GELU."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from edgendt.fixed import Codes, Int, check_sums, narrow
from edgendt.ops.table import gelu, tabulate

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
        """GELU of every gate code, −128 first. [256]"""
        return tabulate(gelu, self.gate, self.entry)

    @property
    def shift(self) -> int:
        return self.a.frac + self.entry.frac - self.y.frac

    def check(self, accumulator: Int) -> None:
        """ValueError when a product can leave the accumulator."""
        check_sums(accumulator, self.a.limit * int(np.abs(self.table).max()))

    def run(self, a: Codes, gate: Codes) -> Codes:
        """a, gate: [rows, size] -> [rows, size]."""
        return narrow(a * self.table[gate - self.gate.lo], self.shift, self.y)
