"""Behind a node that was refused: what is told of those that read it, because it is so whatever they would read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from edgendt.export.nodes import DOMAIN, op_of
from edgendt.fixed import Int
from edgendt.lower import arithmetic, einsum, norm, patterns, qcdq
from edgendt.lower.attend import NO_SCORES, softmax_axis
from edgendt.lower.calls import CALIBRATE, Call, Lowering
from edgendt.lower.curves import ARITHMETIC, FUNCTIONS, OF_ONE
from edgendt.lower.folding import MOVES
from edgendt.lower.quants import one, quant_product, spec_of, unit
from edgendt.lower.read import QUANT_DOMAINS, STANDARD_DOMAINS, attributes
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
    Product,
    Refused,
    Scores,
    Source,
    Steps,
    Value,
    View,
)
from edgendt.lower.views import OPEN, extent

ACTIVATION = frozenset((CODES, WAITING))  # no scores
WHERE = "where its elements go must be constant"
PASS = (*MOVES, "Identity", "Dropout", "Cast", "Relu", "QuantizeLinear")
REDUCED = ("ReduceMean", "ReduceMax", "ReduceSum", "ReduceLogSumExp", "Shape", "Size")
READERS = ("MatMul", "Gemm", "LayerNormalization", "ReduceMean")  # of codes, no sum that waits
GUESS = Int(8)


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
        if made := product(kind, call):
            return made
    elif kind in FUNCTIONS and CONSTANT not in kinds(call.inputs[0]):
        if any(isinstance(value, Constant) and value.values.size != 1 for value in call.inputs[1:]):
            raise ValueError(OF_ONE)
    if kind == "Add":  # whose Quant would give them its format
        call.lowering.guessed.update(call.tensors)
    return refused(domain, kind, call.inputs, call.lowering)


def product(kind: str, call: Call) -> Product | None:
    """A product of rows by constant weights, whatever the rows are. ValueError where they wait for a Quant."""
    x = call.inputs[0]
    if kind not in READERS or not isinstance(x, Refused) or CONSTANT in x.kinds:
        return None
    if x.kinds == {WAITING} and call.tensors[0] not in {*call.lowering.seen, *call.lowering.guessed}:
        raise ValueError(CALIBRATE)
    weight = call.inputs[1] if len(call.inputs) > 1 else None
    if kind != "MatMul" or not x.rows or not isinstance(weight, Constant):
        return None
    return patterns.product(call, stand_in(call.lowering, call.tensors[0], len(weight.values)), weight)


def stand_in(lowering: Lowering, name: str, size: int, y: Int = GUESS) -> CodesOf:
    """Codes in the place of a tensor that was refused; what depends on their format is not looked at."""
    lowering.guessed.add(name)
    return CodesOf(name, size, y)


def repaired(call: Call) -> Call:
    """A Quant with right fields in the place of those that are not; one that says its format makes it a guess."""
    given = attributes(call.node)
    source, *numbers = call.inputs
    weights = isinstance(source, Constant)
    fields = {"signed": int(given.get("signed", 1) == 1), "narrow": int(weights and given.get("narrow") == 1)}
    right: list[Value] = [Constant(np.array(number)) for number in (1.0, 0.0, 8.0)]
    made = list(right)
    for at in (0, 2):
        made[at] = numbers[at]
        try:
            _, steps = spec_of(replace(call, inputs=(source, *made)))
            if not weights:
                one(steps)
        except ValueError:
            made[at] = right[at]
            call.lowering.guessed.add(call.name)
    return replace(call, inputs=(source, *made), attributes=fields)


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


def axes_of(call: Call) -> int:
    """Axes of the first input; 0 where they are not known."""
    x = call.inputs[0]
    return call.lowering.lead + 2 if isinstance(x, Refused) and x.rows else 0


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
    "LayerNormalization": lambda call: norm.check(call, axes_of(call)),
    "Clip": qcdq.check_limits,
    "Cast": check_cast,
    "Dropout": patterns.dropout,
    **dict.fromkeys(("Add", "Mul"), check_finite),
    **dict.fromkeys(MOVES, check_move),
    **dict.fromkeys(REDUCED[:4], lambda call: arithmetic.over_last(call, axes_of(call))),
}


def quant(call: Call) -> Value:
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
        y = grid.format()
        if isinstance(source, Refused) and source.rows and source.size:
            return quant_product(call, unit(stand_in(call.lowering, call.tensors[0], source.size)), y)
    rows, size = layout(call.lowering, source)
    return Refused(quantized(maybe), rows, size)


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


def layout(lowering: Lowering, value: Value) -> tuple[bool, int]:
    """(True for a tensor [bins, channels]; how many channels, 0 where that is not known)."""
    if isinstance(value, Refused):
        return value.rows, value.size
    if isinstance(value, Steps):
        return layout(lowering, value.source)
    if not isinstance(value, Source) or isinstance(value, Scores):
        return False, 0
    rows, size = extent(lowering, value)
    return rows == (lowering.bins or OPEN), size


def refused(domain: str, kind: str, inputs: tuple[Value, ...], lowering: Lowering) -> Refused:
    """What stands for a node's first output; an operator that nothing reads is taken to leave rows where they are."""
    found = [layout(lowering, value) for value in inputs]
    maybe = made_of(domain, kind, inputs)
    if kind in (*MOVES, *REDUCED) or not any(rows for rows, _ in found):
        return Refused(maybe)
    if kind in ("MatMul", "Gemm", "Einsum"):
        return Refused(maybe, kind == "MatMul" and found[0][0] and kinds(inputs[-1]) == {CONSTANT})
    keeps = (
        kind in (*PASS, *FUNCTIONS, *ARITHMETIC, "LayerNormalization", "DequantizeLinear") or domain in QUANT_DOMAINS
    )
    return Refused(maybe, True, max(size for _, size in found) if keeps else 0)


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
