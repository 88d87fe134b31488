"""Arithmetic on activations: biases, residuals, and the steps of a LayerNorm or Softmax that is written out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgendt.lower import attend, norm
from edgendt.lower.calls import Call, broadcast
from edgendt.lower.patterns import add, scaled
from edgendt.lower.values import CodesOf, Constant, Moment, Norm, Product, Refused, Scores, Source, Value, View
from edgendt.lower.views import extent, flat, normal, view, wrap


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
    check_repeats(call, made, [first, second])
    return wrap(call.lowering, made, first or second)


def check_repeats(call: Call, made: Source, shapes: list[tuple[int, ...] | None]) -> None:
    """ValueError where one input is added to another more than once. shapes: of tensors; None: as every other."""
    if not any(shapes):
        return
    extents = extent(call.lowering, made)
    usual = (1,) * call.lowering.lead + extents
    given = [
        value.values.shape if isinstance(value, Constant) else shape or usual
        for value, shape in zip(call.inputs, shapes, strict=True)
    ]
    if np.prod(broadcast(*given), dtype=int) != extents[0] * extents[1]:
        raise ValueError(f"it adds {' and '.join(str(list(shape)) for shape in given)}, and repeats elements of one")


def subtracted(call: Call) -> Value:
    """Sub: of a mean, of the largest score, or of the logarithm of a Softmax's sum."""
    call.arity(2)
    left, right = call.inputs
    if isinstance(right, Moment):
        return norm.centre(call, right)
    if isinstance(right, Constant):
        return added(replace(call, inputs=(left, Constant(-right.values))))
    if isinstance(left, View) and isinstance(right, View):
        if isinstance(left.source, Scores) and isinstance(right.source, Scores):
            return less(left, left.source, right)
    raise ValueError("a difference is held as part of a LayerNorm or a Softmax only")


def less(seen: View, source: Scores, of: View) -> View:
    """Scores less the largest of their query, or less the logarithm of its sum."""
    assert isinstance(of.source, Scores)
    if source.kind != "scores" or of.source.kind not in ("largest", "logsum"):
        raise ValueError(
            f"a Softmax takes the largest or the logsum off scores, not {of.source.kind} off {source.kind}"
        )
    attend.check_same(seen, of)
    if of.source.kind == "logsum":
        return attend.becomes(seen, source, "logs")
    return replace(seen, source=replace(source, shifted=True))


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
                return over_total(a, a.source, b)
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


def over_total(seen: View, source: Scores, total: View) -> View:
    """Exponentials over their sum."""
    if source.kind != "exponentials":
        raise ValueError("a sum divides only the exponentials that it is of")
    attend.check_same(seen, total)
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
            return over_total(left, left.source, right)
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
    kinds = {"scores": "exponentials", "logs": "probabilities"}
    if not isinstance(seen, View) or not isinstance(seen.source, Scores) or seen.source.kind not in kinds:
        raise ValueError("an exponential is held as part of a Softmax only")
    return attend.becomes(seen, seen.source, kinds[seen.source.kind])


def reduced(call: Call) -> Value:
    """ReduceMean of a LayerNorm, the other reductions of a Softmax: over the last axis, which stays."""
    call.arity(1, 2)
    value = call.inputs[0]
    over_last(call, len(value.shape) if isinstance(value, Moment) else view(call.lowering, value).index.ndim)
    if isinstance(value, View) and isinstance(value.source, Scores):
        return attend.reduced(call, value, value.source)
    if call.node.op_type != "ReduceMean":
        raise ValueError("it is held as part of a Softmax only")
    return norm.mean(call)


def over_last(call: Call, dimensions: int = 0) -> None:
    """ValueError unless a Reduce goes over the last axis alone and keeps it. dimensions: 0 where they are not known."""
    axes, given = call.attributes.get("axes"), call.given(1)
    if isinstance(given, Constant):
        axes = given.values.reshape(-1).tolist()[:9]
    only = axes[0] if axes is not None and len(axes) == 1 else 0
    if not isinstance(given, Refused) and only != -1 and (only < 1 or (dimensions and only != dimensions - 1)):
        raise ValueError(f"it must go over the last axis, got {axes}{f' of {dimensions}' if dimensions else ''}")
    if call.attributes.get("keepdims", 1) != 1:
        raise ValueError("it must keep its dimensions (keepdims = 1)")


def where(call: Call) -> Value:
    """A mask: scores where it holds, a large negative number elsewhere, or the other way round."""
    call.arity(3)
    condition, yes, no = call.inputs
    holds = attend.constant_bool(condition)
    for value, other, allowed in ((yes, no, holds), (no, yes, ~holds)):
        if isinstance(value, View) and isinstance(value.source, Scores) and isinstance(other, Constant):
            shape = broadcast(value.index.shape, allowed.shape, other.values.shape)
            if np.prod(shape, dtype=int) != value.index.size:
                raise ValueError(f"a mask must be one for every trial, got {list(shape)}")
            if allowed.all():
                return value
            put = np.asarray(other.values, np.float64)
            if value.source.kind != "scores" or not (put <= attend.NEVER).all():
                raise ValueError(f"a mask must put {attend.NEVER:g} or less in the place of scores")
            return attend.hide(value, value.source, allowed, put)
    raise ValueError("it is held as the mask of scores only")


def never_nan(call: Call) -> Value:
    """IsNaN of probabilities: no row is hidden wholly, so none is."""
    call.arity(1)
    if not isinstance(call.inputs[0], View) or not isinstance(call.inputs[0].source, Scores):
        raise ValueError("it is held of probabilities only")
    return Constant(np.zeros((), np.bool_))
