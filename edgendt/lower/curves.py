"""Functions of one activation, element by element: whatever operators spell them, an entry for every code."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgendt.lower.calls import Call
from edgendt.lower.folding import evaluate
from edgendt.lower.quants import FEWEST_BITS, settled
from edgendt.lower.values import CodesOf, Constant, Counts, Curve, Product, Scores, Source, Value, View
from edgendt.lower.views import extent, flat, wrap
from edgendt.ops.table import ADDRESS_BITS

# Operators that begin a curve; those that begin one of few bits, which are steps of a LayerNorm else; that go on.
FUNCTIONS = (
    *("Abs", "Atan", "Ceil", "Celu", "Cos", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish"),
    *("LeakyRelu", "Log", "Mish", "Neg", "PRelu", "Reciprocal", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softplus"),
    *("Softsign", "Sqrt", "Swish", "Tanh", "ThresholdedRelu"),
)
OF_ONE = "a function is held of one activation, the same of all its channels"
POWERS = ("Mul", "Pow", "Max", "Min", "Clip")
ARITHMETIC = (*POWERS, "Add", "Sub", "Div", "Relu")


def holds(kind: str, call: Call) -> bool:
    """True for an operator on one activation, perhaps several times, and numbers."""
    read = [at for at, value in enumerate(call.inputs) if not isinstance(value, Constant)]
    sources = [source_of(call.inputs[at]) for at in read]
    numbers = (value for value in call.inputs if isinstance(value, Constant))
    if not read or any(number.values.size != 1 for number in numbers):
        return False
    if not all(isinstance(source, Source) and not isinstance(source, Scores | Counts) for source in sources):
        return False
    few = all(not isinstance(source, CodesOf) or source.y.bits <= ADDRESS_BITS for source in sources)
    begins = kind in FUNCTIONS or (few and kind in POWERS and (kind != "Mul" or len(read) > 1))
    goes_on = kind in ARITHMETIC and any(known(call, source) for source in sources)
    return (begins or goes_on) and len({name_of(call, at) for at in read}) == 1


def source_of(value: Value) -> Value:
    return value.source if isinstance(value, View) else value


def known(call: Call, source: Value) -> Curve | None:
    """The curve that a source is, or that its codes are the entries of."""
    if isinstance(source, CodesOf):
        return call.lowering.curves.get(source.node)
    return source if isinstance(source, Curve) else None


def name_of(call: Call, at: int) -> str:
    """The node that input `at` is a function of, or would be once its format is chosen."""
    source = source_of(call.inputs[at])
    if curve := known(call, source):
        return curve.x.node
    if isinstance(source, CodesOf):
        return source.node
    return source.scaled[0] if isinstance(source, Product) and source.scaled else call.tensors[at]


def applied(call: Call) -> Value:
    """The curve behind such an operator."""
    arrays, found = [], []
    for at, value in enumerate(call.inputs):
        if isinstance(value, Constant):
            arrays.append(np.asarray(value.values, np.float64).reshape(()))
        else:
            curve, shape = curve_of(call, at)
            found.append((curve.x, shape or (1,) * call.lowering.lead + extent(call.lowering, curve), shape))
            arrays.append(curve.values)
    x, laid_out, shape = found[0]
    if any((other, lies) != (x, laid_out) for other, lies, _ in found):
        raise ValueError("activations are combined, element by element, with themselves only, not with other elements")
    (values,) = evaluate(call.node, call.lowering.opset, arrays)
    return wrap(call.lowering, Curve(x, values), shape)


def curve_of(call: Call, at: int) -> tuple[Curve, tuple[int, ...] | None]:
    """Input `at` as a curve, and the shape of its tensor."""
    value, factor = call.inputs[at], 1.0
    if isinstance(value, View):
        value, factor = replace(value, factor=1.0), value.factor
    rows, shape = flat(call, value)
    if curve := known(call, rows):
        if isinstance(rows, CodesOf) and rows.y.bits >= FEWEST_BITS:
            call.lowering.note(call.tensors[at], "Quant within a function: its table rounds once")
        return replace(curve, values=curve.values * factor), shape
    if isinstance(rows, Product) and rows.scaled:
        name, rows, factor = rows.scaled
        call = replace(call, tensors=(name,) * len(call.inputs))
    x = settled(call, at, rows, ADDRESS_BITS)
    if x.y.bits > ADDRESS_BITS:
        raise ValueError(f"a function of one activation reads at most {ADDRESS_BITS} bits, {x.node} has {x.y.bits}")
    return Curve(x, codes_of(x) * factor), shape


def codes_of(x: CodesOf) -> NDArray[np.float64]:
    """The value of every code, the lowest first."""
    return (np.arange(x.y.lo, x.y.hi + 1) * x.y.scale).astype(np.float64)
