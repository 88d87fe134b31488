"""What is known while a graph is lowered, and one node of it with its inputs looked up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgendt.fixed import Codes, Int
from edgendt.lower.faults import Faults
from edgendt.lower.values import CodesOf, Curve, Value
from edgendt.node import Node
from edgendt.ops import Op

# Reasons that several functions give.
BINS = "the input must give its number of bins"
ACTIVATION = "its input must be an activation that a Quant node wrote"
CALIBRATE = f"{ACTIVATION}; without one its format is chosen on calibration data (--calibrate)"


@dataclass(frozen=True)
class Place:
    """The tensor of the file that holds a node's values. at [rows, size]: where in it, flattened; None: in order."""

    tensor: str
    at: NDArray[np.int64] | None = None
    factor: float = 1.0

    def columns(self, chosen: list[int], extent: tuple[int, int], factor: float) -> Place:
        """The same for some columns of values that are `extent` large, times `factor`."""
        at = np.arange(extent[0] * extent[1]).reshape(extent) if self.at is None else self.at
        return Place(self.tensor, at[:, chosen], self.factor * factor)


@dataclass(frozen=True)
class Note:
    """Where the Program is not exactly what the file says; error: relative RMS, where it is known.

    node: of nothing else, so that it goes where that goes. bound: without data, `levels.bound` of a change of formats.
    """

    where: str
    what: str
    error: float | None = None
    node: str = ""
    bound: float | None = None


@dataclass
class Lowering:
    """What has been found so far: the input's format, the Program's nodes in order, and constants that they read."""

    input: Int | None = None
    bins: int = 0  # of the file's input; 0 where it leaves them open
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, Codes] = field(default_factory=dict)
    lead: int = 0  # leading dimensions of 1 of the file's input
    opset: int = 0
    faults: Faults = field(default_factory=Faults)
    seen: Mapping[str, NDArray[Any]] = field(default_factory=dict)  # calibration: values of the file's tensors
    notes: list[Note] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)  # of nodes that are not the tensor of their name
    curves: dict[str, Curve] = field(default_factory=dict)  # what nodes are tables of
    parts: list[object] = field(default_factory=list)
    joined: list[tuple[str, ...]] = field(default_factory=list)  # sums and their parts, where formats differ
    forced: Mapping[str, Int] | None = None  # formats of nodes that sums join
    asked: dict[str, Int] = field(default_factory=dict)  # formats as the file has them
    guessed: set[str] = field(default_factory=set)  # behind a refusal: tensors whose formats are stand-ins

    def note(
        self, where: str, what: str, error: float | None = None, node: str = "", bound: float | None = None
    ) -> None:
        """Something to tell the user."""
        self.notes.append(Note(where, what, error, node, bound))

    def found(self, name: str) -> CodesOf | None:
        """The codes of the node of that name, where there is one."""
        node = next((node for node in self.nodes if node.name == name), None)
        return None if node is None else CodesOf(name, node.op.size, node.op.y)

    def format_of(self, name: str, y: Int) -> Int:
        """The format of a node: what the file asks for, or that of everything a sum joins it to."""
        self.asked[name] = y
        return (self.forced or {}).get(name, y)

    def part(self, key: object) -> int:
        """A number for a part of a node, the same for the same part."""
        if key not in self.parts:
            self.parts.append(key)
        return self.parts.index(key)

    def finish(self, name: str, op: Op, inputs: tuple[str, ...], codes: Mapping[str, Codes]) -> CodesOf:
        """Add a Program node; the codes it gives."""
        self.nodes.append(Node(name, op, inputs, codes))
        return CodesOf(name, op.size, op.y)


@dataclass(frozen=True)
class Call:
    """One graph node with its inputs looked up. `name`: the tensor it writes, and the Program node it may end."""

    name: str
    inputs: tuple[Value, ...]
    attributes: Mapping[str, Any]
    lowering: Lowering
    node: Any = None  # of the file
    tensors: tuple[str, ...] = ()  # names of the inputs

    def given(self, at: int) -> Value | None:
        """Input `at` as the operator counts them, some before it left out (names of no letters); None: it is."""
        names = [] if self.node is None else list(self.node.input)
        return self.inputs[sum(map(bool, names[:at]))] if at < len(names) and names[at] else None

    def arity(self, low: int, high: int | None = None) -> None:
        """ValueError unless the number of inputs is as the operator has it."""
        high = low if high is None else high
        if not low <= len(self.inputs) <= high:
            raise ValueError(f"it must have {low}{f'..{high}' if high > low else ''} inputs, got {len(self.inputs)}")


def broadcast(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that all broadcast to. ValueError where there is none."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError as error:
        raise ValueError(f"its shapes do not fit: {' and '.join(str(list(shape)) for shape in shapes)}") from error
