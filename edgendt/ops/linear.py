"""Linear: one matrix product, summed exactly, narrowed once. An unsigned output is a ReLU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgendt.fixed import Codes, Int, check_sums, narrow


@dataclass(frozen=True)
class Linear:
    """y = narrow(W x + b): [bins, inputs] -> [bins, outputs].

    `w_frac` gives one weight fraction per output and overrides `w.frac`; the bias of an output is at fraction
    x.frac + its weight fraction.
    """

    kind: ClassVar[str] = "linear"
    constants: ClassVar[tuple[str, ...]] = ("weight", "bias")
    arity: ClassVar[int] = 1

    inputs: int
    outputs: int
    x: Int
    w: Int
    y: Int
    w_frac: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.w_frac is not None and len(self.w_frac) != self.outputs:
            raise ValueError(f"w_frac must have one entry per output ({self.outputs}), got {len(self.w_frac)}")

    @property
    def size(self) -> int:
        return self.outputs

    @property
    def shifts(self) -> Codes:
        """Right shift of each output's accumulator. [outputs]"""
        w_frac = np.full(self.outputs, self.w.frac) if self.w_frac is None else np.asarray(self.w_frac)
        return (self.x.frac + w_frac - self.y.frac).astype(np.int64)

    def accumulator_limit(self, weight: Codes, bias: Codes) -> int:
        """Largest magnitude the accumulator can reach, the rounding half step included."""
        half = np.where(self.shifts > 0, np.int64(1) << np.maximum(self.shifts - 1, 0), 0)
        return int((np.abs(weight).sum(axis=1) * self.x.limit + np.abs(bias) + half).max())

    def check(self, accumulator: Int, *, weight: Codes, bias: Codes) -> None:
        """ValueError when the shapes, a code or the accumulator leave what they may be."""
        if weight.shape != (self.outputs, self.inputs) or bias.shape != (self.outputs,):
            raise ValueError(
                f"weight and bias must be [{self.outputs}, {self.inputs}] and [{self.outputs}], "
                f"got {list(weight.shape)} and {list(bias.shape)}"
            )
        if not self.w.holds(weight):
            raise ValueError(f"weight must be {self.w.lo}..{self.w.hi}, got {weight.min()}..{weight.max()}")
        check_sums(accumulator, self.accumulator_limit(weight, bias))

    def run(self, x: Codes, *, weight: Codes, bias: Codes) -> Codes:
        """x: [bins, inputs] -> [bins, outputs]."""
        return narrow(x @ weight.T + bias, self.shifts, self.y)
