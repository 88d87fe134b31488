"""One function per ONNX operator: what it makes of its inputs. A ValueError is a refusal; its text is the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgendt.export.nodes import Own, op_of
from edgendt.fixed import Codes, Int
from edgendt.lower.calls import ACTIVATION, BINS, Call
from edgendt.lower.quants import settled, unit
from edgendt.lower.read import array_of
from edgendt.lower.values import CodesOf, Constant, Counts, Grid, Product, Refused, Source, Sum, Value, whole
from edgendt.lower.views import extent
from edgendt.node import takes
from edgendt.scales import best_frac, on_grid, relative_rms

SCALES = "its weights must have one scale, or one per output"


def refitted(call: Call, weight: Constant) -> Constant:
    """Weights [inputs, outputs] whose scales are no powers of two, on the grids with the smallest squared error."""
    assert weight.grid is not None and weight.steps is not None
    steps = np.broadcast_to(weight.steps, weight.values.shape)
    y, first = Int(weight.grid.bits, 0, weight.grid.signed), float(steps[0, 0])
    rows = [weight.values] if (steps == first).all() else list(weight.values.T)
    fracs = np.array([best_frac(row, y, weight.grid.narrow) for row in rows], np.int64)
    grid = replace(weight.grid, fracs=fracs)
    values = grid.quantize(weight.values)
    more = f" and {len(fracs) - 1} more" if len(fracs) > 1 else ""
    what = f"scale {first:.4g}{more} refitted to 2^{-int(fracs[0])}{more}"
    call.lowering.note(weight.name or call.tensors[1], what, relative_rms(values - weight.values, weight.values))
    return Constant(values, grid)


def check_quantized(weight: Value) -> Grid:
    """The grid of weights. ValueError for what is none, whatever it is multiplied by."""
    if not isinstance(weight, Constant):
        raise ValueError("its weights must be constant")
    if weight.grid is None:
        raise ValueError("its weights must go through a Quant node")
    if not weight.grid.signed:
        raise ValueError("its weights must be signed")
    return weight.grid


def check_weights(weight: Value) -> None:
    """ValueError for weights [inputs, outputs] that no product has, whatever it reads."""
    grid = check_quantized(weight)
    assert isinstance(weight, Constant)
    if weight.values.ndim != 2:
        raise ValueError(f"its weights must be [inputs, outputs], got {list(weight.values.shape)}")
    scales = np.broadcast_to(grid.fracs if weight.steps is None else weight.steps, weight.values.shape)
    if (scales != scales[:1]).any():
        raise ValueError(SCALES)


def product(call: Call, x: Value, weight: Value) -> Product:
    """x times weight [inputs, outputs]."""
    if isinstance(x, Counts):
        raise ValueError("the counts must go through an unsigned Quant node first")
    check_weights(weight)
    assert isinstance(weight, Constant)
    x = settled(call, 0, x, 8)
    if weight.values.shape[0] != x.size:
        raise ValueError(f"its weights must be [{x.size}, outputs], got {list(weight.values.shape)}")
    if weight.steps is not None:
        weight = refitted(call, weight)
    assert weight.grid is not None
    fracs = weight.grid.fracs
    per_output = np.broadcast_to(fracs, weight.values.shape)
    first = int(per_output.flat[0])
    own = None if (per_output == first).all() else tuple(int(frac) for frac in per_output[0])
    codes = whole(weight.values, fracs)
    assert codes is not None  # Grid.quantize put them there
    return Product(x, codes.T.copy(), Int(weight.grid.bits, first), own)


def with_bias(call: Call, source: Product, bias: Value) -> Product:
    """The product with a bias, which is rounded to the accumulator's fraction."""
    if source.relu:
        raise ValueError("a sum behind a Relu must wait for the Relu's Quant")
    outputs = len(source.weight)
    check_bias(bias, outputs)
    assert isinstance(bias, Constant)
    values = np.broadcast_to(bias.values.reshape(-1), (outputs,)).astype(np.float64)
    scaled = np.ldexp(values, source.sum_fracs)
    if not np.isfinite(scaled).all() or (np.abs(scaled) > 2.0**62).any():
        raise ValueError("its bias must be finite and within the accumulator")
    codes = np.rint(scaled).astype(np.int64)
    error = relative_rms(np.ldexp(codes.astype(np.float64), -source.sum_fracs) - values, values)
    if error:
        call.lowering.note(call.name, "bias rounded to input scale * weight scale", error)
    return replace(source, bias=codes if source.bias is None else source.bias + codes, scaled=None)


def check_bias(bias: Value, outputs: int) -> None:
    """ValueError for a bias that no product of so many outputs has."""
    if not isinstance(bias, Constant):
        raise ValueError("its bias must be constant")
    if bias.values.size not in (1, outputs) or bias.values.shape[-1:] not in ((), (1,), (outputs,)):
        raise ValueError(f"its bias must be [{outputs}], got {list(bias.values.shape)}")


def scaled(call: Call, source: Product, factor: float) -> Product:
    """The product times a number: its weights move by a power of two, or are refitted."""
    if source.relu or not np.isfinite(factor) or factor == 0:
        raise ValueError("a matrix product times a number is held before its Relu only, and the number is not 0")
    of = next(name for name, value in zip(call.tensors, call.inputs, strict=True) if not isinstance(value, Constant))
    origin = (of, source, factor)
    if source.scaled:
        origin = (*source.scaled[:2], source.scaled[2] * factor)
    mantissa, exponent = np.frexp(factor)
    if mantissa == 0.5:
        shift = 1 - int(exponent)
        own = None if source.w_frac is None else tuple(frac + shift for frac in source.w_frac)
        return replace(source, w=replace(source.w, frac=source.w.frac + shift), w_frac=own, scaled=origin)
    fracs = source.sum_fracs - source.x.y.frac
    values = np.ldexp(source.weight.astype(np.float64), -fracs[:, None]) * factor
    frac = best_frac(values, source.w)
    weight = on_grid(values, source.w, frac)
    told = (call.name, f"weights times {factor:.4g} refitted to 2^{-frac}", relative_rms(weight - values, values))
    codes = np.ldexp(weight, frac).astype(np.int64)
    made = Product(source.x, codes, replace(source.w, frac=frac), None, refit=told)
    if source.bias is not None:
        bias = np.ldexp(source.bias.astype(np.float64), -source.sum_fracs) * factor
        made = with_bias(call, made, Constant(bias))
    return replace(made, scaled=origin)


def moved(constant: Constant, move: Callable[[NDArray[Any]], NDArray[Any]]) -> Constant:
    """A constant whose elements are moved, and with them their scales."""
    grid, steps, shape = constant.grid, constant.steps, constant.values.shape
    if grid is not None:
        grid = replace(grid, fracs=move(np.array(np.broadcast_to(grid.fracs, shape))))
    if steps is not None:
        steps = move(np.array(np.broadcast_to(steps, shape)))
    return Constant(move(constant.values), grid, constant.name, steps)


def gemm_weights(call: Call) -> Value:
    """The weights [inputs, outputs] of a Gemm. ValueError for fields that no Linear has."""
    call.arity(2, 3)
    if call.attributes.get("alpha", 1.0) != 1 or call.attributes.get("beta", 1.0) != 1 or call.attributes.get("transA"):
        raise ValueError("alpha and beta must be 1 and transA 0")
    weight = call.inputs[1]
    if call.attributes.get("transB") and isinstance(weight, Constant):
        weight = moved(weight, lambda array: array.T)
    return weight


def gemm(call: Call) -> Value:
    weight, bias = gemm_weights(call), call.inputs[2:]
    made = product(call, call.inputs[0], weight)
    return with_bias(call, made, bias[0]) if bias else made


def add(call: Call) -> Value:
    """A bias, a position table, or the residual stream; the order of the inputs does not matter to the first two."""
    call.arity(2)
    (left, right), names = call.inputs, call.tensors
    if isinstance(left, Constant):
        left, right, names = right, left, names[::-1]
    if not isinstance(left, Source) or not isinstance(right, Source | Constant):
        raise ValueError("both inputs must be activations, or one of them a constant")
    if isinstance(right, Source):
        return Sum((left, right), names)
    if right.values.ndim < 2 or right.values.size == right.values.shape[-1]:
        if isinstance(left, Product):
            return with_bias(call, left, right)
        if not call.lowering.bins:
            raise ValueError(BINS)
        return Sum((left,), names[:1], np.tile(right.values.reshape(1, -1), (call.lowering.bins, 1)))
    table, rows = position_table(right), extent(call.lowering, left)[0]
    if call.lowering.bins and len(table) != rows:
        raise ValueError(f"a constant added to an activation must be [{rows}, size], got {list(right.values.shape)}")
    return Sum((left,), names[:1], table)


def position_table(constant: Constant) -> NDArray[Any]:
    """The values [bins, size] of a position table, leading dimensions of 1 dropped."""
    table = constant.values
    if table.size != table.shape[-2] * table.shape[-1]:
        raise ValueError(f"a constant added to an activation must be [bins, size], got {list(table.shape)}")
    return table.reshape(table.shape[-2:])


def relu(call: Call) -> Value:
    call.arity(1)
    source = call.inputs[0]
    if isinstance(source, CodesOf) and not source.y.signed:
        return source
    if isinstance(source, CodesOf):
        source = unit(source)
    if not isinstance(source, Product):
        raise ValueError("a Relu is held only between a matrix product and its unsigned Quant")
    return replace(source, relu=True, scaled=None)


def identity(call: Call) -> Value:
    call.arity(1)
    return call.inputs[0]


def dropout(call: Call) -> Value:
    """Nothing, outside training or where it drops nothing."""
    ratio, training = call.given(1), call.given(2)
    for value in (ratio, training):
        if not isinstance(value, Constant | Refused | None) or (isinstance(value, Constant) and value.values.size != 1):
            raise ValueError("its ratio and training_mode must be constant, one number each")
    if isinstance(training, Constant) and training.values.any():
        if ratio is None or (isinstance(ratio, Constant) and ratio.values.any()):
            raise ValueError("it drops at random: export the network in evaluation mode")
    return call.inputs[0]


def cast(call: Call) -> Value:
    """Values stay what they are: a cast to another kind of number than float is refused."""
    from onnx import TensorProto

    floats = (TensorProto.FLOAT, TensorProto.DOUBLE)
    if call.attributes.get("to") not in floats and not isinstance(call.inputs[0], Counts):
        raise ValueError("activations must stay float32")
    return call.inputs[0]


def constant(call: Call) -> Value:
    call.arity(0)
    if "value" in call.attributes:
        try:
            return Constant(array_of(call.attributes["value"]))
        except ValueError as error:
            raise ValueError(f"its data {error}") from error
    for key in ("value_float", "value_int", "value_floats", "value_ints"):
        if key in call.attributes:
            return Constant(np.asarray(call.attributes[key]))
    raise ValueError("it must hold a number or a tensor")


def own(kind: str, call: Call) -> Value:
    """A node of our domain: the op is in its attributes, a LayerNorm's codes are constants behind its input."""
    op = op_of(kind, call.attributes)
    codes = own_codes(op, call)
    read = call.inputs[: len(call.inputs) - len(codes)]
    return call.lowering.finish(call.name, op, tuple(activation(call, value) for value in read), codes)


def own_codes(op: Own, call: Call) -> dict[str, Codes]:
    """The constants of such a node, those that were refused left out. ValueError for a number of inputs it has not."""
    further = len(op.constants)
    call.arity(op.arity + further, len(list(takes(op))) + further)
    given = call.inputs[len(call.inputs) - further :]
    codes = {}
    for key, value in zip(op.constants, given, strict=True):
        if isinstance(value, Refused):
            continue
        if not isinstance(value, Constant):
            raise ValueError(f"its {key} must be constant codes")
        found = whole(value.values, 0)
        if found is None:
            raise ValueError(f"its {key} must be integers")
        codes[key] = found
    return codes


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
