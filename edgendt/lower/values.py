"""What a tensor of a QONNX graph is while it is being lowered: constants, codes, or a sum that waits for its Quant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgendt.fixed import Codes, Int
from edgendt.lower.levels import Levels


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
        if self.fracs.size != 1:
            raise ValueError("its scale must be one number, it has several")
        return int(self.fracs.flat[0])

    def format(self) -> Int:
        """The format of activations. ValueError for what the Program's narrowing does not do."""
        if self.narrow:
            raise ValueError("activations must use the full range (narrow = 0)")
        return Int(self.bits, self.frac, self.signed)

    @property
    def low(self) -> int:
        """The lowest code."""
        return self.narrow - (1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """The highest code."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1 - self.narrow

    def levels(self, step: float) -> Levels:
        """Its codes times a step."""
        return Levels(step, self.low, self.high)

    def on(self, values: NDArray[Any], steps: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values rounded to multiples of `steps` and clipped."""
        codes = np.rint(np.clip(np.asarray(values, np.float64) / steps, self.low, self.high))
        on_grid: NDArray[np.float64] = codes * steps
        return on_grid

    def quantize(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Values on the grid, as the Quant node computes them."""
        return self.on(values, np.ldexp(1.0, -self.fracs))


@dataclass(frozen=True)
class Constant:
    """Numbers known now; `grid` when they went through a Quant node, with `steps` where its scales are no powers of
    two; the name of the initializer that they are.
    """

    values: NDArray[Any]
    grid: Grid | None = None
    name: str = ""
    steps: NDArray[np.float64] | None = None


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
    """W x (+ b), summed exactly, waiting for its Quant. weight [outputs, inputs], bias [outputs] codes.

    scaled: the tensor, the product and the number that it is the product of. refit: a note for when it becomes an op.
    """

    x: CodesOf
    weight: Codes
    w: Int
    w_frac: tuple[int, ...] | None
    bias: Codes | None = None
    relu: bool = False
    scaled: tuple[str, Product, float] | None = None
    refit: tuple[str, str, float] | None = None

    @property
    def sum_fracs(self) -> Codes:
        """Fraction of each output's accumulator. [outputs]"""
        own = [self.w.frac] * len(self.weight) if self.w_frac is None else list(self.w_frac)
        return np.array(own, dtype=np.int64) + self.x.y.frac


@dataclass(frozen=True, eq=False)
class Curve:
    """A function of x, element by element, waiting for its Quant. values: at every code of x, the lowest first."""

    x: CodesOf
    values: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sum:
    """h + x, or x + table, waiting for its Quant. table [bins, size] values; names: the tensors of the parts."""

    parts: tuple[Source, ...]
    names: tuple[str, ...]
    table: NDArray[Any] | None = None


@dataclass(frozen=True, eq=False)
class Norm:
    """The LayerNorm of x, waiting for its Quant. gamma, beta [size], real."""

    x: CodesOf
    eps: float
    gamma: NDArray[np.float64]
    beta: NDArray[np.float64]


@dataclass(frozen=True)
class Moment:
    """A step of a LayerNorm that is written out: mean, centred, squared, variance, deviation or inverse of x.

    shape: of the tensor that x is.
    """

    x: CodesOf
    kind: str
    shape: tuple[int, ...]
    eps: float = 0.0


@dataclass(frozen=True, eq=False)
class Scores:
    """q k^T * scale, or what a softmax makes of them: scores, largest, exponentials, total, share (1 / total), logsum
    (log of the total), logs (scores - logsum) or probabilities.

    q [heads, queries, d_h] and k [heads, keys, d_h] are elements of the tensors that `of` names. allowed
    [queries, keys]: which keys a query sees; None: all. hidden: the largest number that a mask adds to the others.
    shifted: less the largest of their query, which a softmax does not see, but a sum of exponentials. Laid out [heads,
    queries, keys].
    """

    of: tuple[CodesOf, CodesOf]
    q: NDArray[np.int64]
    k: NDArray[np.int64]
    scale: float
    allowed: NDArray[np.bool_] | None = None
    hidden: float = -np.inf
    kind: str = "scores"
    shifted: bool = False


@dataclass(frozen=True, eq=False)
class Attended:
    """Probabilities times values, waiting for their Quant. v [heads, keys, d_h]: elements of `of`. Laid out [queries,
    heads * d_h].
    """

    scores: Scores
    of: CodesOf
    v: NDArray[np.int64]


@dataclass(frozen=True)
class Steps:
    """Codes low..high before their DequantizeLinear: of source / scale + zero, or (without a scale) the file's.

    name: of the tensor that source is.
    """

    source: Value
    name: str
    low: int
    high: int
    scale: Constant | None = None
    zero: int = 0


@dataclass(frozen=True, eq=False)
class View:
    """A tensor whose elements are those of `source` in another order or shape, times `factor`.

    index: where each element is in the source, laid out [rows, size] and flattened. name: the tensor's.
    """

    source: Source
    index: NDArray[np.int64]
    factor: float = 1.0
    name: str = ""


# What a value can be: a constant, codes, an activation that waits for its Quant, or scores that a softmax is made of.
CONSTANT, CODES, WAITING, SCORES = "constant", "codes", "waiting", "scores"
ANYTHING = frozenset((CONSTANT, CODES, WAITING, SCORES))


@dataclass(frozen=True)
class Refused:
    """The result of a node that was refused, or that reads such a one; `kinds`: what it would have been, one of them.

    Of what reads it only that is told which is so whatever it is: only causes are reported. rows: it is taken to be
    [bins, channels], since it reads such; size: its channels, 0 where they are not known.
    """

    kinds: frozenset[str] = ANYTHING
    rows: bool = False
    size: int = 0


Source = Counts | CodesOf | Product | Curve | Sum | Norm | Scores | Attended
Value = Constant | Source | Moment | Steps | View | Refused


def floats(values: NDArray[Any]) -> bool:
    """True for numbers that an operator computes activations with."""
    return values.dtype.kind == "f" or str(values.dtype) == "bfloat16"


def whole(values: NDArray[Any], fracs: Any) -> Codes | None:
    """values * 2**fracs as codes; None when one is not an integer."""
    scaled = np.ldexp(np.asarray(values, dtype=np.float64), fracs)
    rounded: NDArray[np.float64] = np.rint(scaled)
    if not np.isfinite(scaled).all() or (np.abs(scaled) > 2.0**62).any() or not np.array_equal(rounded, scaled):
        return None
    codes: Codes = rounded.astype(np.int64)
    return codes
