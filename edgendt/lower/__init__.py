"""QONNX to Program, or the list of what cannot be held. No torch from here on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgendt.errors import BadInput, UnsupportedOp
from edgendt.program import Axis, Input, Node, Program

if TYPE_CHECKING:
    import onnx

    from edgendt.lower.patterns import Lowering
    from edgendt.lower.values import Value


def lower(path: Path | str) -> Program:
    """The Program of a QONNX file.

    UnsupportedOp names every node the Program cannot hold and why; BadInput a file that is no sound ONNX.
    """
    from edgendt.lower import read
    from edgendt.lower.patterns import Lowering
    from edgendt.lower.values import Constant, Counts

    model = read.load(path)
    arrays = read.constants(path, model.graph)
    given = read.inputs(path, model.graph, arrays)
    values: dict[str, Value] = {key: Constant(array, name=key) for key, array in arrays.items()}
    values |= {item.name: Counts(item.size, item.node) for item in given}
    lowering = Lowering(bins=given[0].rows)
    refusals = walk(model.graph, values, lowering)
    if refusals:
        raise gathered(refusals)
    output = finished(model.graph.output[0].name, values, lowering)
    if lowering.input is None:
        raise BadInput(f"{path}: nothing reads the input {given[0].name!r}")
    nodes = needed(lowering.nodes, output)
    name, meta, sums = model.graph.name or Path(path).stem, read.meta(model), read.accumulator(path, model)
    if len(given) == 1:
        return Program(name, given[0].size, lowering.input, nodes, meta, sums)
    inputs = tuple(Input(item.node, item.size, Axis(item.axis)) for item in given)
    constants = tuple(Input.constant(key, codes) for key, codes in lowering.constants.items())
    return Program(name, 0, lowering.input, nodes, meta, sums, inputs + constants)


def walk(graph: onnx.GraphProto, values: dict[str, Value], lowering: Lowering) -> list[UnsupportedOp]:
    """Follow the graph; `values` and `lowering` are filled. What was refused, in order, causes only."""
    from edgendt.lower import read
    from edgendt.lower.patterns import Call, apply
    from edgendt.lower.values import Refused

    refusals = []
    for node in graph.node:
        label = read.label(node)
        try:
            if len(node.output) != 1:
                raise ValueError(f"it must write one tensor, it writes {len(node.output)}")
            inputs = tuple(values[name] for name in node.input if name)
            call = Call(node.output[0], inputs, read.attributes(node), lowering)
            values[node.output[0]] = apply(node.domain, node.op_type, call)
        except (ValueError, TypeError, IndexError) as error:
            refusals.append(UnsupportedOp(node.op_type, label, str(error)))
            values |= {name: Refused() for name in node.output}
    return refusals


def gathered(refusals: list[UnsupportedOp]) -> UnsupportedOp:
    """One error that tells them all; its op and where are the first one's."""
    first, *rest = refusals
    reason = "; ".join([first.reason, *(f"{other.op} at {other.where}: {other.reason}" for other in rest)])
    return UnsupportedOp(first.op, first.where, reason) if rest else first


def finished(name: str, values: dict[str, Value], lowering: Lowering) -> str:
    """The Program node whose codes are the network's output. UnsupportedOp when the output is none."""
    from edgendt.lower.values import CodesOf

    value = values[name]
    if not isinstance(value, CodesOf) or not any(node.name == value.node for node in lowering.nodes):
        raise UnsupportedOp("output", name, "the network must end in a Quant node behind at least one op")
    return value.node


def needed(nodes: list[Node], output: str) -> tuple[Node, ...]:
    """The nodes the output depends on, in order; the output is the last."""
    wanted = {output}
    kept = []
    for node in reversed(nodes):
        if node.name in wanted:
            wanted |= set(node.inputs)
            kept.append(node)
    return tuple(reversed(kept))
