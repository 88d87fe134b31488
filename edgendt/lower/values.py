"""What a tensor of a QONNX graph is while it is being lowered: constants, codes, or a sum that waits for its Quant."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgendt.fixed import Codes, Int


@dataclass(frozen=True)
class Grid:
    """The format a Quant node writes. fracs: one per tensor, or an array that broadcasts against the values."""

    bits: int
    signed: bool
    narrow: bool
    fracs: NDArray[np.int64]

    @property
    def frac(self) -> int:
        """The one fraction. ValueError when there are several."""
        if self.fracs.size != 1 and (self.fracs != self.fracs.flat[0]).any():
            raise ValueError("its scale must be one number, it has several")
        return int(self.fracs.flat[0])

    def format(self) -> Int:
        """The format of activations. ValueError for what the Program's narrowing does not do."""
        if self.narrow:
            raise ValueError("activations must use the full range (narrow = 0)")
        return Int(self.bits, self.frac, self.signed)

    def quantize(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Values on the grid, as the Quant node computes them."""
        low = -(2 ** (self.bits - 1)) + self.narrow if self.signed else 0
        high = 2 ** (self.bits - 1) - 1 if self.signed else 2**self.bits - 1 - self.narrow
        scaled = np.ldexp(np.asarray(values, dtype=np.float64), self.fracs)
        on_grid: NDArray[np.float64] = np.ldexp(np.rint(np.clip(scaled, low, high)), -self.fracs)
        return on_grid


@dataclass(frozen=True)
class Constant:
    """Numbers known now; `grid` when they went through a Quant node; the name of the initializer that they are."""

    values: NDArray[Any]
    grid: Grid | None = None
    name: str = ""

    def transposed(self, axes: tuple[int, ...] | None = None) -> Constant:
        """The same with its axes permuted (None: reversed)."""
        grid = self.grid
        if grid is not None and grid.fracs.ndim == self.values.ndim:
            grid = replace(grid, fracs=grid.fracs.transpose(axes))
        return Constant(self.values.transpose(axes), grid)


@dataclass(frozen=True)
class Counts:
    """An input of the network before its Quant node, and its name in the Program."""

    channels: int
    node: str


@dataclass(frozen=True)
class CodesOf:
    """The output of a Program node (or the quantized input)."""

    node: str
    size: int
    y: Int


@dataclass(frozen=True)
class Product:
    """W x (+ b), summed exactly, waiting for its Quant. weight [outputs, inputs], bias [outputs] codes."""

    x: CodesOf
    weight: Codes
    w: Int
    w_frac: tuple[int, ...] | None
    bias: Codes | None = None
    relu: bool = False

    @property
    def sum_fracs(self) -> Codes:
        """Fraction of each output's accumulator. [outputs]"""
        own = [self.w.frac] * len(self.weight) if self.w_frac is None else list(self.w_frac)
        return np.array(own, dtype=np.int64) + self.x.y.frac


@dataclass(frozen=True)
class Sum:
    """h + x, or x + table, waiting for its Quant. table [bins, size] values."""

    parts: tuple[CodesOf, ...]
    table: NDArray[Any] | None = None


@dataclass(frozen=True)
class Refused:
    """The result of a node that was refused; what reads it is skipped, so that only causes are reported."""


Value = Constant | Counts | CodesOf | Product | Sum | Refused


def whole(values: NDArray[Any], fracs: Any) -> Codes | None:
    """values * 2**fracs as codes; None when one is not an integer."""
    scaled = np.ldexp(np.asarray(values, dtype=np.float64), fracs)
    rounded: NDArray[np.float64] = np.rint(scaled)
    if not np.isfinite(scaled).all() or (np.abs(scaled) > 2.0**62).any() or not np.array_equal(rounded, scaled):
        return None
    codes: Codes = rounded.astype(np.int64)
    return codes
