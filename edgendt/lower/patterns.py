"""One function per ONNX operator: what it makes of its inputs. A ValueError is a refusal; its text is the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from edgendt.export.nodes import DOMAIN, OWN, op_of
from edgendt.fixed import Codes, Int
from edgendt.lower.values import CodesOf, Constant, Counts, Grid, Product, Refused, Sum, Value, whole
from edgendt.node import Node, takes
from edgendt.ops import Add, Linear, Op, Position, Transpose

QUANT_DOMAINS = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")
ACTIVATION = "its input must be an activation that a Quant node wrote"


@dataclass
class Lowering:
    """What has been found so far: the input's format, the Program's nodes in order, and constants that they read."""

    input: Int | None = None
    bins: int = 0  # of the file's input; 0 where it leaves them open
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, Codes] = field(default_factory=dict)

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

    def arity(self, low: int, high: int | None = None) -> None:
        """ValueError unless the number of inputs is as the operator has it."""
        high = low if high is None else high
        if not low <= len(self.inputs) <= high:
            raise ValueError(f"it must have {low}{f'..{high}' if high > low else ''} inputs, got {len(self.inputs)}")


def scalar(value: Value, what: str) -> float:
    """A constant with one element."""
    if not isinstance(value, Constant) or value.values.size != 1:
        raise ValueError(f"its {what} must be one constant")
    return float(value.values.flat[0])


def grid_of(call: Call) -> Grid:
    """The format of a Quant node: power-of-two scale, no zero point, ties to even."""
    call.arity(4)
    scale, zero, bits = call.inputs[1:]
    if (
        not isinstance(scale, Constant)
        or not scale.values.size
        or not np.isfinite(scale.values).all()
        or (scale.values <= 0).any()
    ):
        raise ValueError("its scale must be constant and positive")
    mantissa, exponent = np.frexp(scale.values.astype(np.float64))
    if (mantissa != 0.5).any():
        raise ValueError(f"its scale must be a power of two, got {float(scale.values[mantissa != 0.5].flat[0]):g}")
    if not isinstance(zero, Constant) or zero.values.any():
        raise ValueError("its zero point must be 0")
    width = scalar(bits, "bit width")
    if width != int(width) or not 1 <= width <= 32:
        raise ValueError(f"its bit width must be an integer 1..32, got {width:g}")
    mode = str(call.attributes.get("rounding_mode", "ROUND")).upper()
    if mode not in ("ROUND", "HALF_EVEN"):
        raise ValueError(f"its rounding_mode must be ROUND (ties to even), got {mode}")
    signed, narrow = bool(call.attributes.get("signed", 1)), bool(call.attributes.get("narrow", 0))
    return Grid(int(width), signed, narrow, 1 - exponent.astype(np.int64))


def quant(call: Call) -> Value:
    """Ends an op: a constant goes on the grid, a waiting sum becomes a Program node."""
    grid = grid_of(call)
    source = call.inputs[0]
    if isinstance(source, Constant):
        return Constant(grid.quantize(source.values), grid, source.name)
    y = grid.format()
    if isinstance(source, Counts):
        return quant_counts(call, source, y)
    if isinstance(source, Product):
        return quant_product(call, source, y)
    if isinstance(source, Sum):
        return quant_sum(call, source, y)
    if isinstance(source, CodesOf) and source.y == y:
        return source
    raise ValueError(f"its input already has a format ({source.y if isinstance(source, CodesOf) else source})")


def quant_counts(call: Call, source: Counts, y: Int) -> CodesOf:
    if y.signed or y.frac:
        raise ValueError("counts must be quantized unsigned with scale 1")
    if call.lowering.input not in (None, y):
        raise ValueError("the input is quantized to two formats")
    call.lowering.input = y
    return CodesOf(source.node, source.channels, y)


def quant_product(call: Call, source: Product, y: Int) -> CodesOf:
    if source.relu and y.signed:
        raise ValueError("a Relu must be followed by an unsigned Quant")
    outputs, inputs = source.weight.shape
    bias = np.zeros(outputs, dtype=np.int64) if source.bias is None else source.bias
    op = Linear(inputs, outputs, source.x.y, source.w, y, source.w_frac)
    return call.lowering.finish(call.name, op, (source.x.node,), {"weight": source.weight, "bias": bias})


def quant_sum(call: Call, source: Sum, y: Int) -> CodesOf:
    first = source.parts[0]
    for part in source.parts:
        if part.y != y:
            raise ValueError(f"a sum and its parts must have one format, {part.node} has {part.y}, the sum {y}")
        if part.size != first.size:
            raise ValueError(f"it adds {first.size} and {part.size} channels")
    inputs = tuple(part.node for part in source.parts)
    if source.table is None:
        return call.lowering.finish(call.name, Add(first.size, y), inputs, {})
    table = whole(source.table, y.frac)
    if table is None or not y.holds(table):
        raise ValueError(f"the position table must hold codes of {y}: quantize it as the sum is")
    return call.lowering.finish(call.name, Position(first.size, len(table), y), inputs, {"table": table})


def product(x: Value, weight: Value) -> Product:
    """x times weight [inputs, outputs]."""
    if not isinstance(x, CodesOf):
        if isinstance(x, Counts):
            raise ValueError("the counts must go through an unsigned Quant node first")
        raise ValueError(f"{ACTIVATION}, then it is multiplied by constant weights")
    if not isinstance(weight, Constant):
        raise ValueError("activations times activations is held only as a node edgendt.Attention")
    if weight.grid is None:
        raise ValueError("its weights must go through a Quant node")
    if not weight.grid.signed:
        raise ValueError("its weights must be signed")
    if weight.values.ndim != 2 or weight.values.shape[0] != x.size:
        raise ValueError(f"its weights must be [{x.size}, outputs], got {list(weight.values.shape)}")
    fracs = weight.grid.fracs
    per_output = np.broadcast_to(fracs, weight.values.shape)
    if (per_output != per_output[:1]).any():
        raise ValueError("its weights must have one scale, or one per output")
    first = int(per_output.flat[0])
    own = None if (per_output == first).all() else tuple(int(frac) for frac in per_output[0])
    codes = whole(weight.values, fracs)
    assert codes is not None  # Grid.quantize put them there
    return Product(x, codes.T.copy(), Int(weight.grid.bits, first), own)


def with_bias(source: Product, bias: Constant) -> Product:
    """The product with a bias that is exact at the accumulator's fraction."""
    if source.bias is not None or source.relu:
        raise ValueError("a second sum must wait for the Quant of the first")
    outputs = len(source.weight)
    if bias.values.size not in (1, outputs) or bias.values.shape[-1:] not in ((), (1,), (outputs,)):
        raise ValueError(f"its bias must be [{outputs}], got {list(bias.values.shape)}")
    codes = whole(np.broadcast_to(bias.values.reshape(-1), (outputs,)), source.sum_fracs)
    if codes is None:
        raise ValueError("its bias must be a multiple of (input scale * weight scale)")
    return replace(source, bias=codes)


def matmul(call: Call) -> Value:
    call.arity(2)
    return product(*call.inputs)


def gemm(call: Call) -> Value:
    call.arity(2, 3)
    if call.attributes.get("alpha", 1.0) != 1 or call.attributes.get("beta", 1.0) != 1 or call.attributes.get("transA"):
        raise ValueError("alpha and beta must be 1 and transA 0")
    x, weight, *bias = call.inputs
    if call.attributes.get("transB") and isinstance(weight, Constant):
        weight = weight.transposed()
    made = product(x, weight)
    if bias and not isinstance(bias[0], Constant):
        raise ValueError("its bias must be constant")
    return with_bias(made, bias[0]) if bias and isinstance(bias[0], Constant) else made


def add(call: Call) -> Value:
    """A bias, a position table, or the residual stream; the order of the inputs does not matter to the first two."""
    call.arity(2)
    left, right = call.inputs
    if isinstance(left, Constant):
        left, right = right, left
    if isinstance(left, Product) and isinstance(right, Constant):
        return with_bias(left, right)
    if isinstance(left, CodesOf) and isinstance(right, CodesOf):
        return Sum((left, right))
    if isinstance(left, CodesOf) and isinstance(right, Constant):
        return Sum((left,), position_table(right, left.size))
    raise ValueError("both inputs must be activations that Quant nodes wrote, or one of them a constant")


def position_table(constant: Constant, size: int) -> Any:
    """The values [bins, size] of a position table, a leading batch dimension of 1 dropped."""
    table = constant.values
    if table.ndim == 3 and len(table) == 1:
        table = table[0]
    if table.ndim != 2 or table.shape[1] != size:
        raise ValueError(f"a constant added to an activation must be [bins, {size}], got {list(table.shape)}")
    return table


def relu(call: Call) -> Value:
    call.arity(1)
    source = call.inputs[0]
    if not isinstance(source, Product):
        raise ValueError("a Relu is held only between a matrix product and its unsigned Quant")
    return replace(source, relu=True)


def transpose(call: Call) -> Value:
    call.arity(1)
    source, axes = call.inputs[0], call.attributes.get("perm")
    if isinstance(source, Constant):
        return source.transposed(None if axes is None else tuple(axes))
    if not isinstance(source, CodesOf) or (axes is not None and list(axes) != [1, 0]):
        raise ValueError("only constants, and activations [bins, channels], can be transposed")
    if not call.lowering.bins:
        raise ValueError("only a whole window is transposed: the input must give its number of bins")
    return call.lowering.finish(call.name, Transpose(source.size, call.lowering.bins, source.y), (source.node,), {})


def identity(call: Call) -> Value:
    call.arity(1)
    return call.inputs[0]


def constant(call: Call) -> Value:
    from onnx import numpy_helper

    call.arity(0)
    if "value" in call.attributes:
        return Constant(np.asarray(numpy_helper.to_array(call.attributes["value"])))
    for key in ("value_float", "value_int", "value_floats", "value_ints"):
        if key in call.attributes:
            return Constant(np.asarray(call.attributes[key]))
    raise ValueError("it must hold a number or a tensor")


def own(kind: str, call: Call) -> Value:
    """A node of our domain: the op is in its attributes, a LayerNorm's codes are constants behind its input."""
    op = op_of(kind, call.attributes)
    further = len(op.constants)
    call.arity(op.arity + further, len(list(takes(op))) + further)
    read, given = call.inputs[: len(call.inputs) - further], call.inputs[len(call.inputs) - further :]
    codes = {}
    for key, value in zip(op.constants, given, strict=True):
        if not isinstance(value, Constant):
            raise ValueError(f"its {key} must be constant codes")
        found = whole(value.values, 0)
        if found is None:
            raise ValueError(f"its {key} must be integers")
        codes[key] = found
    return call.lowering.finish(call.name, op, tuple(activation(call, value) for value in read), codes)


def activation(call: Call, value: Value) -> str:
    """The node or input of the Program that a value is: codes, or a constant that goes in where they do."""
    if isinstance(value, CodesOf):
        return value.node
    if not isinstance(value, Constant) or value.grid is None or not value.name:
        raise ValueError(ACTIVATION)
    y = value.grid.format()
    codes = whole(value.values, 0)
    if y.signed or y.frac or codes is None or codes.ndim != 2:
        raise ValueError("a constant that it reads must be [rows, size], quantized unsigned with scale 1")
    call.lowering.constants[value.name] = codes
    return value.name


STANDARD: dict[str, Callable[[Call], Value]] = {
    "MatMul": matmul,
    "Gemm": gemm,
    "Add": add,
    "Relu": relu,
    "Transpose": transpose,
    "Identity": identity,
    "Constant": constant,
}


def apply(domain: str, kind: str, call: Call) -> Value:
    """The value of one graph node. ValueError with the reason when the Program cannot hold it."""
    if any(isinstance(value, Refused) for value in call.inputs):
        return Refused()
    if domain in QUANT_DOMAINS and kind in ("Quant", "IntQuant"):
        return quant(call)
    if domain == DOMAIN and kind in OWN:
        return own(kind, call)
    if domain in ("", "ai.onnx") and kind in STANDARD:
        return STANDARD[kind](call)
    known = ", ".join(["Quant", *STANDARD, *(f"{DOMAIN}.{name}" for name in OWN)])
    raise ValueError(f"the Program holds {known}")
