"""What is malformed of a graph's nodes, as a runtime finds it on loading: fields, names, domains, types of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgendt.export.nodes import DOMAIN
from edgendt.lower.read import QUANT_DOMAINS, STANDARD_DOMAINS, spelt

if TYPE_CHECKING:
    import onnx

    Types = Mapping[str, onnx.TypeProto]

FLOATS = ("float", "double", "float16", "bfloat16")


@dataclass(frozen=True)
class Faults:
    """Of malformed nodes, by their `key`: why they cannot be read; and what else, beside which they are read."""

    unread: dict[str, str] = field(default_factory=dict)
    beside: dict[str, list[str]] = field(default_factory=dict)


def faults(model: onnx.ModelProto, opset: int) -> Faults:
    """What is malformed of each node. An operator that neither a schema nor a function describes may hold anything."""
    graph, bodies = model.graph, {(body.domain, body.name): body for body in model.functions}
    stored = {item.name: tensor(item.data_type) for item in graph.initializer}
    # As a runtime: of data only where they are an input's default, of an output as the output says.
    given = [*(item for item in graph.value_info if item.name not in stored), *graph.input, *graph.output]
    said = {item.name: tensor(number(item.type)) for item in given}
    types = {item.name: said[item.name] for item in graph.input} | stored
    missing = {DOMAIN} - {item.domain for item in model.opset_import}  # qonnx itself leaves out a Quant's
    named: dict[str, str] = {}
    found = Faults()
    for node in graph.node:
        first, told = key(node), []
        if node.domain in missing:
            told.append(f"its domain {node.domain} is in no opset import")
        if node.name and named.setdefault(node.name, first) != first:
            told.append(f"the node that writes {named[node.name]!r} has the same name")
        made, fault = written(node, opset, types, bodies.get((node.domain, node.op_type)))
        told += misdeclared(made | {name: stored[name] for name in node.input if name in stored}, said)
        types |= made
        if fault:
            found.unread[first] = f"it is malformed ({fault})"
        found.beside[first] = [f"it is malformed ({one})" for one in told]
    return found


def misdeclared(types: Types, said: Types) -> list[str]:
    """Where tensors hold other numbers than the file says of them."""
    pairs = [(name, number(holds), number(said.get(name, tensor(0)))) for name, holds in types.items()]
    return [
        f"{name!r} holds {spelt(holds)}, not {spelt(told)} as the file says"
        for name, holds, told in pairs
        if holds and told and holds != told
    ]


def key(node: onnx.NodeProto) -> str:
    """The first tensor that a node writes: no other node has that name."""
    return str(next(name for name in node.output if name))


def tensor(holds: int) -> onnx.TypeProto:
    """A tensor of that type of numbers, of any shape; of type 0, anything."""
    from onnx import TypeProto, helper

    return helper.make_tensor_type_proto(holds, None) if holds else TypeProto()


def number(holds: onnx.TypeProto) -> int:
    """The type of a tensor's numbers; 0 where it is not known."""
    return holds.tensor_type.elem_type


def written(
    node: onnx.NodeProto, opset: int, types: Types, body: onnx.FunctionProto | None
) -> tuple[dict[str, onnx.TypeProto], str]:
    """(Types of what a node writes, as far as they are known; what is malformed of it, or nothing)."""
    from onnx import TensorProto, shape_inference

    if node.domain in STANDARD_DOMAINS:
        return standard(node, opset, types)
    inputs = [types.get(name, tensor(0)) for name in node.input]
    made = inputs[:1] if node.domain in QUANT_DOMAINS else []
    if made and number(made[0]) and spelt(number(made[0])) not in FLOATS:
        made = [tensor(TensorProto.FLOAT)]
    if body is not None:
        with suppress(Exception):  # nothing else is read of it
            made = shape_inference.infer_function_output_types(body, inputs, list(node.attribute))
    return {name: tensor(number(holds)) for name, holds in zip(node.output, made, strict=False) if name}, ""


def standard(node: onnx.NodeProto, opset: int, types: Types) -> tuple[dict[str, onnx.TypeProto], str]:
    """The same of a standard operator, which has a schema."""
    from onnx import defs, helper, shape_inference

    try:
        # Clip takes integers since opset 12; Brevitas writes them in opset 11 too, where they can mean but one thing
        schema = defs.get_schema(node.op_type, 12 if (node.op_type, opset) == ("Clip", 11) else opset, "")
    except defs.SchemaError:
        return {}, ""
    inputs = {name: types.get(name, tensor(0)) for name in node.input}
    wrong = fields(node, opset, schema)
    try:
        made = shape_inference.infer_node_outputs(schema, node, inputs, opset_imports=[helper.make_opsetid("", opset)])
    except Exception as error:  # of whatever kind the operator's inference has
        made = {}  # not known: what reads it is no cause
        if all(number(inputs[name]) for name in node.input if name):  # of an input not known, its words say nothing
            wrong = wrong or " ".join(str(error).split())[:160]
    return {name: tensor(number(holds)) for name, holds in made.items() if name}, wrong


def fields(node: onnx.NodeProto, opset: int, schema: onnx.defs.OpSchema) -> str:
    """What is malformed of a standard operator's attributes or number of inputs; nothing where they are right."""
    from onnx import checker

    context = checker.C.CheckerContext()
    context.ir_version, context.opset_imports = 10, {"": opset}
    try:
        checker.check_node(node, context)
    except checker.ValidationError as error:
        said = str(error).partition("==> Context")[0].replace(f", bad node: {node}", "")
        return " ".join(said.split())[:160]
    for item in node.attribute:  # some operators' are not looked at
        if item.name not in schema.attributes:
            return f"Unrecognized attribute: {item.name} for operator {node.op_type}"
        if (node.op_type, item.name) == ("Gelu", "approximate") and item.s not in (b"none", b"tanh"):
            return "its approximate must be none or tanh"
    return ""
