"""What the layers of a ModelGraph have given so far: nodes, and of every tensor where its codes come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from hls4ml.model.types import FixedPrecisionType, IntegerPrecisionType

from edgendt.errors import UnsupportedOp
from edgendt.firmware.layers import EdtLayer
from edgendt.firmware.room import RESET
from edgendt.fixed import Codes, Int
from edgendt.node import Axis, Flow, Input, Node, flow
from edgendt.ops import Linear, Op


@dataclass(frozen=True)
class Value:
    """Codes that a Program node gives."""

    node: str
    flow: Flow

    @property
    def size(self) -> int:
        return self.flow.size

    @property
    def y(self) -> Int:
        return self.flow.y

    @property
    def axis(self) -> Axis:
        return self.flow.axis


@dataclass(frozen=True)
class Product:
    """A Dense whose result type loses nothing; the layer behind it narrows."""

    name: str
    x: Value
    op: Linear
    constants: Mapping[str, Codes]


@dataclass
class Found:
    """The Program so far. `values` by tensor; None: no code (`silent`, or a layer that was refused).

    numbers: in a network of tokens, of tensors the input that says how many rows they have. room: rows of an axis in a
    call of the graph at most; 0 where that is one bin.
    """

    accumulator: Int
    numbers: Mapping[str, str]
    inputs: list[Input] = field(default_factory=list)
    input: Int | None = None
    nodes: list[Node] = field(default_factory=list)
    flows: dict[str, Flow] = field(default_factory=dict)
    values: dict[str, Value | Product | None] = field(default_factory=dict)
    room: dict[Axis, int] = field(default_factory=dict)

    @property
    def silent(self) -> set[str]:
        """Inputs without codes, which the engine has or counts anyway."""
        return {RESET, *self.numbers.values()}

    def take(self, item: Input, form: Int, rows: int) -> Value:
        """An input, or a constant in its place."""
        if self.input not in (None, form):
            raise ValueError(f"all inputs have one type: give it that of {self.inputs[0].name}, {self.input}")
        if (room := self.room.setdefault(item.axis, rows)) != rows:
            raise ValueError(f"it has room for {rows} {item.axis}, another input for {room}")
        self.input = form
        self.inputs.append(item)
        with _reasons():
            self.flows[item.name] = item.flow(form)
        return Value(item.name, self.flows[item.name])

    def finish(self, name: str, op: Op, inputs: tuple[str, ...], constants: Mapping[str, Codes]) -> Value:
        """A node more. ValueError where what it reads, or its constants, do not suit."""
        node = Node(name, op, inputs, constants)
        with _reasons():
            self.flows[name] = flow(node, self.flows, self.accumulator)
        self.nodes.append(node)
        return Value(name, self.flows[name])

    def narrowed(self, product: Product, name: str, y: Int | None = None) -> Value:
        """The Linear of a Dense and of what narrows it; without that its exact result."""
        op = product.op if y is None else replace(product.op, y=y)
        return self.finish(name, op, (product.x.node,), product.constants)

    def codes(self, tensor: str) -> Value:
        """What a layer reads; a Dense that nothing narrowed keeps its exact result."""
        value = self.values[tensor]
        if isinstance(value, Product):
            value = self.values[tensor] = self.narrowed(value, value.name)
        if value is None:
            raise ValueError("its input is no tensor of codes")
        return value

    def check_rows(self, number: str | None, rows: int, axis: Axis) -> None:
        """ValueError unless a layer goes over all rows of an axis: as many as an input says, else always `rows`."""
        counted = (self.numbers.get(item.name) for item in self.inputs if item.axis == axis and item.codes is None)
        if number != (asked := next(counted, None)):
            raise ValueError(f"the number of its rows must be {asked or 'fixed'}, it has {number or 'none'}")
        if rows != (room := axis.length or self.room[axis]):
            raise ValueError(f"it must go over all {room or 'rows one by one'}, got {rows}")


@contextmanager
def _reasons() -> Iterator[None]:
    """ValueError for the reason of an UnsupportedOp, which the layer's own will tell."""
    try:
        yield
    except UnsupportedOp as error:
        raise ValueError(error.reason) from error


def numbers_of(layers: Iterable[Any]) -> dict[str, str]:
    """Of each tensor that a layer counts the rows of, by which input."""
    found: dict[str, str] = {}
    for layer in layers:
        if counts := counts_of(layer):
            for place, name in enumerate(read_by(layer)):
                if (at := counts[min(place, len(counts) - 1)]) >= 0:
                    found.setdefault(name, layer.inputs[at])
    return found


def counts_of(layer: Any) -> list[int]:
    """Where in the inputs of a layer of ours the numbers of its rows come; -1: it has a fixed one."""
    return list(layer.get_attr("counts", [-1])) if isinstance(layer, EdtLayer) else []


def read_by(layer: Any) -> list[str]:
    """The tensors of codes that a layer reads."""
    return [name for at, name in enumerate(layer.inputs) if at not in counts_of(layer) and name != RESET]


def form(precision: Any) -> Int:
    """The format of an hls4ml type."""
    if not isinstance(precision, FixedPrecisionType | IntegerPrecisionType):
        raise ValueError(f"its type must be a fixed or an integer one, got {precision}")
    return Int(precision.width, getattr(precision, "fractional", 0), bool(precision.signed))


def narrows(precision: Any) -> bool:
    """True when a cast to the type is `narrow`."""
    modes = (str(getattr(precision, "rounding_mode", "TRN")), str(getattr(precision, "saturation_mode", "WRAP")))
    return modes == ("RND_CONV", "SAT")


def result(layer: Any) -> Any:
    return layer.get_output_variable().type.precision


def constant(layer: Any, name: str) -> tuple[Codes, Int]:
    """(codes, format) of a layer's weights, cast to their type as C++ would. ValueError where the cast wraps."""
    variable = layer.weights[name]
    precision, y = variable.type.precision, form(variable.type.precision)
    scaled = np.asarray(variable.data, dtype=np.float64) * 2.0**y.frac
    rounding = str(getattr(precision, "rounding_mode", "TRN"))
    if rounding not in ("TRN", "RND_CONV"):
        raise ValueError(f"the type of its {name} must round by TRN or RND_CONV, got {rounding}")
    codes = (np.floor(scaled) if rounding == "TRN" else np.round(scaled)).astype(np.int64)
    if narrows(precision):
        codes = np.clip(codes, y.lo, y.hi)
    if not y.holds(codes):
        raise ValueError(f"its {name} leave their type {precision}: give it more integer bits")
    return codes, y


def holds(y: Int, reach: int, frac: int) -> bool:
    """True when every sum up to `reach` at `frac` fraction bits has a code in y."""
    return y.frac >= frac and reach << (y.frac - frac) <= y.hi and (y.signed or reach == 0)
