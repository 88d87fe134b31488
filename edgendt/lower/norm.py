"""LayerNorm as a graph spells it: one node, or mean, variance and root written out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgendt.lower.attend import last_axis
from edgendt.lower.calls import Call
from edgendt.lower.quants import check_eps, settled
from edgendt.lower.values import CodesOf, Constant, Moment, Norm, Refused, Value
from edgendt.lower.views import extent, flat, wrap

SQUARE, ROOT, INVERSE_ROOT = 2.0, 0.5, -0.5  # exponents of a Pow


def operand(call: Call, at: int) -> tuple[CodesOf, tuple[int, ...]]:
    """(codes of an input, shape of its tensor)."""
    value, shape = flat(call, call.inputs[at])
    codes = settled(call, at, value)
    return codes, shape or (1,) * call.lowering.lead + extent(call.lowering, codes)


def vector(value: Value, size: int, what: str) -> NDArray[np.float64]:
    """A constant per channel, or one for all. [size]"""
    if not isinstance(value, Constant) or value.values.size not in (1, size):
        raise ValueError(f"its {what} must be constant, one number or [{size}]")
    if value.values.size > 1 and value.values.shape[-1] != size:
        raise ValueError(f"its {what} must lie along the last axis, got {list(value.values.shape)}")
    numbers = np.broadcast_to(value.values.reshape(-1), (size,)).astype(np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError(f"its {what} must be finite")
    return numbers


def layernorm(call: Call) -> Value:
    """LayerNormalization: x, scale, and perhaps a bias."""
    call.arity(2, 3)
    x, shape = operand(call, 0)
    last_axis(call, len(shape), -1)
    gamma = vector(call.inputs[1], x.size, "scale")
    beta = vector(call.inputs[2], x.size, "bias") if len(call.inputs) > 2 else np.zeros(x.size)
    return wrap(call.lowering, Norm(x, epsilon(call), gamma, beta), shape)


def epsilon(call: Call) -> float:
    return float(call.attributes.get("epsilon", 1e-5))


def check(call: Call, axes: int) -> None:
    """ValueError for a LayerNormalization that is refused whatever it reads, of so many axes (0: not known)."""
    last_axis(call, axes, -1)
    check_eps(epsilon(call))
    further = call.inputs[1:]
    size = max((value.values.size for value in further if isinstance(value, Constant)), default=1)
    for value, what in zip(further, ("scale", "bias"), strict=False):
        if not isinstance(value, Refused):
            vector(value, size, what)


def mean(call: Call) -> Moment:
    """The mean over the channels of x, or of its squares. `reduces` has looked at the axis."""
    value = call.inputs[0]
    if isinstance(value, Moment):
        return step(value, "squared", "variance")
    x, shape = operand(call, 0)
    return Moment(x, "mean", shape)


def step(moment: Moment, was: str, becomes: str) -> Moment:
    """The next step. ValueError where it is another's."""
    if moment.kind != was:
        raise ValueError(
            f"it is no step of a LayerNorm written out: the {moment.kind} of {moment.x.node} is not its turn"
        )
    return replace(moment, kind=becomes)


def centre(call: Call, moment: Moment) -> Moment:
    """x less its mean."""
    if operand(call, 0) != (moment.x, moment.shape):
        raise ValueError("a mean is taken off only what it is the mean of")
    return step(moment, "mean", "centred")


def power(moment: Moment, exponent: float) -> Moment:
    """Squares of the centred, or a root of the variance."""
    steps = {SQUARE: ("centred", "squared"), ROOT: ("variance", "deviation"), INVERSE_ROOT: ("variance", "inverse")}
    if exponent not in steps:
        raise ValueError(f"its exponent must be 2, 0.5 or -0.5, got {exponent:g}")
    return step(moment, *steps[exponent])


def normalised(call: Call, centred: Moment, by: Moment, kind: str) -> Value:
    """Centred, over its deviation or times the inverse."""
    step(centred, "centred", "")
    step(by, kind, "")
    if (centred.x, centred.shape) != (by.x, by.shape):
        raise ValueError("a LayerNorm divides by the deviation of what it centred")
    ones = np.ones(centred.x.size)
    return wrap(call.lowering, Norm(centred.x, by.eps, ones, np.zeros(len(ones))), centred.shape)


def times(call: Call, moment: Moment, other: Moment) -> Value:
    """Centred times itself, or times the inverse of its deviation."""
    if moment == other:
        return power(moment, SQUARE)
    centred, by = (moment, other) if moment.kind == "centred" else (other, moment)
    return normalised(call, centred, by, "inverse")
