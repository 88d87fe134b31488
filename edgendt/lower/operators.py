"""What each operator of a graph is: which function reads it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgendt.export.nodes import DOMAIN, OWN
from edgendt.lower import arithmetic, attend, behind, curves, norm, patterns, qcdq
from edgendt.lower.calls import Call, Lowering
from edgendt.lower.einsum import einsum
from edgendt.lower.faults import key
from edgendt.lower.folding import ARITHMETIC, MOVES, evaluate
from edgendt.lower.quants import format_of, one, quant, spec_of
from edgendt.lower.read import QUANT_DOMAINS, STANDARD_DOMAINS
from edgendt.lower.values import (
    CONSTANT,
    Constant,
    Counts,
    Moment,
    Product,
    Refused,
    Scores,
    Source,
    Steps,
    Value,
    View,
)
from edgendt.lower.views import check_bins, flat, normal, view, wrap


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
    made = patterns.product(call, x, right)
    return wrap(call.lowering, made, None if shape is None else (*shape[:-1], len(made.weight)))


def flat_gemm(call: Call) -> Value:
    """Gemm of what may be a view."""
    x, shape = flat(call, call.inputs[0])
    if (axes := call.lowering.lead + 2 if shape is None else len(shape)) != 2:
        raise ValueError(f"it must read a matrix, got {axes} axes: MatMul reads more")
    made = patterns.gemm(replace(call, inputs=(x, *call.inputs[1:])))
    assert isinstance(made, Product)
    return wrap(call.lowering, made, None if shape is None else (*shape[:-1], len(made.weight)))


def any_quant(call: Call) -> Value:
    """A Quant node: the end of an op, or something that Attention does without."""
    seen = call.inputs[0]
    if isinstance(seen, Refused):
        return behind.quant(call)
    check_axes(call, seen)
    if not isinstance(seen, View):
        return quant(call)
    if isinstance(seen.source, Counts):
        return through(call, quant)
    if isinstance(seen.source, Scores):
        grid, steps = spec_of(call)
        one(steps)
        return attend.left_out(call, seen, seen.source, grid.bits)
    return attend.quant_view(call, seen, format_of(call))


def check_axes(call: Call, seen: Value) -> None:
    """ValueError for fields of a Quant that give its output more axes than its input."""
    axes = call.lowering.lead + 2
    if isinstance(seen, View | Constant):
        axes = max((seen.index if isinstance(seen, View) else seen.values).ndim, 1)
    for value in call.inputs[1:]:
        if isinstance(value, Constant) and value.values.dtype == np.bool_:
            raise ValueError("its scale, zero point and bit width must be numbers, got bool")
        if isinstance(value, Constant) and value.values.ndim > axes:
            raise ValueError(f"its scale, zero point and bit width must have at most {axes} axes, as its input")


def moved(call: Call) -> tuple[Value, ...]:
    """An operator that moves elements, on a view's index; on a constant also on its scales."""
    first, *rest = call.inputs
    if not all(isinstance(value, Constant) for value in rest):
        raise ValueError(behind.WHERE)
    known = [np.asarray(value.values) for value in rest if isinstance(value, Constant)]
    if isinstance(first, Constant):
        count = len(call.node.output)
        return tuple(patterns.moved(first, partial(part, call, known, at)) for at in range(count))
    seen = view(call.lowering, first)
    made = evaluate(call.node, call.lowering.opset, [seen.index, *known])
    return tuple(
        normal(call.lowering, replace(seen, index=index.astype(np.int64), name=name))
        for index, name in zip(made, call.node.output, strict=True)
    )


def part(call: Call, known: Sequence[NDArray[Any]], at: int, array: NDArray[Any]) -> NDArray[Any]:
    """One output of the node for `array` in the place of its first input."""
    return evaluate(call.node, call.lowering.opset, [array, *known])[at]


def shape_of(call: Call) -> Value:
    """Shape and Size of an activation."""
    call.arity(1)
    value = call.inputs[0]
    check_bins(call.lowering)
    index = np.empty(value.shape) if isinstance(value, Moment) else view(call.lowering, value).index
    return Constant(evaluate(call.node, call.lowering.opset, [index])[0])


UNREAD = "no op of the Program is this operator of an activation"
STANDARD: dict[str, Callable[[Call], Value | tuple[Value, ...]]] = {
    "MatMul": matmul,
    "Gemm": flat_gemm,
    "Einsum": lambda call: einsum(call, matmul),
    "Add": arithmetic.added,
    "Sub": arithmetic.subtracted,
    "Mul": arithmetic.multiplied,
    "Div": arithmetic.divided,
    "Relu": lambda call: through(call, patterns.relu),
    "Identity": patterns.identity,
    "Dropout": lambda call: (patterns.dropout(call), *(Refused() for _ in call.node.output[1:])),
    "Cast": patterns.cast,
    "Constant": patterns.constant,
    "LayerNormalization": norm.layernorm,
    "Softmax": attend.softmax,
    "LogSoftmax": partial(attend.softmax, kind="logs"),
    "ReduceMean": arithmetic.reduced,
    "ReduceMax": arithmetic.reduced,
    "ReduceSum": arithmetic.reduced,
    "ReduceLogSumExp": arithmetic.reduced,
    "Pow": arithmetic.powered,
    "Sqrt": arithmetic.rooted,
    "Reciprocal": lambda call: arithmetic.inverse(call.inputs[0]),
    "Exp": arithmetic.exponential,
    "Where": arithmetic.where,
    "IsNaN": arithmetic.never_nan,
    "Shape": shape_of,
    "Size": shape_of,
    "Clip": qcdq.clip,
    "QuantizeLinear": qcdq.quantize,
    "DequantizeLinear": lambda call: qcdq.dequantize(call, any_quant),
    **dict.fromkeys(MOVES, moved),
}


def apply(domain: str, kind: str, call: Call) -> tuple[Value, ...]:
    """The values of one graph node. ValueError with the reason when the Program cannot hold it."""
    check_kind(domain, kind, call)
    unread = kind in ARITHMETIC and kind not in (*STANDARD, *curves.FUNCTIONS, *curves.POWERS)
    if unread and any(CONSTANT not in behind.kinds(value) for value in call.inputs):
        raise ValueError(UNREAD)
    if any(isinstance(value, Refused) for value in call.inputs):
        return (behind.read(domain, kind, call), *(Refused() for _ in call.node.output[1:]))
    if domain in QUANT_DOMAINS:
        return (any_quant(call),)
    if domain == DOMAIN:
        return (flat_own(kind, call),)
    if curves.holds(kind, call):
        return (curves.applied(call),)
    known = [value.values for value in call.inputs if isinstance(value, Constant)]
    if kind in (*ARITHMETIC, *curves.FUNCTIONS) and known and len(known) == len(call.inputs):
        return tuple(Constant(array) for array in evaluate(call.node, call.lowering.opset, known))
    if kind in STANDARD:
        made = STANDARD[kind](call)
        return made if isinstance(made, tuple) else (made,)
    if kind in curves.FUNCTIONS:
        raise ValueError(curves.OF_ONE)
    raise ValueError(UNREAD)


def instead(node: Any, inputs: tuple[Value, ...], lowering: Lowering) -> Value:
    """What stands for the first output of a node that was refused: of a Quant by its fields, what right ones give."""
    quants = node.domain in QUANT_DOMAINS and node.op_type in ("Quant", "IntQuant")
    if quants and len(inputs) == 4 and not isinstance(inputs[0], Refused):
        call = Call(node.output[0], inputs, {}, lowering, node, tuple(name for name in node.input if name))
        with suppress(Exception):  # of whatever kind the node itself gave: it is not refused by its fields
            return any_quant(behind.repaired(call))
    return behind.refused(node.domain, node.op_type, inputs, lowering)


def check_kind(domain: str, kind: str, call: Call) -> None:
    """ValueError for an operator that nothing reads, or one that is malformed, whatever its inputs are."""
    standard = domain in STANDARD_DOMAINS and kind in (*STANDARD, *ARITHMETIC, *curves.FUNCTIONS)
    quants = domain in QUANT_DOMAINS and kind in ("Quant", "IntQuant")
    if not (standard or quants or (domain == DOMAIN and kind in OWN)):
        raise ValueError(f"no op of the Program is this operator{f' of {domain}' if domain else ''}")
    if not call.inputs and kind != "Constant":
        raise ValueError("it must have an input")
    if said := call.lowering.faults.unread.get(key(call.node)):
        raise ValueError(said)
    if standard:
        check_constants(kind, call)
    elif len(call.node.output) != 1:
        raise ValueError(f"it must have one output, got {len(call.node.output)}")


def check_constants(kind: str, call: Call) -> None:
    """ValueError for a constant of more axes than the activations that an operator computes it with."""
    from onnx import defs

    formal = [item.type_str for item in defs.get_schema(kind, call.lowering.opset, "").inputs]
    given = [(formal[min(at, len(formal) - 1)], call.given(at)) for at in range(len(call.node.input))]
    most = max([4, *(value.index.ndim for value in call.inputs if isinstance(value, View))])  # 4: a mask's
    computed = {of for of, value in given if not isinstance(value, Constant | Refused | Steps | None)}
    for of, value in given:
        if of in computed and isinstance(value, Constant) and value.values.ndim > most:
            raise ValueError(f"its constants must have at most {most} axes, got {list(value.values.shape)}")


def flat_own(kind: str, call: Call) -> Value:
    """A node of our domain; it reads rows."""
    read = [flat(call, value) for value in call.inputs]
    made = patterns.own(kind, replace(call, inputs=tuple(value for value, _ in read)))
    return made
