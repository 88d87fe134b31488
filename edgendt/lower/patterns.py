"""One function per ONNX operator: what it makes of its inputs. A ValueError is a refusal; its text is the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgendt.export.nodes import op_of
from edgendt.fixed import Codes, Int
from edgendt.lower.values import CodesOf, Constant, Counts, Grid, Norm, Product, Source, Sum, Value, whole
from edgendt.ops import Add, LayerNorm, Linear, Op, Position
from edgendt.ops.layernorm import NORM_FRAC, eps_code
from edgendt.program import INPUT, Node
from edgendt.scales import GAMMA_BITS, best_frac, gamma_frac, on_grid, relative_rms

SMALLEST, LARGEST = 2.0**-40, 2.0**24  # scales that are meant
FEWEST_BITS = 8  # of a Quant that may be left out
COUNT_BITS = 8  # of an input whose file says something else than whole numbers
BINS = "the input must give its number of bins: export with fixed shapes, or give --bins"
SCALES = "its weights must have one scale, or one per output"
ACTIVATION = "its input must be an activation that a Quant node wrote"


@dataclass(frozen=True)
class Place:
    """The tensor of the file that holds a node's values. at [rows, size]: where in it, flattened; None: in order."""

    tensor: str
    at: NDArray[np.int64] | None = None
    factor: float = 1.0

    def columns(self, chosen: list[int], extent: tuple[int, int], factor: float) -> Place:
        """The same for some columns of values that are `extent` large, times `factor`."""
        at = np.arange(extent[0] * extent[1]).reshape(extent) if self.at is None else self.at
        return Place(self.tensor, at[:, chosen], self.factor * factor)


@dataclass(frozen=True)
class Note:
    """Where the Program is not exactly what the file says; error: relative RMS, where it is known."""

    where: str
    what: str
    error: float | None = None


@dataclass
class Lowering:
    """What has been found so far: the input's format and the Program's nodes, in order."""

    input: Int | None = None
    channels: int = 0
    bins: int = 0  # of the file's input; 0 where it leaves them open
    nodes: list[Node] = field(default_factory=list)
    lead: int = 0  # leading dimensions of 1 of the file's input
    opset: int = 0
    seen: Mapping[str, NDArray[Any]] = field(default_factory=dict)  # calibration: values of the file's tensors
    notes: list[Note] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)  # of nodes that are not the tensor of their name
    parts: list[object] = field(default_factory=list)
    joined: list[tuple[str, ...]] = field(default_factory=list)  # sums and their parts, where formats differ
    forced: Mapping[str, Int] | None = None  # formats of nodes that sums join
    asked: dict[str, Int] = field(default_factory=dict)  # formats as the file has them

    def note(self, where: str, what: str, error: float | None = None) -> None:
        """Something to tell the user."""
        self.notes.append(Note(where, what, error))

    def found(self, name: str) -> CodesOf | None:
        """The codes of the node of that name, where there is one."""
        node = next((node for node in self.nodes if node.name == name), None)
        return None if node is None else CodesOf(name, node.op.size, node.op.y)

    def part(self, key: object) -> int:
        """A number for a part of a node, the same for the same part."""
        if key not in self.parts:
            self.parts.append(key)
        return self.parts.index(key)

    def finish(self, name: str, op: Op, inputs: tuple[str, ...], codes: Mapping[str, Codes]) -> CodesOf:
        """Add a Program node; the codes it gives."""
        self.nodes.append(Node(name, op, inputs, codes))
        return CodesOf(name, op.size, op.y)


@dataclass(frozen=True)
class Call:
    """One graph node with its inputs looked up. `name`: the tensor it writes, and the Program node it may end."""

    name: str
    inputs: tuple[Value, ...]
    attributes: Mapping[str, Any]
    lowering: Lowering
    node: Any = None  # of the file
    tensors: tuple[str, ...] = ()  # names of the inputs

    def arity(self, low: int, high: int | None = None) -> None:
        """ValueError unless the number of inputs is as the operator has it."""
        high = low if high is None else high
        if not low <= len(self.inputs) <= high:
            raise ValueError(f"it must have {low}{f'..{high}' if high > low else ''} inputs, got {len(self.inputs)}")


def broadcast(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that all broadcast to. ValueError where there is none."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError as error:
        raise ValueError(f"its shapes do not fit: {' and '.join(str(list(shape)) for shape in shapes)}") from error


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
    if not isinstance(zero, Constant) or zero.values.any():
        raise ValueError("its zero point must be 0")
    width = scalar(bits, "bit width")
    if not width.is_integer() or not 1 <= width <= 32:
        raise ValueError(f"its bit width must be an integer 1..32, got {width:g}")
    mode = str(call.attributes.get("rounding_mode", "ROUND")).upper()
    if mode not in ("ROUND", "HALF_EVEN"):
        raise ValueError(f"its rounding_mode must be ROUND (ties to even), got {mode}")
    signed, narrow = bool(call.attributes.get("signed", 1)), bool(call.attributes.get("narrow", 0))
    steps = scale.values.astype(np.float64)
    return Grid(int(width), signed, narrow, 1 - np.frexp(steps)[1].astype(np.int64)), steps


def grid_of(call: Call) -> Grid:
    """The format of a Quant node: ties to even, no zero point; a scale that is no power of two is refitted."""
    grid, steps = spec_of(call)
    return grid if (np.frexp(steps)[0] == 0.5).all() else refit(call, grid, steps)


def refit(call: Call, grid: Grid, steps: NDArray[np.float64]) -> Grid:
    """The grid of an activation with a power of two for its scale: what suits calibration, or what keeps its range."""
    if steps.size > 1:
        raise ValueError("its scale must be one number, it has several")
    where, error = call.tensors[0] if call.tensors else call.name, None
    if where in call.lowering.seen:
        seen = call.lowering.seen[where]
        made = replace(grid, fracs=np.array(best_frac(seen, Int(grid.bits, 0, grid.signed))))
        error = relative_rms(made.quantize(seen) - grid.on(seen, steps), seen)
    else:
        made = replace(grid, fracs=np.array(int(np.floor(-np.log2(float(steps.flat[0]))))))
    call.lowering.note(where, f"scale {float(steps.flat[0]):.4g} refitted to 2^{-made.frac}", error)
    return made


def refitted(call: Call, weight: Constant) -> Constant:
    """Weights [inputs, outputs] whose scales are no powers of two, on the grids with the smallest squared error."""
    assert weight.grid is not None and weight.steps is not None
    steps = np.broadcast_to(weight.steps, weight.values.shape)
    if (steps != steps[:1]).any():
        raise ValueError(SCALES)
    y, first = Int(weight.grid.bits, 0, weight.grid.signed), float(steps[0, 0])
    rows = [weight.values] if (steps == first).all() else list(weight.values.T)
    fracs = np.array([best_frac(row, y, weight.grid.narrow) for row in rows], np.int64)
    grid = replace(weight.grid, fracs=fracs)
    values = grid.quantize(weight.values)
    more = f" and {len(fracs) - 1} more" if len(fracs) > 1 else ""
    what = f"scale {first:.4g}{more} refitted to 2^{-int(fracs[0])}{more}"
    call.lowering.note(weight.name or call.tensors[1], what, relative_rms(values - weight.values, weight.values))
    return Constant(values, grid)


def quant(call: Call) -> Value:
    """Ends an op: a constant goes on the grid, a waiting sum becomes a Program node."""
    source = call.inputs[0]
    if isinstance(source, Constant):
        return quant_constant(call, source)
    if isinstance(source, Counts):
        return quant_counts(call, source)
    grid = grid_of(call)
    return ended(call, source, grid.format())


def ended(call: Call, source: Value, y: Int) -> Value:
    """What waits, as codes of y: the Program node that has the name of the call."""
    if isinstance(source, CodesOf):
        return quant_codes(call, source, y)
    call.lowering.asked[call.name] = y
    y = (call.lowering.forced or {}).get(call.name, y)
    if isinstance(source, Product):
        return quant_product(call, source, y)
    if isinstance(source, Sum):
        return quant_sum(call, source, y)
    if isinstance(source, Norm):
        return quant_norm(call, source, y)
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
    if not 0 <= source.eps < 1:
        raise ValueError(f"epsilon must be 0 or more and below 1, got {source.eps:g}")
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


def quant_constant(call: Call, source: Constant) -> Constant:
    """A constant on its grid, also one that the Program has not: only weights need another."""
    grid, steps = spec_of(call)
    if not np.isfinite(source.values).all():
        raise ValueError("its values must be finite")
    broadcast(source.values.shape, steps.shape)
    exact = bool((np.frexp(steps)[0] == 0.5).all())
    return Constant(grid.on(source.values, steps), grid, source.name, None if exact else steps)


def quant_counts(call: Call, source: Counts) -> CodesOf:
    """Counts are whole numbers, whatever steps the file takes."""
    spec, steps = spec_of(call)
    if steps.size != 1:
        raise ValueError("its scale must be one number, it has several")
    highest = float(steps.flat[0]) * (2 ** (spec.bits - spec.signed) - 1)
    y = Int(max(1, min(int(np.ceil(highest)).bit_length(), COUNT_BITS)), 0, False)
    if spec.signed or steps.flat[0] != 1:
        call.lowering.note(call.name, f"counts are whole numbers to {y.hi}, not steps of {float(steps.flat[0]):.4g}")
    else:
        y = spec.format()
    if call.lowering.input not in (None, y):
        raise ValueError("the input is quantized to two formats")
    call.lowering.input = y
    return CodesOf(INPUT, source.channels, y)


def quant_product(call: Call, source: Product, y: Int) -> CodesOf:
    if source.relu and y.signed:
        y = Int(max(y.bits - 1, 1), y.frac, False)  # the same codes: none is negative
    outputs, inputs = source.weight.shape
    bias = np.zeros(outputs, dtype=np.int64) if source.bias is None else source.bias
    op = Linear(inputs, outputs, source.x.y, source.w, y, source.w_frac)
    return call.lowering.finish(call.name, op, (source.x.node,), {"weight": source.weight, "bias": bias})


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
    if made is not None:
        return made
    if not isinstance(value, Source):
        raise ValueError("its input must be an activation")
    name = call.tensors[at]
    if isinstance(value, Counts) or name not in call.lowering.seen:
        raise ValueError(f"{ACTIVATION}; without one its format is chosen on calibration data (--calibrate)")
    signed = not (isinstance(value, Product) and value.relu)
    y = Int(bits, best_frac(call.lowering.seen[name], Int(bits, 0, signed)), signed)
    call.lowering.note(name, f"no Quant: {bits} bits, 2^{-y.frac}, by calibration")
    ends = ended(replace(call, name=name), value, y)
    assert isinstance(ends, CodesOf)
    return ends


def product(call: Call, x: Value, weight: Value) -> Product:
    """x times weight [inputs, outputs]."""
    if isinstance(x, Counts):
        raise ValueError("the counts must go through an unsigned Quant node first")
    if not isinstance(weight, Constant):
        raise ValueError("its weights must be constant")
    if weight.grid is None:
        raise ValueError("its weights must go through a Quant node")
    if not weight.grid.signed:
        raise ValueError("its weights must be signed")
    x = settled(call, 0, x, 8)
    if weight.values.ndim != 2 or weight.values.shape[0] != x.size:
        raise ValueError(f"its weights must be [{x.size}, outputs], got {list(weight.values.shape)}")
    if weight.steps is not None:
        weight = refitted(call, weight)
    assert weight.grid is not None
    fracs = weight.grid.fracs
    per_output = np.broadcast_to(fracs, weight.values.shape)
    if (per_output != per_output[:1]).any():
        raise ValueError(SCALES)
    first = int(per_output.flat[0])
    own = None if (per_output == first).all() else tuple(int(frac) for frac in per_output[0])
    codes = whole(weight.values, fracs)
    assert codes is not None  # Grid.quantize put them there
    return Product(x, codes.T.copy(), Int(weight.grid.bits, first), own)


def with_bias(call: Call, source: Product, bias: Constant) -> Product:
    """The product with a bias, which is rounded to the accumulator's fraction."""
    if source.relu:
        raise ValueError("a sum behind a Relu must wait for the Relu's Quant")
    outputs = len(source.weight)
    if bias.values.size not in (1, outputs) or bias.values.shape[-1:] not in ((), (1,), (outputs,)):
        raise ValueError(f"its bias must be [{outputs}], got {list(bias.values.shape)}")
    values = np.broadcast_to(bias.values.reshape(-1), (outputs,)).astype(np.float64)
    scaled = np.ldexp(values, source.sum_fracs)
    if not np.isfinite(scaled).all() or (np.abs(scaled) > 2.0**62).any():
        raise ValueError("its bias must be finite and within the accumulator")
    codes = np.rint(scaled).astype(np.int64)
    error = relative_rms(np.ldexp(codes.astype(np.float64), -source.sum_fracs) - values, values)
    if error:
        call.lowering.note(call.name, "bias rounded to input scale * weight scale", error)
    return replace(source, bias=codes if source.bias is None else source.bias + codes)


def scaled(call: Call, source: Product, factor: float) -> Product:
    """The product times a number: its weights move by a power of two, or are refitted."""
    if source.relu or not np.isfinite(factor) or factor == 0:
        raise ValueError("a matrix product times a number is held before its Relu only, and the number is not 0")
    mantissa, exponent = np.frexp(factor)
    if mantissa == 0.5:
        shift = 1 - int(exponent)
        own = None if source.w_frac is None else tuple(frac + shift for frac in source.w_frac)
        return replace(source, w=replace(source.w, frac=source.w.frac + shift), w_frac=own)
    fracs = source.sum_fracs - source.x.y.frac
    values = np.ldexp(source.weight.astype(np.float64), -fracs[:, None]) * factor
    frac = best_frac(values, source.w)
    weight = on_grid(values, source.w, frac)
    call.lowering.note(
        call.name, f"weights times {factor:.4g} refitted to 2^{-frac}", relative_rms(weight - values, values)
    )
    codes = np.ldexp(weight, frac).astype(np.int64)
    made = Product(source.x, codes, replace(source.w, frac=frac), None)
    if source.bias is None:
        return made
    return with_bias(call, made, Constant(np.ldexp(source.bias.astype(np.float64), -source.sum_fracs) * factor))


def moved(constant: Constant, move: Callable[[NDArray[Any]], NDArray[Any]]) -> Constant:
    """A constant whose elements are moved, and with them their scales."""
    grid, steps, shape = constant.grid, constant.steps, constant.values.shape
    if grid is not None:
        grid = replace(grid, fracs=move(np.array(np.broadcast_to(grid.fracs, shape))))
    if steps is not None:
        steps = move(np.array(np.broadcast_to(steps, shape)))
    return Constant(move(constant.values), grid, constant.name, steps)


def gemm(call: Call) -> Value:
    call.arity(2, 3)
    if call.attributes.get("alpha", 1.0) != 1 or call.attributes.get("beta", 1.0) != 1 or call.attributes.get("transA"):
        raise ValueError("alpha and beta must be 1 and transA 0")
    x, weight, *bias = call.inputs
    if call.attributes.get("transB") and isinstance(weight, Constant):
        weight = moved(weight, lambda array: array.T)
    made = product(call, x, weight)
    if bias and not isinstance(bias[0], Constant):
        raise ValueError("its bias must be constant")
    return with_bias(call, made, bias[0]) if bias and isinstance(bias[0], Constant) else made


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
    return Sum((left,), names[:1], position_table(right))


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
    return replace(source, relu=True)


def identity(call: Call) -> Value:
    call.arity(1)
    return call.inputs[0]


def constant(call: Call) -> Value:
    from onnx import numpy_helper

    call.arity(0)
    if "value" in call.attributes:
        return Constant(np.asarray(numpy_helper.to_array(call.attributes["value"])))
    for key in ("value_float", "value_int", "value_floats", "value_ints"):
        if key in call.attributes:
            return Constant(np.asarray(call.attributes[key]))
    raise ValueError("it must hold a number or a tensor")


def own(kind: str, call: Call) -> Value:
    """A node of our domain: the op is in its attributes, a LayerNorm's codes are constants behind its input."""
    op = op_of(kind, call.attributes)
    call.arity(op.arity + len(op.constants))
    codes = {}
    for key, value in zip(op.constants, call.inputs[op.arity :], strict=True):
        if not isinstance(value, Constant):
            raise ValueError(f"its {key} must be constant codes")
        found = whole(value.values, 0)
        if found is None:
            raise ValueError(f"its {key} must be integers")
        codes[key] = found
    inputs = []
    for value in call.inputs[: op.arity]:
        if not isinstance(value, CodesOf):
            raise ValueError(ACTIVATION)
        inputs.append(value.node)
    return call.lowering.finish(call.name, op, tuple(inputs), codes)
