"""Arithmetic written as Python expressions, kept as ONNX nodes: what the bodies of functions are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import AttributeProto, TensorProto, helper, numpy_helper


class Body:
    """The nodes of one function under construction; attributes of the function become tensors where they are read.

    uses: the nodes of a graph that will call it.
    """

    def __init__(self, uses: Sequence[onnx.NodeProto] = ()) -> None:
        self.uses = uses
        self.nodes: list[onnx.NodeProto] = []
        self.attributes: list[str] = []

    def call(self, kind: str, *inputs: Tensor | ArrayLike, **fields: Any) -> Tensor:
        """The one result of an operator; what is no tensor becomes a constant."""
        names = [self.tensor(each).name for each in inputs]
        return self._add(helper.make_node(kind, names, [f"t{len(self.nodes)}"], **fields))

    def tensor(self, value: Tensor | ArrayLike) -> Tensor:
        """`value`, or a constant of it: int64 or float64."""
        if isinstance(value, Tensor):
            return value
        array = np.asarray(value)
        kept = numpy_helper.from_array(array.astype(np.float64 if array.dtype.kind == "f" else np.int64))
        return self._add(helper.make_node("Constant", [], [f"t{len(self.nodes)}"], value=kept))

    def input(self, name: str) -> Tensor:
        return Tensor(self, name)

    def used(self, name: str) -> list[int]:
        """Every value that an integer attribute has where the function is called."""
        found = {each.i for node in self.uses for each in node.attribute if each.name == name}
        return sorted(found)

    def attribute(self, name: str, several: bool = False) -> Tensor:
        """An integer attribute of the function, or a list of them, as int64."""
        key = "value_ints" if several else "value_int"
        node = helper.make_node("Constant", [], [f"t{len(self.nodes)}"])
        kind = AttributeProto.INTS if several else AttributeProto.INT
        node.attribute.append(AttributeProto(name=key, type=kind, ref_attr_name=name))
        if name not in self.attributes:
            self.attributes.append(name)
        return self._add(node)

    def function(self, domain: str, name: str, inputs: list[str], output: Tensor, opset: int) -> onnx.FunctionProto:
        """The function that gives `output` under the name y."""
        self.nodes.append(helper.make_node("Identity", [output.name], ["y"]))
        imports = [helper.make_opsetid("", opset)]
        return helper.make_function(domain, name, inputs, ["y"], self.nodes, imports, self.attributes)

    def _add(self, node: onnx.NodeProto) -> Tensor:
        self.nodes.append(node)
        return Tensor(self, node.output[0])


class Tensor:
    """A tensor of a body. Arithmetic broadcasts as numpy's does; both sides must have one element type."""

    def __init__(self, body: Body, name: str) -> None:
        self.body, self.name = body, name

    def call(self, kind: str, *others: Tensor | ArrayLike, **fields: Any) -> Tensor:
        """An operator whose first input this is."""
        return self.body.call(kind, self, *others, **fields)

    def __add__(self, other: Tensor | ArrayLike) -> Tensor:
        return self.call("Add", other)

    def __sub__(self, other: Tensor | ArrayLike) -> Tensor:
        return self.call("Sub", other)

    def __mul__(self, other: Tensor | ArrayLike) -> Tensor:
        return self.call("Mul", other)

    def __truediv__(self, other: Tensor | ArrayLike) -> Tensor:
        return self.call("Div", other)

    def __matmul__(self, other: Tensor) -> Tensor:
        return self.call("MatMul", other)

    def __neg__(self) -> Tensor:
        return self.call("Neg")

    def __ge__(self, other: Tensor | ArrayLike) -> Tensor:
        return self.call("GreaterOrEqual", other)

    def __lt__(self, other: Tensor | ArrayLike) -> Tensor:
        return self.call("Less", other)

    def __and__(self, other: Tensor) -> Tensor:
        return self.call("And", other)

    def __or__(self, other: Tensor) -> Tensor:
        return self.call("Or", other)

    def where(self, then: Tensor | ArrayLike, otherwise: Tensor | ArrayLike) -> Tensor:
        return self.call("Where", then, otherwise)

    def round(self) -> Tensor:
        """To the nearest whole number, ties to even."""
        return self.call("Round")

    def floor(self) -> Tensor:
        return self.call("Floor")

    def wide(self) -> Tensor:
        """In double precision."""
        return self.call("Cast", to=int(TensorProto.DOUBLE))

    def whole(self) -> Tensor:
        """As int64."""
        return self.call("Cast", to=int(TensorProto.INT64))

    def values(self) -> Tensor:
        """As float32, which is what graphs carry."""
        return self.call("Cast", to=int(TensorProto.FLOAT))

    def sum(self, axis: int, keep: bool = True) -> Tensor:
        return self.call("ReduceSum", [axis], keepdims=int(keep))

    def max(self, axis: int) -> Tensor:
        return self.call("ReduceMax", [axis], keepdims=1)

    def reshape(self, *shape: int | Tensor) -> Tensor:
        """Sizes are numbers (0: as before, -1: the rest) or int64 tensors of one element."""
        sizes = [each.call("Reshape", [1]) if isinstance(each, Tensor) else self.body.tensor([each]) for each in shape]
        return self.call("Reshape", self.body.call("Concat", *sizes, axis=0))

    def like(self, other: Tensor) -> Tensor:
        """In the shape of `other`."""
        return self.call("Reshape", other.call("Shape"))

    def transpose(self, *axes: int) -> Tensor:
        return self.call("Transpose", perm=list(axes))

    def column(self, *axes: int) -> Tensor:
        """With new axes of length 1."""
        return self.call("Unsqueeze", list(axes))

    def of(self, table: ArrayLike) -> Tensor:
        """Entries of a table, this its addresses."""
        return self.body.call("Gather", table, self)
