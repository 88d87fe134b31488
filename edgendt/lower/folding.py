"""Standard operators whose inputs are known: computed here, by onnx's own reference implementation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx

LARGEST = 1 << 26  # elements of a tensor
# What moves elements and computes nothing.
MOVES = ("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Split", "Slice", "Gather", "Expand")
ARITHMETIC = (
    *("Add", "Sub", "Mul", "Div", "Neg", "Sqrt", "Pow", "Reciprocal", "Exp", "Floor", "Abs", "Min", "Max", "Mod"),
    *("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "And", "Or", "Not", "Where", "IsNaN"),
    *("Cast", "CastLike", "Concat", "Range", "ConstantOfShape", "Trilu", "Tile", "ReduceProd", "Shape", "Size"),
)


def evaluate(node: onnx.NodeProto, opset: int, arrays: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """The outputs of one node. ValueError when it cannot be computed, or is too large to."""
    from onnx import helper, shape_inference
    from onnx.reference import ReferenceEvaluator

    check_size(node, arrays)
    names = [name for name in node.input if name]
    given = dict(zip(names, arrays, strict=True))
    try:
        inputs = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in given.items()
        ]
        outputs = [helper.make_tensor_value_info(name, 0, None) for name in node.output]
        graph = helper.make_graph([node], "one", inputs, outputs)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
        inferred = shape_inference.infer_shapes(model, strict_mode=True)  # what only numpy would take
    except Exception as error:  # of whatever kind the implementation has
        raise _fault(error) from error
    for item in inferred.graph.output:
        bound(float(np.prod([dim.dim_value or 1 for dim in item.type.tensor_type.shape.dim])))
    try:
        with np.errstate(all="ignore"):
            made = ReferenceEvaluator(model).run(None, given)
    except Exception as error:
        raise _fault(error) from error
    return [np.asarray(array) for array in made]


def _fault(error: Exception) -> ValueError:
    said = " ".join(str(error).rpartition("InferenceError] ")[2].split())
    return ValueError(f"it cannot be computed: {said[:120]}")


def bound(size: float) -> None:
    """ValueError when so many elements of an output are absurd."""
    if size > LARGEST:
        raise ValueError(f"its output must have at most {LARGEST} elements, got {size:.3g}")


def check_size(node: onnx.NodeProto, arrays: Sequence[NDArray[Any]]) -> None:
    """ValueError when the output, whose shape the inputs' values give, would be absurdly large."""
    size = 0.0
    if node.op_type in ("ConstantOfShape", "Expand") and arrays:
        size = float(np.prod(np.abs(arrays[-1].astype(np.float64))))
    elif node.op_type == "Tile" and len(arrays) == 2:
        size = arrays[0].size * float(np.prod(np.abs(arrays[1].astype(np.float64))))
    elif node.op_type == "Range" and len(arrays) == 3 and arrays[2].all():
        start, stop, step = (float(array.reshape(-1)[0]) for array in arrays)
        size = (stop - start) / step
    bound(size)
