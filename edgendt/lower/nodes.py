"""Our ONNX domain for the qonnx package: executing a node calls the op of edgendt.ops on integer codes.

qonnx finds these classes by name (`edgendt.lower.execute` maps the domain to this module).
"""

from __future__ import annotations

from typing import Any

from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.custom_op.base import CustomOp

from edgendt.export.graph import codes, values
from edgendt.export.nodes import LISTS, attribute_names, defaults, op_of
from edgendt.node import takes


class OwnNode(CustomOp):  # type: ignore[misc]
    """What the nodes share. `like`: the input whose shape the output has."""

    like = 0

    @property
    def kind(self) -> str:
        """The node's operator, a key of export.nodes.OWN."""
        return type(self).__name__

    def get_nodeattr_types(self) -> dict[str, tuple[str, bool, Any]]:
        """Every attribute is an integer or a list of integers, required where the op has no default."""
        absent = defaults(self.kind)
        kinds = {name: "ints" if name in LISTS else "i" for name in attribute_names(self.kind)}
        return {
            name: (kind, name not in absent, absent.get(name, [] if kind == "ints" else 0))
            for name, kind in kinds.items()
        }

    def make_shape_compatible_op(self, model: Any) -> Any:
        """The output has the shape of one input."""
        to = int(TensorProto.FLOAT)
        return helper.make_node("Cast", [self.onnx_node.input[self.like]], [self.onnx_node.output[0]], to=to)

    def infer_node_datatype(self, model: Any) -> None:
        """Values are scaled integers, carried as float32."""
        model.set_tensor_datatype(self.onnx_node.output[0], DataType["FLOAT32"])

    def verify_node(self) -> list[str]:
        """Nothing to report: the op checks itself when it is made."""
        return []

    def execute_node(self, context: Any, graph: Any) -> None:
        """Values to codes, the op, codes to values. ValueError when a value is off its grid."""
        op: Any = op_of(self.kind, {name: self.get_nodeattr(name) for name in attribute_names(self.kind)})
        arrays = [context[name] for name in self.onnx_node.input]
        read = len(arrays) - len(op.constants)
        inputs = [codes(array, y) for array, (_, y) in zip(arrays[:read], takes(op), strict=False)]
        constants = dict(zip(op.constants, arrays[read:], strict=True))
        context[self.onnx_node.output[0]] = values(op.run(*inputs, **constants), op.y)


class LayerNorm(OwnNode):
    """edgendt.LayerNorm: x, gamma codes, beta codes -> y."""


class Attention(OwnNode):
    """edgendt.Attention: q, k, v -> y."""


class Rotary(OwnNode):
    """edgendt.Rotary: x, or x and times -> y; without them row r is time r."""


class SpatialWeights(OwnNode):
    """edgendt.SpatialWeights: q, k -> A."""

    def make_shape_compatible_op(self, model: Any) -> Any:
        """The output has a column per channel."""
        return self.make_const_shape_op([model.get_tensor_shape(self.onnx_node.input[0])[0], self.get_nodeattr("size")])


class Transpose(OwnNode):
    """edgendt.Transpose: x -> y, the time courses of every bin."""

    def make_shape_compatible_op(self, model: Any) -> Any:
        """The output has a row per bin and channel."""
        rows = model.get_tensor_shape(self.onnx_node.input[0])[0] * self.get_nodeattr("channels")
        return self.make_const_shape_op([rows, self.get_nodeattr("bins")])


class SpatialMix(OwnNode):
    """edgendt.SpatialMix: A, z -> y."""

    like = 1


class Lookup(OwnNode):
    """edgendt.Lookup: tokens, table codes, kinds codes -> y."""

    def make_shape_compatible_op(self, model: Any) -> Any:
        """The output has a row per token."""
        return self.make_const_shape_op([model.get_tensor_shape(self.onnx_node.input[0])[0], self.get_nodeattr("size")])


class GEGLU(OwnNode):
    """edgendt.GEGLU: a, gate -> y."""


class CrossAttention(OwnNode):
    """edgendt.CrossAttention: q, k, v -> y."""


class Table(OwnNode):
    """edgendt.Table: x, table codes -> y."""
