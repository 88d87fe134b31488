"""What each operator of a graph is: which function reads it, and what a person is told of one that none reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgendt.export.nodes import DOMAIN, OWN
from edgendt.fixed import Int
from edgendt.lower import attend, norm, qcdq
from edgendt.lower.einsum import einsum
from edgendt.lower.folding import FOLDED, MOVES, evaluate
from edgendt.lower.patterns import (
    FEWEST_BITS,
    Call,
    Place,
    add,
    constant,
    ended,
    gemm,
    grid_of,
    identity,
    own,
    product,
    quant,
    relu,
    scaled,
)
from edgendt.lower.patterns import moved as moved_constant
from edgendt.lower.read import check_node
from edgendt.lower.values import (
    Attended,
    CodesOf,
    Constant,
    Counts,
    Moment,
    Norm,
    Product,
    Refused,
    Scores,
    Source,
    Value,
    View,
)
from edgendt.lower.views import check_bins, extent, flat, normal, picked, view, wrap

QUANT_DOMAINS = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")
# The nearest form that is held, for operators that are not.
NEAREST = {
    "Gelu": "a Relu before the Quant, or POYO's GEGLU",
    "Erf": "a Relu in the place of the Gelu it is part of",
    "Tanh": "a Relu",
    "Sigmoid": "a Relu",
    "Elu": "a Relu",
    "LeakyRelu": "a Relu",
    "HardSwish": "a Relu",
    "Swish": "a Relu",
    "Attention": "its MatMul, Softmax, MatMul (export with an opset below 23)",
    "MultiHeadAttention": "its MatMul, Softmax, MatMul",
    "BatchNormalization": "a LayerNormalization, or its factors folded into the next weights",
    "InstanceNormalization": "a LayerNormalization",
    "RMSNormalization": "a LayerNormalization",
    "GroupNormalization": "a LayerNormalization",
    "LogSoftmax": "log-rates without a normalisation",
    "Conv": "a MatMul of each bin",
    "GRU": "causal attention",
    "LSTM": "causal attention",
    "RNN": "causal attention",
    "If": "an export with fixed shapes, which has one branch",
    "Loop": "an export with fixed shapes, which is unrolled",
    "Scan": "an export with fixed shapes, which is unrolled",
    "BipolarQuant": "a Quant of 2 bits",
    "Trunc": "a Quant",
    "DynamicQuantizeLinear": "QuantizeLinear with a constant scale",
}


def through(call: Call, function: Callable[[Call], Value]) -> Value:
    """A function of one activation, element by element, wherever its elements are."""
    seen = call.inputs[0]
    if not isinstance(seen, View) or seen.factor != 1:
        return function(call)
    made = function(replace(call, inputs=(seen.source, *call.inputs[1:])))
    return normal(call.lowering, replace(seen, source=made)) if isinstance(made, Source) else made


def matmul(call: Call) -> Value:
    """A Linear, or the two products of an attention."""
    call.arity(2)
    left, right = call.inputs
    if not isinstance(left, Constant) and not isinstance(right, Constant):
        return attend.product(call)
    if isinstance(left, Constant):
        raise ValueError("its weights must stand on the right of the activation")
    x, shape = flat(call, left)
    made = product(call, x, right)
    return wrap(call.lowering, made, None if shape is None else (*shape[:-1], len(made.weight)))


def flat_gemm(call: Call) -> Value:
    """Gemm of what may be a view."""
    x, shape = flat(call, call.inputs[0])
    made = gemm(replace(call, inputs=(x, *call.inputs[1:])))
    assert isinstance(made, Product)
    return wrap(call.lowering, made, None if shape is None else (*shape[:-1], len(made.weight)))


def any_quant(call: Call) -> Value:
    """A Quant node: the end of an op, or something that Attention does without."""
    seen = call.inputs[0] if call.inputs else None
    if not isinstance(seen, View) and not isinstance(seen, Attended):
        return quant(call)
    if isinstance(seen, View) and isinstance(seen.source, Counts):
        return through(call, quant)
    grid = grid_of(replace(call, inputs=(seen.source if isinstance(seen, View) else seen, *call.inputs[1:])))
    if isinstance(seen, Attended):
        return attend.attention(call, seen, grid.format())
    if isinstance(seen.source, Scores):
        assert isinstance(grid.frac, int)  # one scale
        return attend.left_out(call, seen, seen.source, grid.bits)
    return quant_view(call, seen, grid.format())


def quant_view(call: Call, seen: View, y: Int) -> Value:
    """Quant of a tensor that shows its source in another order: the source's op, and the same order of its codes."""
    source, index = seen.source, seen.index
    if seen.factor != 1:
        if y.bits < FEWEST_BITS:
            raise ValueError(
                f"an activation times a number cannot be quantized to {y.bits} bits: fold it into the weights"
            )
        call.lowering.note(
            call.name, f"Quant left out: what is multiplied by {seen.factor:.4g} goes into scores as it is"
        )
        return seen
    size = extent(call.lowering, source)[1]
    kept = np.unique(index % size)
    if isinstance(source, Product) and len(kept) < size:
        source = picked(source, tuple(int(column) for column in kept))
        index = index // size * len(kept) + np.searchsorted(kept, index % size)
    made = attend.attention(call, source, y) if isinstance(source, Attended) else ended(call, source, y)
    assert isinstance(made, CodesOf)
    if made != source:
        rows, size = extent(call.lowering, made)
        if index.size != rows * size or len(np.unique(index)) != index.size:
            raise ValueError("some of what a Quant ends is cut off or repeated: put the Quant before that")
        at = np.empty(index.size, np.int64)
        at[index.reshape(-1)] = np.arange(index.size)
        call.lowering.places[made.node] = Place(call.name, at.reshape(rows, size))
    return normal(call.lowering, View(made, index))


def moved(call: Call) -> tuple[Value, ...]:
    """An operator that moves elements, on a view's index; on a constant also on its scales."""
    first, *rest = call.inputs
    if not all(isinstance(value, Constant) for value in rest):
        raise ValueError("where its elements go must be constant")
    known = [np.asarray(value.values) for value in rest if isinstance(value, Constant)]
    if isinstance(first, Constant):
        count = len(call.node.output)
        return tuple(moved_constant(first, partial(part, call, known, at)) for at in range(count))
    seen = view(call.lowering, first)
    made = evaluate(call.node, call.lowering.opset, [seen.index, *known])
    return tuple(
        normal(call.lowering, replace(seen, index=index.astype(np.int64), name=name))
        for index, name in zip(made, call.node.output, strict=True)
    )


def part(call: Call, known: Sequence[NDArray[Any]], at: int, array: NDArray[Any]) -> NDArray[Any]:
    """One output of the node for `array` in the place of its first input."""
    return evaluate(call.node, call.lowering.opset, [array, *known])[at]


def parted(call: Call) -> tuple[Value, Value, bool]:
    """(activation, the other input, True when the activation stands on the right)."""
    call.arity(2)
    left, right = call.inputs
    return (right, left, True) if isinstance(left, Constant) else (left, right, False)


def number(value: Constant, what: str = "the number it is multiplied by") -> float:
    if value.values.size != 1:
        raise ValueError(f"{what} must be one number, got {list(value.values.shape)}")
    return float(value.values.reshape(-1)[0])


def added(call: Call) -> Value:
    """Add: of a mask, an epsilon, a LayerNorm's beta, a bias, a position table, or the residual stream."""
    value, other, _ = parted(call)
    if isinstance(other, Constant):
        if isinstance(value, View) and isinstance(value.source, Scores):
            return attend.add_mask(value, value.source, np.asarray(other.values, np.float64))
        if isinstance(value, Moment) and value.kind == "variance":
            return replace(value, eps=value.eps + number(other, "epsilon"))
        rows, shape = flat(call, value)
        if isinstance(rows, Norm) and (other.values.ndim < 2 or other.values.size == other.values.shape[-1]):
            beta = rows.beta + norm.vector(other, rows.x.size, "bias")
            return wrap(call.lowering, replace(rows, beta=beta), shape)
    (left, first), (right, second) = (flat(call, value) for value in call.inputs)
    made = add(replace(call, inputs=(left, right)))
    assert isinstance(made, Source)
    return wrap(call.lowering, made, first or second)


def subtracted(call: Call) -> Value:
    """Sub: of a mean, or of the largest score."""
    call.arity(2)
    left, right = call.inputs
    if isinstance(right, Moment):
        return norm.centre(call, right)
    if isinstance(right, Constant):
        return added(replace(call, inputs=(left, Constant(-right.values))))
    for a, b in ((left, right),):
        if (
            isinstance(a, View)
            and isinstance(b, View)
            and isinstance(a.source, Scores)
            and isinstance(b.source, Scores)
        ):
            if (a.source.kind, b.source.kind) == ("scores", "largest") and attend.same(a.source, b.source):
                return a
    raise ValueError("a difference is held as part of a LayerNorm or a Softmax only")


def multiplied(call: Call) -> Value:
    """Mul: by a number, by a LayerNorm's gamma, or a step of a LayerNorm or Softmax that is written out."""
    value, other, _ = parted(call)
    if isinstance(value, Moment) and isinstance(other, Moment):
        return norm.times(call, value, other)
    if isinstance(other, Constant):
        return by_constant(call, value, other)
    if isinstance(value, View) and isinstance(other, View):
        for a, b in ((value, other), (other, value)):
            if isinstance(a.source, Scores) and isinstance(b.source, Scores) and b.source.kind == "share":
                return over_total(a, a.source, b.source)
    raise ValueError("activations times activations, element by element, are held as part of a LayerNorm or Softmax")


def by_constant(call: Call, value: Value, other: Constant) -> Value:
    if isinstance(value, View) and isinstance(value.source, Scores):
        return attend.scale(value, value.source, number(other))
    rows, shape = (value, None) if isinstance(value, View) and not isinstance(value.source, Norm) else flat(call, value)
    if isinstance(rows, Norm):
        gamma = norm.vector(other, rows.x.size, "scale")
        return wrap(call.lowering, replace(rows, gamma=rows.gamma * gamma, beta=rows.beta * gamma), shape)
    factor = number(other)
    if factor == 1:
        return value
    if isinstance(rows, Product):
        return scaled(call, rows, factor)
    if isinstance(rows, View) and isinstance(rows.source, Product):
        return replace(rows, source=scaled(call, rows.source, factor))
    seen = view(call.lowering, value)
    if not isinstance(seen.source, CodesOf) or not np.isfinite(factor) or factor <= 0:
        raise ValueError(f"only activations that a Quant wrote are multiplied by a positive number, got {factor:g}")
    return normal(call.lowering, replace(seen, factor=seen.factor * factor))


def over_total(seen: View, source: Scores, total: Scores) -> View:
    """Exponentials over their sum."""
    if source.kind != "exponentials" or not attend.same(source, total):
        raise ValueError("a sum divides only the exponentials that it is of")
    return attend.becomes(seen, source, "probabilities")


def divided(call: Call) -> Value:
    """Div: by a number, by a deviation, or by a sum of exponentials."""
    call.arity(2)
    left, right = call.inputs
    if isinstance(right, Constant):
        return by_constant(call, left, Constant(1.0 / np.asarray(right.values, np.float64)))
    if isinstance(left, Constant):
        if number(left, "what it divides") != 1:
            raise ValueError("only 1 is divided by an activation")
        return inverse(right)
    if isinstance(left, Moment) and isinstance(right, Moment):
        return norm.normalised(call, left, right, "deviation")
    if isinstance(left, View) and isinstance(right, View) and isinstance(left.source, Scores):
        if isinstance(right.source, Scores) and right.source.kind == "total":
            return over_total(left, left.source, right.source)
    raise ValueError("activations over activations are held as part of a LayerNorm or Softmax only")


def inverse(value: Value) -> Value:
    """1 / x, of a deviation or a sum of exponentials."""
    if isinstance(value, Moment):
        return norm.step(value, "deviation", "inverse")
    if isinstance(value, View) and isinstance(value.source, Scores) and value.source.kind == "total":
        return attend.becomes(value, value.source, "share")
    raise ValueError("1 / x is held as part of a LayerNorm or Softmax only")


def powered(call: Call) -> Value:
    call.arity(2)
    moment, exponent = call.inputs
    if not isinstance(moment, Moment) or not isinstance(exponent, Constant):
        raise ValueError("a power is held as part of a LayerNorm only")
    return norm.power(moment, number(exponent, "its exponent"))


def rooted(call: Call) -> Value:
    call.arity(1)
    if not isinstance(call.inputs[0], Moment):
        raise ValueError("a root is held as part of a LayerNorm only")
    return norm.power(call.inputs[0], norm.ROOT)


def exponential(call: Call) -> Value:
    call.arity(1)
    seen = call.inputs[0]
    if not isinstance(seen, View) or not isinstance(seen.source, Scores) or seen.source.kind != "scores":
        raise ValueError("an exponential is held as part of a Softmax only")
    return attend.becomes(seen, seen.source, "exponentials")


def reduced(call: Call) -> Value:
    """ReduceMean of a LayerNorm, ReduceMax and ReduceSum of a Softmax: over the last axis, which stays."""
    call.arity(1, 2)
    value = call.inputs[0]
    axes = call.attributes.get("axes")
    if len(call.inputs) > 1 and isinstance(call.inputs[1], Constant):
        axes = call.inputs[1].values.reshape(-1).tolist()
    dimensions = len(value.shape) if isinstance(value, Moment) else view(call.lowering, value).index.ndim
    if axes is None or list(axes) not in ([-1], [dimensions - 1]):
        raise ValueError(f"it must go over the last axis, got {axes} of {dimensions}")
    if not call.attributes.get("keepdims", 1):
        raise ValueError("it must keep its dimensions (keepdims = 1)")
    if isinstance(value, View) and isinstance(value.source, Scores):
        return attend.reduced(call, value, value.source)
    if call.node.op_type != "ReduceMean":
        raise ValueError("it is held as part of a Softmax only")
    return norm.mean(call)


def where(call: Call) -> Value:
    """A mask: scores where it holds, a large negative number elsewhere, or the other way round."""
    call.arity(3)
    condition, yes, no = call.inputs
    holds = attend.constant_bool(condition)
    for value, other, allowed in ((yes, no, holds), (no, yes, ~holds)):
        if isinstance(value, View) and isinstance(value.source, Scores) and isinstance(other, Constant):
            if allowed.all():
                return value
            if value.source.kind != "scores" or not (np.asarray(other.values) <= attend.NEVER).all():
                raise ValueError(f"a mask must put {attend.NEVER:g} or less in the place of scores")
            return attend.hide(value, value.source, allowed)
    raise ValueError("it is held as the mask of scores only")


def never_nan(call: Call) -> Value:
    """IsNaN of probabilities: no row is hidden wholly, so none is."""
    call.arity(1)
    if not isinstance(call.inputs[0], View) or not isinstance(call.inputs[0].source, Scores):
        raise ValueError("it is held of probabilities only")
    return Constant(np.zeros((), np.bool_))


def shape_of(call: Call) -> Value:
    """Shape and Size of an activation."""
    call.arity(1)
    value = call.inputs[0]
    check_bins(call.lowering)
    index = np.empty(value.shape) if isinstance(value, Moment) else view(call.lowering, value).index
    return Constant(evaluate(call.node, call.lowering.opset, [index])[0])


def dropout(call: Call) -> tuple[Value, ...]:
    """Nothing, outside training."""
    return (call.inputs[0], *(Refused() for _ in call.node.output[1:]))


def cast(call: Call) -> Value:
    """Values stay what they are: a cast to another kind of number than float is refused."""
    from onnx import TensorProto

    floats = (TensorProto.FLOAT, TensorProto.DOUBLE)
    if call.attributes.get("to") not in floats and not isinstance(call.inputs[0], Counts):
        raise ValueError("activations must stay float32")
    return call.inputs[0]


STANDARD: dict[str, Callable[[Call], Value | tuple[Value, ...]]] = {
    "MatMul": matmul,
    "Gemm": flat_gemm,
    "Einsum": lambda call: einsum(call, matmul),
    "Add": added,
    "Sub": subtracted,
    "Mul": multiplied,
    "Div": divided,
    "Relu": lambda call: through(call, relu),
    "Identity": identity,
    "Dropout": dropout,
    "Cast": cast,
    "Constant": constant,
    "LayerNormalization": norm.layernorm,
    "Softmax": attend.softmax,
    "ReduceMean": reduced,
    "ReduceMax": reduced,
    "ReduceSum": reduced,
    "Pow": powered,
    "Sqrt": rooted,
    "Reciprocal": lambda call: inverse(call.inputs[0]),
    "Exp": exponential,
    "Where": where,
    "IsNaN": never_nan,
    "Shape": shape_of,
    "Size": shape_of,
    "Clip": qcdq.clip,
    "QuantizeLinear": qcdq.quantize,
    "DequantizeLinear": lambda call: qcdq.dequantize(call, any_quant),
    **dict.fromkeys((kind for kind in MOVES if kind != "Identity"), moved),
}


def apply(domain: str, kind: str, call: Call) -> tuple[Value, ...]:
    """The values of one graph node. ValueError with the reason when the Program cannot hold it."""
    if any(isinstance(value, Refused) for value in call.inputs):
        return tuple(Refused() for _ in call.node.output)
    if not call.inputs and kind != "Constant":
        raise ValueError("it must have an input")
    if domain in QUANT_DOMAINS and kind in ("Quant", "IntQuant"):
        return (any_quant(call),)
    if domain == DOMAIN and kind in OWN:
        return (flat_own(kind, call),)
    if domain in ("", "ai.onnx") and (kind in STANDARD or kind in FOLDED):
        check_node(call.node, call.lowering.opset)
        known = [value.values for value in call.inputs if isinstance(value, Constant)]
        if kind in FOLDED and kind not in MOVES and known and len(known) == len(call.inputs):
            return tuple(Constant(array) for array in evaluate(call.node, call.lowering.opset, known))
        if kind in STANDARD:
            made = STANDARD[kind](call)
            return made if isinstance(made, tuple) else (made,)
    raise ValueError(unknown(domain, kind))


def flat_own(kind: str, call: Call) -> Value:
    """A node of our domain; it reads rows."""
    read = [flat(call, value) for value in call.inputs]
    made = own(kind, replace(call, inputs=tuple(value for value, _ in read)))
    return made


def unknown(domain: str, kind: str) -> str:
    """What to say of an operator that nothing reads."""
    near = f"; the nearest form that is held: {NEAREST[kind]}" if kind in NEAREST else ""
    return f"no op of the Program is this operator{f' of {domain}' if domain else ''}{near}"
