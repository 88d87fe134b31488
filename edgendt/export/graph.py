"""Ops, constants and wiring as a QONNX graph: one float tensor [bins, size] per node, exact on every code's grid."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgendt.export.functions import QUANT_DOMAIN, functions
from edgendt.export.nodes import DOMAIN, VERSION, Own, attributes
from edgendt.fixed import Codes, Int
from edgendt.ops import Add, Linear, Position, SpatialMix, Transpose
from edgendt.program import ACCUMULATOR, BINS, Node, Program

OPSET, IR = 18, 10
META = "edgendt.meta"
SUMS = "edgendt.accumulator"  # bits of it, where it has others than a Program's usual ones
Shape = tuple[int | str, ...]  # a name where every window has its own number of rows


class Graph:
    """A graph under construction; every tensor gets its shape, as the qonnx executor demands."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.shapes: dict[str, Shape] = {}

    def constant(self, name: str, values: Any, dtype: type = np.float32) -> str:
        """An initializer; its name."""
        self.initializers.append(numpy_helper.from_array(np.array(values, dtype=dtype), name))
        return name

    def node(self, kind: str, inputs: list[str], name: str, shape: Shape, domain: str = "", **fields: Any) -> str:
        """A node whose one output has the node's name; that name."""
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, domain=domain, **fields))
        self.shapes[name] = shape
        return name

    def quant(self, source: str, name: str, shape: Shape, y: Int, narrow: bool = False, scale: Any = None) -> str:
        """A Quant node to the format y; `scale` replaces y.scale where each output has its own."""
        inputs = [
            source,
            self.constant(f"{name}.scale", y.scale if scale is None else scale),
            self.constant(f"{name}.zero_point", 0.0),
            self.constant(f"{name}.bits", y.bits),
        ]
        fields = {"signed": int(y.signed), "narrow": int(narrow), "rounding_mode": "ROUND"}
        return self.node("Quant", inputs, name, shape, QUANT_DOMAIN, **fields)

    def rows(self, tensor: str) -> int | str:
        """Rows of a tensor: bins, or channels behind a transpose; of a window's tokens the name of the axis."""
        return self.shapes[tensor][0]

    def linear(self, node: Node, op: Linear) -> None:
        """MatMul by quantized weights, Add of the bias where there is one, Relu for an unsigned output, Quant."""
        shape = (self.rows(node.inputs[0]), op.outputs)
        weight, bias = node.constants["weight"], node.constants["bias"]
        scale = np.ldexp(1.0, -(op.shifts + op.y.frac - op.x.frac))  # [outputs]
        raw = self.constant(f"{node.name}.weight", (weight * scale[:, None]).T)
        own = None if op.w_frac is None else scale[None]
        narrow = not (weight == op.w.lo).any()
        quantized = self.quant(raw, f"{node.name}.weight_quant", weight.shape[::-1], op.w, narrow, own)
        out = self.node("MatMul", [node.inputs[0], quantized], f"{node.name}.matmul", shape)
        if bias.any():
            added = self.constant(f"{node.name}.bias", bias * scale * op.x.scale)
            out = self.node("Add", [out, added], f"{node.name}.add", shape)
        if not op.y.signed:
            out = self.node("Relu", [out], f"{node.name}.relu", shape)
        self.quant(out, node.name, shape, op.y)

    def position(self, node: Node, op: Position) -> None:
        """Add of the quantized table, Quant."""
        shape = (op.bins, op.size)
        raw = self.constant(f"{node.name}.table", node.constants["table"] * op.y.scale)
        table = self.quant(raw, f"{node.name}.table_quant", shape, op.y)
        out = self.node("Add", [node.inputs[0], table], f"{node.name}.add", shape)
        self.quant(out, node.name, shape, op.y)

    def add(self, node: Node, op: Add) -> None:
        """Add, Quant."""
        shape = (self.rows(node.inputs[0]), op.size)
        self.quant(self.node("Add", list(node.inputs), f"{node.name}.add", shape), node.name, shape, op.y)

    def transpose(self, node: Node, op: Transpose) -> None:
        """Transpose."""
        self.node("Transpose", list(node.inputs), node.name, (op.channels, op.bins), perm=[1, 0])

    def own(self, node: Node, op: Own) -> None:
        """One node of our domain; a LayerNorm's gamma and beta, a Lookup's tables, are integer codes."""
        codes = [self.constant(f"{node.name}.{key}", node.constants[key], np.int64) for key in op.constants]
        rows = self.rows(node.inputs[isinstance(op, SpatialMix)])
        if isinstance(op, Transpose):
            rows = int(rows) * op.channels
        shape = (rows, op.size)
        self.node(type(op).__name__, [*node.inputs, *codes], node.name, shape, DOMAIN, **attributes(op))

    def write(self, node: Node) -> None:
        """The nodes of one op."""
        op = node.op
        if isinstance(op, Linear):
            self.linear(node, op)
        elif isinstance(op, Position):
            self.position(node, op)
        elif isinstance(op, Add):
            self.add(node, op)
        elif isinstance(op, Transpose) and not op.causal:
            self.transpose(node, op)
        else:
            self.own(node, op)


def model(program: Program, bins: int) -> onnx.ModelProto:
    """The QONNX model of a Program: inputs float32, counts [bins, channels] or its own, output [rows, outputs] float32.

    bins: of counts. Graph nodes that end an op carry its Program name, and so does the tensor they write.
    """
    graph, inputs, clipped = Graph(), [], {}
    for item in program.sources:
        shape: Shape = (bins if item.axis == BINS else item.axis.length or item.axis.name, item.size)
        if item.codes is None:
            inputs.append(helper.make_tensor_value_info(item.name, TensorProto.FLOAT, shape))
        else:
            graph.constant(item.name, item.codes)
        clipped[item.name] = graph.quant(item.name, f"{item.name}.quant", shape, program.input)
    for node in program.nodes:
        read = tuple(clipped.get(source, source) for source in node.inputs)
        graph.write(Node(node.name, node.op, read, node.constants))
    output = helper.make_tensor_value_info(program.output, TensorProto.FLOAT, graph.shapes.pop(program.output))
    built = helper.make_graph(
        graph.nodes,
        program.name,
        inputs,
        [output],
        graph.initializers,
        value_info=[helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in graph.shapes.items()],
    )
    domains = (("", OPSET), (QUANT_DOMAIN, 1), (DOMAIN, VERSION))
    opsets = [helper.make_opsetid(domain, version) for domain, version in domains]
    bodies = functions(graph.nodes, OPSET)
    made = helper.make_model(built, opset_imports=opsets, ir_version=IR, producer_name="edgendt", functions=bodies)
    sums = {} if program.accumulator == ACCUMULATOR else {SUMS: str(program.accumulator.bits)}
    helper.set_model_props(made, {META: json.dumps(dict(program.meta)), **sums})
    return made


def values(codes: Codes, y: Int) -> NDArray[np.float32]:
    """Codes as the float32 values a graph carries (exact: every code has at most 24 bits)."""
    return (codes * y.scale).astype(np.float32)


def codes(values: NDArray[Any], y: Int) -> Codes:
    """Values on the grid of y as codes. ValueError when one is off the grid or out of range."""
    scaled = np.asarray(values, dtype=np.float64) / y.scale
    rounded = scaled.astype(np.int64)
    if not np.array_equal(rounded, scaled) or not y.holds(rounded):
        raise ValueError(f"values must be multiples of 2**-{y.frac} in {y.lo}..{y.hi}")
    return rounded
