"""Behind a node that was refused: what is told of those that read it, because it is so whatever they would read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from edgendt.export.nodes import DOMAIN, op_of
from edgendt.lower import arithmetic, einsum, norm, patterns, qcdq
from edgendt.lower.attend import NO_SCORES, softmax_axis
from edgendt.lower.calls import Call
from edgendt.lower.curves import FUNCTIONS, OF_ONE
from edgendt.lower.folding import MOVES
from edgendt.lower.quants import one, spec_of
from edgendt.lower.read import QUANT_DOMAINS, STANDARD_DOMAINS
from edgendt.lower.values import (
    ANYTHING,
    CODES,
    CONSTANT,
    SCORES,
    WAITING,
    CodesOf,
    Constant,
    Counts,
    Moment,
    Refused,
    Scores,
    Steps,
    Value,
    View,
)

ACTIVATION = frozenset((CODES, WAITING))  # no scores
WHERE = "where its elements go must be constant"
PASS = (*MOVES, "Identity", "Dropout", "Cast", "Relu", "QuantizeLinear")


def read(domain: str, kind: str, call: Call) -> Value:
    """What a node makes of inputs of which some were refused. ValueError where it is refused whatever they would be."""
    known = not any(isinstance(value, Refused) for value in call.inputs[1:])  # scale and zero point
    if domain in QUANT_DOMAINS:
        return quant(call)
    if domain == DOMAIN:
        patterns.own_codes(op_of(kind, call.attributes), call)
    elif kind == "QuantizeLinear" and known:
        return qcdq.quantize(call)
    elif kind == "DequantizeLinear" and known:
        qcdq.scale_and_zero(call)
    elif kind in CHECKS:
        CHECKS[kind](call)
    elif kind in FUNCTIONS and CONSTANT not in kinds(call.inputs[0]):
        if any(isinstance(value, Constant) and value.values.size != 1 for value in call.inputs[1:]):
            raise ValueError(OF_ONE)
    return Refused(made_of(domain, kind, call.inputs))


def check_matmul(call: Call) -> None:
    """ValueError for weights that are none."""
    call.arity(2)
    left, right = call.inputs
    if isinstance(left, Constant):
        raise ValueError("its weights must stand on the right of the activation")
    if isinstance(right, Constant):
        patterns.check_weights(right)


def check_gemm(call: Call) -> None:
    """ValueError for fields, weights or a bias that no Linear has."""
    weight = patterns.gemm_weights(call)
    if isinstance(weight, Refused) and CONSTANT in weight.kinds:
        return
    patterns.check_weights(weight)
    assert isinstance(weight, Constant)
    for bias in call.inputs[2:]:
        if not isinstance(bias, Refused):
            patterns.check_bias(bias, weight.values.shape[1])


def check_softmax(call: Call) -> None:
    """ValueError for a Softmax of what can be no scores, or over another axis."""
    if SCORES not in kinds(call.inputs[0]):
        raise ValueError(NO_SCORES)
    softmax_axis(call)


def check_move(call: Call) -> None:
    """ValueError for elements that go to no known place."""
    if any(CONSTANT not in kinds(value) for value in call.inputs[1:]):
        raise ValueError(WHERE)
    perm = list(call.attributes.get("perm", ()))
    if sorted(perm) != list(range(len(perm))):
        raise ValueError(f"its perm must have every axis once, got {perm}")


def check_finite(call: Call) -> None:
    """ValueError for constants that nothing is added to or multiplied by; a mask may add -inf to scores."""
    call.arity(2)
    for value, other in (call.inputs, call.inputs[::-1]):
        if isinstance(value, Constant) and CONSTANT not in (maybe := kinds(other)):
            hidden = value.values == -np.inf if call.node.op_type == "Add" and SCORES in maybe else False
            if not (np.isfinite(value.values) | hidden).all():
                raise ValueError("its constants must be finite")


def check_cast(call: Call) -> None:
    """ValueError for activations that stay no floats."""
    if CONSTANT not in kinds(call.inputs[0]):
        patterns.cast(call)


CHECKS: dict[str, Callable[[Call], object]] = {
    "MatMul": check_matmul,
    "Gemm": check_gemm,
    "Einsum": einsum.check,
    **dict.fromkeys(("Softmax", "LogSoftmax"), check_softmax),
    "LayerNormalization": norm.check,
    "Clip": qcdq.check_limits,
    "Cast": check_cast,
    "Dropout": patterns.dropout,
    **dict.fromkeys(("Add", "Mul"), check_finite),
    **dict.fromkeys(MOVES, check_move),
    **dict.fromkeys(("ReduceMean", "ReduceMax", "ReduceSum", "ReduceLogSumExp"), arithmetic.over_last),
}


def quant(call: Call) -> Refused:
    """A Quant node, by its fields; those that are refused could be any that are right."""
    call.arity(4)
    source, *numbers = call.inputs
    right = (Constant(np.array(number)) for number in (1.0, 0.0, 8.0))
    fields = (good if isinstance(value, Refused) else value for value, good in zip(numbers, right, strict=True))
    grid, steps = spec_of(replace(call, inputs=(source, *fields)))
    maybe = kinds(source)
    if CONSTANT not in maybe:
        one(steps)
    if maybe <= ACTIVATION:
        grid.format()
    return Refused(quantized(maybe))


def quantized(maybe: frozenset[str]) -> frozenset[str]:
    """What a Quant of a value can be."""
    return (maybe - {WAITING}) | ({CODES} if maybe & ACTIVATION else frozenset())


def kinds(value: Value) -> frozenset[str]:
    """What a value is, or can be where it was refused."""
    if isinstance(value, Refused):
        return value.kinds
    if isinstance(value, View | Steps):
        return kinds(value.source)
    if isinstance(value, Counts | Moment):
        return ANYTHING
    known = {Constant: CONSTANT, CodesOf: CODES, Scores: SCORES}
    return frozenset((known.get(type(value), WAITING),))


def made_of(domain: str, kind: str, inputs: tuple[Value, ...]) -> frozenset[str]:
    """What a node's first output can be: no constant where an input is none, but for its shape."""
    maybe = [kinds(value) for value in inputs] or [ANYTHING]
    if kind in ("Shape", "Size") or all(CONSTANT in one for one in maybe):
        return of_kind(domain, kind, maybe)
    return of_kind(domain, kind, maybe) - {CONSTANT}


def of_kind(domain: str, kind: str, maybe: list[frozenset[str]]) -> frozenset[str]:
    """The same, by its operator. maybe: what each input can be."""
    first = maybe[0]
    if domain in QUANT_DOMAINS:
        return quantized(first)
    if domain == DOMAIN:
        return frozenset((CODES,))
    if domain not in STANDARD_DOMAINS:
        return ANYTHING
    if kind == "DequantizeLinear":
        return quantized(first)
    if kind in PASS:
        return first
    if kind in ("Gemm", "LayerNormalization"):
        return frozenset((WAITING,))
    if kind in ("MatMul", "Einsum"):
        return frozenset((WAITING,)) if {CONSTANT} in maybe else frozenset((WAITING, SCORES))
    if kind == "Softmax":
        return first | {SCORES}  # or nothing, where it is no attention's
    if (kind == "Add" and any(one <= ACTIVATION for one in maybe)) or (kind in FUNCTIONS and first <= ACTIVATION):
        return frozenset((WAITING,))
    return ANYTHING
