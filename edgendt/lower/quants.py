"""Quant nodes: the format each gives, and the op that it ends. A ValueError is a refusal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgendt.fixed import Int
from edgendt.lower.calls import CALIBRATE, Call, broadcast
from edgendt.lower.heads import attention
from edgendt.lower.levels import moved
from edgendt.lower.values import (
    Attended,
    CodesOf,
    Constant,
    Counts,
    Curve,
    Grid,
    Norm,
    Product,
    Source,
    Sum,
    Value,
    floats,
)
from edgendt.ops import Add, LayerNorm, Linear, Position, Table
from edgendt.ops.layernorm import NORM_FRAC, eps_code
from edgendt.scales import GAMMA_BITS, best_frac, gamma_frac, on_grid, relative_rms

SMALLEST, LARGEST = 2.0**-40, 2.0**24  # scales that are meant
FEWEST_BITS = 8  # of a Quant that may be left out
COUNT_BITS = 8  # of an input whose file says something else than whole numbers


def scalar(value: Value, what: str) -> float:
    """A constant with one element."""
    if not isinstance(value, Constant) or value.values.size != 1:
        raise ValueError(f"its {what} must be one constant")
    return float(value.values.flat[0])


def spec_of(call: Call) -> tuple[Grid, NDArray[np.float64]]:
    """(bits and range of a Quant node, fractions where they are whole; its scales). ValueError for what none has."""
    call.arity(4)
    if unknown := set(call.attributes) - {"signed", "narrow", "rounding_mode"}:
        raise ValueError(f"its attributes must be signed, narrow and rounding_mode, got {min(unknown)!r}")
    scale, zero, bits = call.inputs[1:]
    if (
        not isinstance(scale, Constant)
        or not scale.values.size
        or not np.isfinite(scale.values).all()
        or (scale.values <= 0).any()
    ):
        raise ValueError("its scale must be constant and positive")
    if (scale.values < SMALLEST).any() or (scale.values > LARGEST).any():
        raise ValueError(f"its scale must be {SMALLEST:.2g}..{LARGEST:.2g}, got {float(scale.values.max()):.4g}")
    if not isinstance(zero, Constant) or zero.values.any() or zero.values.size not in (1, scale.values.size):
        raise ValueError("its zero point must be 0, with as many elements as its scale")
    width = scalar(bits, "bit width")
    if not width.is_integer() or not 1 <= width <= 32:
        raise ValueError(f"its bit width must be an integer 1..32, got {width:g}")
    mode = str(call.attributes.get("rounding_mode", "ROUND")).upper()
    if mode not in ("ROUND", "HALF_EVEN"):
        raise ValueError(f"its rounding_mode must be ROUND (ties to even), got {mode}")
    signed, narrow = (truth(call, name, default) for name, default in (("signed", True), ("narrow", False)))
    steps = scale.values.astype(np.float64)
    return Grid(int(width), signed, narrow, 1 - np.frexp(steps)[1].astype(np.int64)), steps


def truth(call: Call, name: str, default: bool) -> bool:
    """A field that is 0 or 1. ValueError for another, with which a runtime would compute."""
    value = call.attributes.get(name, default)
    if not isinstance(value, int) or value not in (0, 1):
        raise ValueError(f"its {name} must be 0 or 1, got {value!r}")
    return bool(value)


def one(steps: NDArray[np.float64]) -> float:
    """The one step there is. ValueError when there are several."""
    if steps.size > 1:
        raise ValueError("its scale must be one number, it has several")
    return float(steps.flat[0])


def format_of(call: Call) -> Int:
    """The format of a Quant node of an activation; a scale that is no power of two is refitted."""
    grid, steps = spec_of(call)
    y = grid.format()
    return y if (np.frexp(steps)[0] == 0.5).all() else refit(call, grid, one(steps))


def refit(call: Call, grid: Grid, step: float) -> Int:
    """The format with a power of two for its scale: what suits calibration, or without it what keeps the range."""
    where = call.tensors[0] if call.tensors else call.name
    seen = call.lowering.seen.get(where)
    frac = int(np.floor(-np.log2(step))) if seen is None else best_frac(seen, Int(grid.bits, 0, grid.signed))
    old, new = grid.levels(step), grid.levels(2.0**-frac)
    told = f"scale {step:.4g} refitted to 2^{-frac}, reach {old.reach:.4g} to {new.reach:.4g}"
    call.lowering.note(where, told, node=call.name, **moved(seen, old, new))
    return Int(grid.bits, frac, grid.signed)


def quant(call: Call) -> Value:
    """Ends an op: a constant goes on the grid, a waiting sum becomes a Program node."""
    source = call.inputs[0]
    if isinstance(source, Constant):
        return quant_constant(call, source)
    if isinstance(source, Counts):
        return quant_counts(call, source)
    return ended(call, source, format_of(call))


def ended(call: Call, source: Value, y: Int) -> Value:
    """What waits, as codes of y: the Program node that has the name of the call."""
    if isinstance(source, CodesOf):
        return quant_codes(call, source, y)
    y = call.lowering.format_of(call.name, y)
    if isinstance(source, Product):
        return quant_product(call, source, y)
    if isinstance(source, Curve):
        return quant_curve(call, source, y)
    if isinstance(source, Sum):
        return quant_sum(call, source, y)
    if isinstance(source, Norm):
        return quant_norm(call, source, y)
    if isinstance(source, Attended):
        return attention(call, source, y)
    if isinstance(source, Counts):
        raise ValueError("the counts must go through an unsigned Quant node first")
    raise ValueError(f"a Quant cannot end {type(source).__name__.lower()}")


def quant_codes(call: Call, source: CodesOf, y: Int) -> CodesOf:
    """Codes that are quantized again: a Linear by the unit matrix narrows them, unless that is not worth it."""
    was = call.lowering.asked.get(source.node, source.y)
    if y.frac >= was.frac and y.signed >= was.signed and y.hi * y.scale >= was.hi * was.scale:
        return source
    if y.bits >= max(FEWEST_BITS, was.bits) and y.signed == was.signed:
        call.lowering.note(
            call.name, f"second Quant left out: its input keeps {source.y.bits} bits, 2^{-source.y.frac}"
        )
        return source
    return quant_product(call, unit(source), y)


def unit(source: CodesOf) -> Product:
    """Codes as the product with the unit matrix."""
    return Product(source, np.eye(source.size, dtype=np.int64), Int(2, 0), None)


def quant_norm(call: Call, source: Norm, y: Int) -> CodesOf:
    size, bits = source.x.size, Int(GAMMA_BITS)
    check_eps(source.eps)
    gamma_format = Int(GAMMA_BITS, gamma_frac(source.gamma, source.beta, bits))
    if gamma_format.frac < 0:
        raise ValueError("its scale and bias must be below 128 and 1024: beta has 24 bits, 12 of them behind gamma's")
    gamma = on_grid(source.gamma, bits, gamma_format.frac)
    error = relative_rms(gamma - source.gamma, source.gamma)
    if error:
        call.lowering.note(call.name, f"gamma rounded to {GAMMA_BITS} bits, 2^{-gamma_format.frac}", error)
    beta = np.rint(np.ldexp(source.beta, NORM_FRAC + gamma_format.frac)).astype(np.int64)
    op = LayerNorm(size, source.x.y, gamma_format, y, eps_code(size, source.x.y, source.eps))
    codes = {"gamma": np.ldexp(gamma, gamma_format.frac).astype(np.int64), "beta": beta}
    return call.lowering.finish(call.name, op, (source.x.node,), codes)


def check_eps(eps: float) -> None:
    if not 0 <= eps < 1:
        raise ValueError(f"epsilon must be 0 or more and below 1, got {eps:g}")


def quant_constant(call: Call, source: Constant) -> Constant:
    """A constant on its grid, also one that the Program has not: only weights need another."""
    grid, steps = spec_of(call)
    if not floats(source.values):
        raise ValueError(f"its values must be floats, got {source.values.dtype}")
    if not np.isfinite(source.values).all():
        raise ValueError("its values must be finite")
    broadcast(source.values.shape, steps.shape)
    exact = bool((np.frexp(steps)[0] == 0.5).all())
    return Constant(grid.on(source.values, steps), grid, source.name, None if exact else steps)


def quant_counts(call: Call, source: Counts) -> CodesOf:
    """Counts are whole numbers, whatever steps the file takes."""
    spec, steps = spec_of(call)
    step = one(steps)
    highest = step * (2 ** (spec.bits - spec.signed) - 1)
    y = Int(max(1, min(int(np.ceil(highest)).bit_length(), COUNT_BITS)), 0, False)
    if spec.signed or step != 1:
        call.lowering.note(call.name, f"counts are whole numbers to {y.hi}, not steps of {step:.4g}")
    else:
        y = spec.format()
    if call.lowering.input not in (None, y):
        raise ValueError("the input is quantized to two formats")
    call.lowering.input = y
    return CodesOf(source.node, source.channels, y)


def quant_product(call: Call, source: Product, y: Int) -> CodesOf:
    if source.relu and y.signed:
        y = Int(max(y.bits - 1, 1), y.frac, False)  # the same codes: none is negative
    if source.refit:
        call.lowering.note(*source.refit)
    outputs, inputs = source.weight.shape
    bias = np.zeros(outputs, dtype=np.int64) if source.bias is None else source.bias
    op = Linear(inputs, outputs, source.x.y, source.w, y, source.w_frac)
    return call.lowering.finish(call.name, op, (source.x.node,), {"weight": source.weight, "bias": bias})


def quant_curve(call: Call, source: Curve, y: Int) -> CodesOf:
    if not np.isfinite(source.values).all():
        raise ValueError(f"a function of {source.x.node} must be finite at every code")
    table = np.rint(np.ldexp(source.values, y.frac)).clip(y.lo, y.hi).astype(np.int64)
    op = Table(source.x.size, source.x.y, y)
    rounded = replace(source, values=(table * y.scale).astype(np.float64))
    call.lowering.curves[call.name] = source if y.bits >= FEWEST_BITS else rounded
    return call.lowering.finish(call.name, op, (source.x.node,), {"table": table})


def quant_sum(call: Call, source: Sum, y: Int) -> CodesOf:
    parts = [part_of(call, part, name, y) for part, name in zip(source.parts, source.names, strict=True)]
    first = parts[0]
    if any(part.size != first.size for part in parts):
        raise ValueError(f"it adds {' and '.join(str(part.size) for part in parts)} channels")
    inputs = tuple(part.node for part in parts)
    call.lowering.joined.append((call.name, *inputs))
    if source.table is None:
        return call.lowering.finish(call.name, Add(first.size, y), inputs, {})
    if source.table.shape[1:] != (first.size,):
        raise ValueError(f"a constant added to an activation must be [bins, {first.size}]")
    if not np.isfinite(source.table).all():
        raise ValueError("its position table must be finite")
    table = on_grid(source.table, y, y.frac)
    if error := relative_rms(table - source.table, source.table):
        call.lowering.note(call.name, f"position table rounded to {y.bits} bits, 2^{-y.frac}", error)
    codes = np.ldexp(table, y.frac).astype(np.int64)
    return call.lowering.finish(call.name, Position(first.size, len(table), y), inputs, {"table": codes})


def part_of(call: Call, part: Value, name: str, y: Int) -> CodesOf:
    """A part of a sum as codes; one that no Quant ended gets the format of the sum."""
    made = part if isinstance(part, CodesOf) else call.lowering.found(name)
    if made is None:
        call.lowering.note(name, f"no Quant: {y.bits} bits, 2^{-y.frac}, as the sum has")
        ends = ended(replace(call, name=name), part, y)
        assert isinstance(ends, CodesOf)
        made = ends
    return made


def settled(call: Call, at: int, value: Value, bits: int = 12) -> CodesOf:
    """Input `at` as codes; one that no Quant ended gets its format from calibration. ValueError without one."""
    made = value if isinstance(value, CodesOf) else call.lowering.found(call.tensors[at])
    if made is None:
        ends = ended(replace(call, name=call.tensors[at]), value, calibrated(call, at, value, bits))
        assert isinstance(ends, CodesOf)
        made = ends
    return made


def calibrated(call: Call, at: int, value: Value, bits: int) -> Int:
    """A format of so many bits for input `at`, by what calibration saw of it."""
    if not isinstance(value, Source):
        raise ValueError("its input must be an activation")
    name = call.tensors[at]
    if isinstance(value, Counts) or name not in call.lowering.seen:
        raise ValueError(CALIBRATE)
    signed = not (isinstance(value, Product) and value.relu)
    if isinstance(value, Curve):
        signed = bool((value.values < 0).any())
    y = Int(bits, best_frac(call.lowering.seen[name], Int(bits, 0, signed)), signed)
    call.lowering.note(name, f"no Quant: {bits} bits, 2^{-y.frac}, by calibration")
    return y
