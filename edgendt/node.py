"""What flows through a Program: its inputs, its nodes, and what an op demands of the codes that it reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, cast

import numpy as np

from edgendt.errors import BadInput, UnsupportedOp
from edgendt.fixed import Codes, Int, as_codes
from edgendt.ops import (
    GEGLU,
    Add,
    Attention,
    CrossAttention,
    Linear,
    Lookup,
    Op,
    Position,
    Rotary,
    SpatialMix,
    SpatialWeights,
    Transpose,
)

INPUT = "counts"  # what comes in where a network has no inputs of its own
EACH = "channels of each bin"  # an axis that every bin has anew
INDEX = Int(16, 0, False)  # rows of tables, kinds, times in ms


@dataclass(frozen=True)
class Axis:
    """What the rows of codes are. length: how many there always are; 0 where a window has as many as it happens to."""

    name: str
    length: int = 0

    def __str__(self) -> str:
        return f"{self.length} {self.name}" if self.length else self.name

    @property
    def one(self) -> str:
        """What a row is: bin, query, of the channels of each bin a channel."""
        word = self.name.partition(" ")[0]
        return word.removesuffix("ies") + "y" if word.endswith("ies") else word.removesuffix("s")


BINS = Axis("bins")


def channels(many: int, causal: bool = False) -> Axis:
    """Rows are channels of a whole window, or of every bin one behind the other."""
    return Axis(EACH if causal else "channels", many)


@dataclass(frozen=True)
class Flow:
    """What codes [rows, size] of an input or a node are."""

    axis: Axis
    size: int
    y: Int

    def __str__(self) -> str:
        return f"{self.size} x {self.y}"


@dataclass(frozen=True)
class Input:
    """Codes [rows, size] that no op makes; `codes`: the same in every window, a constant of the network."""

    name: str
    size: int
    axis: Axis
    codes: Codes | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.codes is not None:
            object.__setattr__(self, "codes", _frozen(self.codes))

    @classmethod
    def constant(cls, name: str, codes: Any) -> Input:
        """Codes [rows, size] that the network brings along, the latents of a Perceiver."""
        return cls(name, np.shape(codes)[1], Axis("latents", len(codes)), codes)

    def flow(self, form: Int) -> Flow:
        """What it gives, in that format. UnsupportedOp where a constant is not what the fields say."""
        if self.codes is not None:
            shape = (self.axis.length, self.size)
            if self.codes.shape != shape or not self.codes.size or not form.holds(self.codes):
                reason = f"its codes must be {list(shape)} of {form}, got {list(self.codes.shape)}"
                raise UnsupportedOp("input", self.name, reason)
        return Flow(self.axis, self.size, form)


@dataclass(frozen=True)
class Node:
    """One op of a Program: where its inputs come from, and its constants."""

    name: str
    op: Op
    inputs: tuple[str, ...]
    constants: Mapping[str, Codes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        frozen = {key: _frozen(value) for key, value in self.constants.items()}
        object.__setattr__(self, "constants", MappingProxyType(frozen))


def _frozen(value: Any) -> Codes:
    codes = np.array(value, dtype=np.int64)
    codes.setflags(write=False)
    return codes


def wants(op: Op) -> Iterator[tuple[int, Int]]:
    """(size, format) that `op` demands of each input."""
    if isinstance(op, Linear):
        yield op.inputs, op.x
    elif isinstance(op, Attention | CrossAttention):
        yield from ((op.size, form) for form in (op.q, op.k, op.v))
    elif isinstance(op, SpatialWeights):
        yield from ((op.bins, form) for form in (op.q, op.k))
    elif isinstance(op, SpatialMix):
        yield from ((op.size, form) for form in (op.a, op.z))
    elif isinstance(op, GEGLU):
        yield from ((op.size, form) for form in (op.a, op.gate))
    elif isinstance(op, Transpose):
        yield op.channels, op.y
    elif isinstance(op, Add | Position):
        yield from ((op.size, op.y) for _ in range(op.arity))
    elif isinstance(op, Lookup):
        yield 2, INDEX
    else:
        yield op.size, op.x


def takes(op: Op) -> Iterator[tuple[int, Int]]:
    """What it `wants`, and what it may be given behind that: a Rotary, the times of its rows."""
    yield from wants(op)
    if isinstance(op, Rotary):
        yield 1, INDEX


def whole(op: Op) -> int | None:
    """Bins of the whole window that `op` needs; None for an op that goes bin by bin."""
    return op.whole if isinstance(op, Attention | Transpose) else None


def flow(node: Node, flows: Mapping[str, Flow], accumulator: Int) -> Flow:
    """What a node gives. UnsupportedOp unless its inputs exist and agree with it and its constants fit."""
    op = node.op
    demanded = list(takes(op))
    if not op.arity <= len(node.inputs) <= len(demanded):
        raise UnsupportedOp(op.kind, node.name, f"it takes {op.arity} inputs, got {len(node.inputs)}")
    if set(node.constants) != set(op.constants):
        raise UnsupportedOp(op.kind, node.name, f"its constants are {op.constants}, got {tuple(node.constants)}")
    for source, (size, form) in zip(node.inputs, demanded, strict=False):
        if source not in flows:
            raise UnsupportedOp(op.kind, node.name, f"its input {source!r} is not an earlier node")
        if (flows[source].size, flows[source].y) != (size, form):
            reason = f"it reads {size} x {form}, {source!r} gives {flows[source]}"
            raise UnsupportedOp(op.kind, node.name, reason)
    try:
        cast(Any, op).check(accumulator, **node.constants)
    except ValueError as error:
        raise UnsupportedOp(op.kind, node.name, str(error)) from error
    return Flow(axis_of(node, [flows[source].axis for source in node.inputs]), op.size, op.y)


def axis_of(node: Node, given: Sequence[Axis]) -> Axis:
    """What the rows of a node's codes are; given: the same of its inputs. UnsupportedOp where those do not suit."""
    op = node.op
    wanted, found = [given[0]] * len(given), given[0]
    if isinstance(op, SpatialWeights):
        found = channels(op.size, given[0].name == EACH)
        wanted = [found, found]
    elif isinstance(op, SpatialMix):
        wanted, found = [channels(op.size, given[0].name == EACH), BINS], BINS
    elif isinstance(op, Transpose):
        wanted, found = [BINS], channels(op.channels, op.causal)
    elif isinstance(op, Position):  # of bins, or of the channels of a whole window
        found = given[0] if given[0] == channels(op.bins) else BINS
        wanted = [found]
    elif isinstance(op, Attention):
        wanted, found = [BINS] * len(given), BINS
    elif isinstance(op, CrossAttention):
        wanted = [given[0], given[1], given[1]]
        if given[1] == BINS:
            raise UnsupportedOp(op.kind, node.name, "its keys must be rows of a window, tokens or latents, not bins")
    for source, axis, want in zip(node.inputs, given, wanted, strict=True):
        if axis != want:
            raise UnsupportedOp(op.kind, node.name, f"it reads rows of {want}, {source!r} has rows of {axis}")
    return found


def feed(inputs: Sequence[Input], form: Int, given: Mapping[str, Any]) -> dict[str, Codes]:
    """Every input's codes [rows, size], constants among them; BadInput. One of size 1 may be given as [rows]."""
    asked = {item.name: item for item in inputs if item.codes is None}
    if given.keys() != asked.keys():
        raise BadInput(f"the network takes {', '.join(asked)}, got {', '.join(given) or 'nothing'}")
    fed = {item.name: item.codes for item in inputs if item.codes is not None}
    rows: dict[Axis, tuple[str, int]] = {}
    for name, item in asked.items():
        try:
            codes = as_codes(given[name], form, name)
        except (TypeError, ValueError) as error:
            raise BadInput(str(error)) from error
        codes = codes[:, None] if codes.ndim == item.size == 1 else codes
        if codes.ndim != 2 or codes.shape[1] != item.size or not len(codes):
            raise BadInput(f"{name} must be [{item.axis}, {item.size}] with a row at least, got {list(codes.shape)}")
        first, many = rows.setdefault(item.axis, (name, len(codes)))
        if len(codes) != many:
            raise BadInput(f"{name} must have a row for each of {first}, {many}, got {len(codes)}")
        fed[name] = codes
    return fed
