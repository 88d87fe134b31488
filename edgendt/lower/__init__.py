"""QONNX to Program, or the list of what cannot be held. No torch from here on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from edgendt.errors import BadInput, UnsupportedOp, gathered
from edgendt.ops import Attention
from edgendt.program import Axis, Input, Node, Program

if TYPE_CHECKING:
    import onnx

    from edgendt.fixed import Int
    from edgendt.lower.calls import Lowering, Note, Place
    from edgendt.lower.read import Given
    from edgendt.lower.values import Value

    Formats = Mapping[str, Int]

Arrays = Mapping[str, NDArray[Any]]
Calibration = Sequence[NDArray[Any]]


@dataclass(frozen=True)
class Lowered:
    """A Program, where it is not exactly what the file says, and which of the file's tensors its nodes are."""

    program: Program
    notes: tuple[Note, ...]
    places: Mapping[str, Place]


def lower(path: Path | str) -> Program:
    """The Program of a QONNX file.

    UnsupportedOp names every node the Program cannot hold and why; BadInput a file that is no sound ONNX.
    """
    return lowered(path).program


def lowered(path: Path | str, calibration: Calibration | None = None, bins: int = 0) -> Lowered:
    """The same, with all that there is to tell. calibration: counts [bins, channels] of some trials; bins: of a file
    that leaves them open.
    """
    from edgendt.lower import read
    from edgendt.lower.deviation import ranges

    model = read.load(path)
    arrays = read.constants(path, model.graph)
    given = read.inputs(path, model.graph, arrays, bins)
    seen = {} if calibration is None else ranges(model, given, calibration)
    return attempt(path, model, arrays, given, seen)


def attempt(
    path: Path | str,
    model: onnx.ModelProto,
    arrays: Arrays,
    given: Sequence[Given],
    seen: Arrays,
    forced: Formats | None = None,
) -> Lowered:
    """Lower once; where parts of a sum have other formats than it, once more with one format for all of them."""
    from edgendt.lower import read
    from edgendt.lower.calls import Lowering
    from edgendt.lower.faults import faults
    from edgendt.lower.formats import common
    from edgendt.lower.nearest import refusal
    from edgendt.lower.values import Constant, Counts

    values: dict[str, Value] = {key: Constant(array, name=key) for key, array in arrays.items()}
    values |= {item.name: Counts(item.size, item.node) for item in given}
    opset = read.opset(path, model)
    lead, wrong = given[0].lead, faults(model, opset)
    lowering = Lowering(bins=given[0].rows, lead=lead, opset=opset, faults=wrong, seen=seen, forced=forced)
    name = model.graph.output[0].name
    refusals = walk(model.graph, values, lowering)
    sums = read.accumulator(path, model)
    if refusals:
        known = [node for node in lowering.nodes if lowering.guessed.isdisjoint(node.inputs)]
        raise gathered([*refusals, *unfit(known, sums), *ending(name, values, lowering)])
    if forced is None and (one := common(lowering)):
        made = attempt(path, model, arrays, given, seen, one)
        return replace(made, notes=made.notes + tuple(note for note in lowering.notes if "joined by" in note.what))
    output = finished(name, values, lowering)
    if lowering.input is None:
        raise BadInput(f"{path}: nothing reads the input {given[0].name!r}")
    nodes = of_one_window(needed(lowering.nodes, output))
    unused = {node.name for node in lowering.nodes} - {node.name for node in nodes}
    title, meta = model.graph.name or Path(path).stem, read.meta(model)
    inputs = tuple(Input(item.node, item.size, Axis(item.axis)) for item in given)
    inputs += tuple(Input.constant(key, codes) for key, codes in lowering.constants.items())
    size, inputs = (0, inputs) if len(given) > 1 else (given[0].size, ())
    if refusals := unfit(nodes, sums):
        raise gathered(refusals)
    try:
        program = Program(title, size, lowering.input, nodes, meta, sums, inputs)
    except UnsupportedOp as error:
        raise refusal(error.op, error.where, error.reason) from error
    for kind in read.other_bodies(model):
        lowering.note(kind, "the file's own body of it is not read: it is taken as its name says")
    notes = tuple(note for note in lowering.notes if note.node not in unused)
    return Lowered(program, notes, lowering.places)


def of_one_window(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Where an attention needs the whole window, the causal ones beside it see no bin ahead in it: none streams."""
    bins = next((node.op.window for node in nodes if isinstance(node.op, Attention) and not node.op.causal), None)
    if bins is None:
        return tuple(nodes)
    return tuple(
        replace(node, op=replace(node.op, window=bins, causal=False, back=min(node.op.window, bins) - 1, ahead=0))
        if isinstance(node.op, Attention) and node.op.causal
        else node
        for node in nodes
    )


def walk(graph: onnx.GraphProto, values: dict[str, Value], lowering: Lowering) -> list[UnsupportedOp]:
    """Follow the graph; `values` and `lowering` are filled. What was refused, in order, causes only."""
    from edgendt.lower import read
    from edgendt.lower.calls import Call
    from edgendt.lower.faults import key
    from edgendt.lower.nearest import refusal
    from edgendt.lower.operators import apply, instead
    from edgendt.lower.values import Refused

    refusals = []
    for node in graph.node:
        inputs: tuple[Value, ...] = ()
        for said in lowering.faults.beside.get(key(node), []):
            refusals.append(refusal(node.op_type, read.label(node), said, node.domain))
        try:
            names = tuple(name for name in node.input if name)
            inputs = tuple(values[name] if name in values else unheld(name) for name in names)
            call = Call(node.output[0], inputs, read.attributes(node), lowering, node, names)
            with np.errstate(all="ignore"):
                values |= dict(zip(node.output, apply(node.domain, node.op_type, call), strict=False))
        except Exception as error:  # strange attributes raise nearly anything
            said = str(error) if isinstance(error, ValueError) else f"it is malformed ({type(error).__name__}: {error})"
            refusals.append(refusal(node.op_type, read.label(node), " ".join(said.split()), node.domain))
            first, *more = node.output
            values[first] = instead(node, inputs, lowering)
            values |= dict.fromkeys(more, Refused())
    return refusals


def ending(name: str, values: dict[str, Value], lowering: Lowering) -> list[UnsupportedOp]:
    """What is refused of the network's output, where nodes before it were."""
    from edgendt.lower.values import CODES, Refused

    value = values.get(name)
    if isinstance(value, Refused) and CODES in value.kinds:
        return []
    try:
        finished(name, values, lowering)
    except UnsupportedOp as error:
        return [error]
    return []


def unheld(name: str) -> Value:
    """ValueError for an output that nothing is known of."""
    raise ValueError(f"it reads {name!r}, a further output of a node of which only the first is held")


def finished(name: str, values: dict[str, Value], lowering: Lowering) -> str:
    """The Program node whose codes are the network's output. UnsupportedOp when the output is none."""
    from edgendt.lower.calls import Call
    from edgendt.lower.nearest import refusal
    from edgendt.lower.values import CodesOf
    from edgendt.lower.views import flat

    try:
        value, _ = flat(Call(name, (), {}, lowering), values[name] if name in values else unheld(name))
    except ValueError as error:
        raise refusal("output", name, str(error)) from error
    if not isinstance(value, CodesOf) or not any(node.name == value.node for node in lowering.nodes):
        raise refusal("output", name, "the network must end in a Quant node behind at least one op")
    return value.node


def unfit(nodes: Sequence[Node], sums: Int) -> list[UnsupportedOp]:
    """Every node whose constants or sums are out of range; a Program names the first."""
    from edgendt.lower.nearest import refusal

    refusals = []
    for node in nodes:
        try:
            cast(Any, node.op).check(sums, **node.constants)
        except ValueError as error:
            refusals.append(refusal(node.op.kind, node.name, str(error)))
    return refusals


def needed(nodes: list[Node], output: str) -> tuple[Node, ...]:
    """The nodes the output depends on, in order; the output is the last."""
    wanted = {output}
    kept = []
    for node in reversed(nodes):
        if node.name in wanted:
            wanted |= set(node.inputs)
            kept.append(node)
    return tuple(reversed(kept))
