"""QuantizeLinear, Clip, DequantizeLinear: the same as one Quant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgendt.lower.calls import Call, broadcast
from edgendt.lower.levels import Levels, moved
from edgendt.lower.quants import spec_of
from edgendt.lower.values import Constant, Grid, Steps, Value

LIMITS = "its limits must be constant, one number each"
BITS = {"int4": (4, True), "uint4": (4, False), "int8": (8, True), "uint8": (8, False)} | {
    "int16": (16, True),
    "uint16": (16, False),
    "int32": (32, True),
}


def limits(kind: object) -> tuple[int, int]:
    """Lowest and highest code of an integer type. ValueError for another."""
    if str(kind) not in BITS:
        raise ValueError(f"its codes must be integers of 4, 8 or 16 bits, got {kind}")
    bits, signed = BITS[str(kind)]
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)


def scale_and_zero(call: Call) -> tuple[Constant, int, NDArray[Any] | None]:
    """(scale, zero point, its array)."""
    call.arity(2, 3)
    if call.attributes.get("block_size", 0):
        raise ValueError("its scale must be one number, or one per channel, not per block")
    scale, *zero = call.inputs[1:]
    if not isinstance(scale, Constant) or not all(isinstance(value, Constant) for value in zero):
        raise ValueError("its scale and zero point must be constant")
    arrays = [value.values for value in zero if isinstance(value, Constant)]
    if arrays:
        limits(arrays[0].dtype)
    values = np.unique(arrays[0].astype(np.int64)) if arrays else np.zeros(1, np.int64)
    if len(values) != 1 or (arrays and arrays[0].size not in (1, scale.values.size)):
        raise ValueError("its zero point must be one number, with as many elements as its scale")
    return scale, int(values[0]), arrays[0] if arrays else None


def quantize(call: Call) -> Value:
    """QuantizeLinear: what follows is in steps of its scale."""
    scale, zero, array = scale_and_zero(call)
    kind = code_type(array, call.attributes.get("output_dtype", 0))
    return Steps(call.inputs[0], call.tensors[0], *limits(kind), scale, zero)


def code_type(zero: NDArray[Any] | None, output: int) -> Any:
    """The type of the codes that a QuantizeLinear writes: its zero point's, or the one it names."""
    from onnx import helper

    if zero is not None:
        return zero.dtype
    return helper.tensor_dtype_to_np_dtype(output) if output else np.dtype(np.uint8)


def stored(call: Call) -> Steps:
    """Integers of a file are steps of a scale that only DequantizeLinear says."""
    value = call.inputs[0]
    if isinstance(value, Steps):
        return value
    if not isinstance(value, Constant):
        raise ValueError("it is held behind a QuantizeLinear or integers only")
    return Steps(value, call.tensors[0], *limits(value.values.dtype))


def clip(call: Call) -> Steps:
    """A Clip in between narrows the range of codes."""
    call.arity(1, 3)
    check_limits(call)
    steps = stored(call)
    ends = [steps.low, steps.high]
    for at, value in enumerate((call.given(1), call.given(2))):
        if value is not None and not isinstance(value, Constant):
            raise ValueError(LIMITS)
        if value is not None:
            ends[at] = int(value.values.reshape(-1)[0])
    return replace(steps, low=max(ends[0], steps.low), high=min(ends[1], steps.high))


def check_limits(call: Call) -> None:
    """ValueError for limits of a Clip that are no numbers, whatever it clips."""
    for value in call.inputs[1:]:
        if isinstance(value, Constant) and (value.values.size != 1 or np.isnan(value.values).any()):
            raise ValueError(LIMITS)


def dequantize(call: Call, quant: Callable[[Call], Value]) -> Value:
    """DequantizeLinear: the Quant that it and what came before make."""
    scale, zero, _ = scale_and_zero(call)
    steps, axis = stored(call), call.attributes.get("axis", 1)
    source = steps.source
    if isinstance(source, Constant):
        scale = along(scale, axis, source.values.ndim)
        if scale.values.size > 1 and scale.values.shape[axis] != source.values.shape[axis]:
            raise ValueError(f"its scale must have {source.values.shape[axis]} elements, got {scale.values.size}")
    if steps.scale is None:
        assert isinstance(source, Constant)
        broadcast(source.values.shape, scale.values.shape)
        codes = source.values.astype(np.int64).clip(steps.low, steps.high) - zero
        source = Constant(codes * scale.values.astype(np.float64), name=steps.name)
    elif not np.array_equal(scale.values.reshape(-1), steps.scale.values.reshape(-1)) or zero != steps.zero:
        raise ValueError("it must have the scale and zero point of its QuantizeLinear")
    bits, signed, narrow, stretch = range_of(steps.low - zero, steps.high - zero)
    grid, told = Grid(bits, signed, narrow, np.zeros(scale.values.shape, np.int64)), f"zero point {zero} refitted to 0"
    wider = Constant(scale.values.astype(np.float64) * stretch)
    fields = {"signed": int(signed), "narrow": int(narrow), "rounding_mode": "ROUND"}
    inputs = (source, wider, Constant(np.zeros(1)), Constant(np.array(bits)))
    ends = replace(call, inputs=inputs, attributes=fields, tensors=(steps.name,))
    if stretch != 1 and isinstance(source, Constant):
        spec_of(ends)  # for what no scale is
        call.lowering.note(steps.name, told, node=call.name)
        return Constant(source.values, grid, steps.name, wider.values)
    made = quant(ends)
    if stretch != 1:
        old, new = (float(one.values.reshape(-1)[0]) for one in (scale, wider))
        levels = Levels(old, steps.low - zero, steps.high - zero)
        apart = moved(call.lowering.seen.get(steps.name), levels, grid.levels(new))
        call.lowering.note(steps.name, told, node=call.name, **apart)
    return made


def along(scale: Constant, axis: int, dimensions: int) -> Constant:
    """A scale per channel, shaped to lie along an axis."""
    if scale.values.size == 1:
        return scale
    shape = [1] * dimensions
    if not -dimensions <= axis < dimensions:
        raise ValueError(f"its axis must be below {dimensions}, got {axis}")
    shape[axis] = scale.values.size
    return Constant(scale.values.reshape(shape))


def range_of(low: int, high: int) -> tuple[int, bool, bool, float]:
    """(bits, signed, narrow, how much wider the steps are) of the format that has a range of codes. ValueError: none.

    A range off its middle gets a format that reaches as far on both sides.
    """
    bits = max(high, 0).bit_length()
    if bits and high == 2**bits - 1 and low in (0, -high, -high - 1):
        return (bits, False, False, 1.0) if low == 0 else (bits + 1, True, low == -high, 1.0)
    if not low < high or low > 0 or high < 0:
        raise ValueError(f"its codes must go from below 0 to above it, got {low}..{high}")
    bits = (high - low).bit_length()
    return bits, low < 0, False, max(-low, high) / (2 ** (bits - (low < 0)) - 1)
