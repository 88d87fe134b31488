"""hls4ml's layers to Program nodes. A layer must say what a Program says: exact sums, one rounding to nearest even."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edgendt.errors import BadInput, UnsupportedOp, gathered
from edgendt.firmware.room import axis_of
from edgendt.fixed import Codes, Int, nearest
from edgendt.node import BINS, INPUT, Input
from edgendt.ops import Add, LayerNorm, Linear, Op, Table
from edgendt.ops.layernorm import NORM_FRAC, eps_code
from edgendt.ops.table import ADDRESS_BITS, gelu, tabulate
from edgendt.plugin.found import (
    Found,
    Product,
    Value,
    constant,
    form,
    holds,
    narrows,
    numbers_of,
    read_by,
    result,
)
from edgendt.plugin.ours import OURS, all_rows, constant_input, ours
from edgendt.program import Program

FUNCTIONS = {"gelu": gelu}  # activations that are a Table
LOSES = "give it a result of RND_CONV,SAT, or one that holds every sum"


def source(layer: Any, found: Found) -> Value | None:
    """The counts, or rows of an axis; None for a reset or a number of rows, which the engine has or counts anyway."""
    precision, shape = result(layer), layer.get_output_variable().shape
    if layer.name in found.silent:
        return None
    y, size, rows = form(precision), int(shape[-1]), int(shape[0]) if len(shape) > 1 else 0
    if y.signed or y.frac:
        raise ValueError(f"counts are whole and not negative: give the input the type ufixed<N,N>, it has {precision}")
    if layer.name in found.numbers:
        return found.take(Input(layer.name, size, axis_of(found.numbers[layer.name])), y, rows)
    if found.numbers:
        raise ValueError("no layer of ours that reads it says which input counts its rows")
    if found.inputs:
        raise ValueError("there is another input already")
    return found.take(Input(INPUT, size, BINS), y, rows)


def outputs_first(model: Any) -> bool:
    """True where Dense weights are [outputs, inputs]: of PyTorch, whose front end turns them with channels alone."""
    config = model.config.config
    return "PytorchModel" in config and config["HLSConfig"]["Model"].get("ChannelsLastConversion", "off") == "off"


def dense(layer: Any, found: Found) -> Value | Product:
    """A Dense, or ours for the rows of a whole window."""
    x, own = found.codes(read_by(layer)[0]), layer.class_name in OURS
    product, exact = summed(layer, x, own)
    if exact and not own:
        return product
    if not narrows(result(layer)):
        raise ValueError(f"its result {result(layer)} loses bits: {LOSES}")
    value = found.narrowed(product, layer.name)
    return all_rows(layer, found, value) if own else value


def summed(layer: Any, x: Value, own: bool) -> tuple[Product, bool]:
    """(the sums of a Dense, True where its result type holds them all). own: ours, whose bias has the type of sums."""
    weight, w = constant(layer, "weight")
    weight = weight if own or outputs_first(layer.model) else weight.T.copy()
    bias, b = constant(layer, "bias")
    finer = b.frac - (x.y.frac + w.frac)  # bits of the bias behind the products' last
    while finer > 0 and not (bias & 1).any():
        bias, finer = bias >> 1, finer - 1
    if finer > 0:  # the same weights at a finer fraction
        weight, w = weight << finer, Int(w.bits + finer, w.frac + finer, w.signed)
    codes = bias.ravel() << max(-finer, 0)
    frac, y = x.y.frac + w.frac, form(result(layer))
    reach = int((np.abs(weight).sum(axis=1) * x.y.limit + np.abs(codes)).max())
    kind = (layer.weights["bias"].type if own else layer.get_attr("accum_t")).precision
    if not holds(form(kind), reach, frac):
        raise ValueError(f"its accumulator {kind} loses bits of sums up to {reach} * 2**-{frac}: make it wider or auto")
    op = Linear(weight.shape[1], weight.shape[0], x.y, w, y)
    if layer.get_attr("fracs"):
        op, weight, codes = coarser(op, weight, codes, layer.get_attr("fracs"))
    return Product(layer.name, x, op, {"weight": weight, "bias": codes}), holds(y, reach, frac)


def coarser(op: Linear, weight: Codes, bias: Codes, fracs: Sequence[int]) -> tuple[Linear, Codes, Codes]:
    """The Linear whose outputs had fractions of their own, `fracs` behind that of the op, before they had one."""
    first, *own = map(int, fracs)
    shifts = op.w.frac - np.array(own)
    least = np.int64(1) << shifts
    if len(own) != op.outputs or (shifts < 0).any() or (weight % least[:, None]).any() or (bias % least).any():
        raise ValueError(f"its fracs must be those of its {op.outputs} outputs, which lose no bit of them, got {own}")
    w = Int(op.w.bits - int(shifts.max()), first, op.w.signed)
    return replace(op, w=w, w_frac=tuple(own)), weight >> shifts[:, None], bias >> shifts


def kind_of(layer: Any) -> str:
    """Which activation it is: hls4ml's front ends write the name each in letters of its own."""
    return str(layer.get_attr("activation")).lower()


def activation(layer: Any, found: Found) -> Value:
    kind, precision, y = kind_of(layer), result(layer), form(result(layer))
    if kind in FUNCTIONS:
        return function(layer, found)
    value = found.values[layer.inputs[0]]
    if isinstance(value, Product):
        if not narrows(precision):
            raise ValueError(f"its result {precision} loses bits: {LOSES}")
        if kind == "relu" and y.signed:  # codes that are not negative: the same ones
            y = Int(y.bits - 1, y.frac, signed=False)
        return found.narrowed(value, layer.name, y)
    x = found.codes(layer.inputs[0])
    if (kind == "relu" and x.y.signed) or x.y != y:
        raise ValueError(f"what it reads was narrowed to {x.y} already: let the layer before it hold every sum")
    return x


def function(layer: Any, found: Found) -> Value:
    """An activation as our op: every entry the nearest code to the function, which hls4ml's own tables are not."""
    x, y = found.codes(layer.inputs[0]), form(result(layer))
    if x.y.bits > ADDRESS_BITS:
        raise ValueError(f"it reads {x.y}: give the layer before it a result of {ADDRESS_BITS} bits, of RND_CONV,SAT")
    table = tabulate(FUNCTIONS[kind_of(layer)], x.y, y)
    return _own(layer, found, Table(x.size, x.y, y), (x,), {"table": table})


def add(layer: Any, found: Found) -> Value:
    parts, y = [found.codes(name) for name in layer.inputs], form(result(layer))
    if any(part.y != y for part in parts) or not narrows(result(layer)):
        raise ValueError(f"a sum and both parts must have one type of RND_CONV,SAT, got {[*(p.y for p in parts), y]}")
    return found.finish(layer.name, Add(parts[0].size, y), tuple(part.node for part in parts), {})


def normalise(layer: Any, found: Found) -> Value:
    """hls4ml's LayerNormalization as our op: its own integers, which are not those of hls4ml's tables."""
    x, y = found.codes(layer.inputs[0]), form(result(layer))
    gamma, form_of_gamma = constant(layer, "scale")
    beta = np.asarray(layer.weights["bias"].data, dtype=np.float64) * 2.0 ** (NORM_FRAC + form_of_gamma.frac)
    eps = eps_code(x.size, x.y, 10.0 ** -layer.get_attr("epsilon_power_of_10"))
    op = LayerNorm(x.size, x.y, form_of_gamma, y, eps)
    return _own(layer, found, op, (x,), {"gamma": gamma, "beta": np.array([nearest(b) for b in beta], dtype=np.int64)})


def _own(layer: Any, found: Found, op: Op, inputs: tuple[Value, ...], constants: Mapping[str, Codes]) -> Value:
    if not narrows(result(layer)):
        raise ValueError(f"its result {result(layer)} must be of RND_CONV,SAT")
    return found.finish(layer.name, op, tuple(value.node for value in inputs), constants)


LAYERS: Mapping[str, Callable[[Any, Found], Value | Product]] = {
    "Dense": dense,
    "Activation": activation,
    "Merge": add,
    "LayerNormalization": normalise,
    **dict.fromkeys(OURS, ours),
    "EdtConstant": constant_input,
    "EdtLinear": dense,
}


def check_kind(layer: Any) -> None:
    """ValueError for a layer that the engine has nothing for, whatever its types."""
    if layer.class_name not in LAYERS:
        raise ValueError(f"the engine knows {', '.join(LAYERS)}")
    if layer.class_name == "Activation" and kind_of(layer) not in ("relu", "linear", *FUNCTIONS):
        raise ValueError(f"the engine has relu, {', '.join(FUNCTIONS)} and none, got {layer.get_attr('activation')}")
    if layer.class_name == "Merge" and str(layer.get_attr("op")).lower() != "add":
        raise ValueError(f"the engine adds, got {layer.get_attr('op')}")


def program_of(model: Any) -> Program:
    """The Program of an hls4ml ModelGraph. UnsupportedOp names every layer that it cannot hold, and why."""
    layers, refusals = list(model.get_layers()), []
    found = Found(_accumulator(model.config.config["Accumulator"]), numbers_of(layers))
    for layer in layers:
        try:
            found.values[layer.outputs[0]] = value_of(layer, found)
        except ValueError as error:
            refusals.append(UnsupportedOp(layer.class_name, layer.name, str(error)))
            found.values[layer.outputs[0]] = None
    if refusals:
        raise gathered(refusals)
    name, out = model.config.get_project_name(), model.outputs
    if found.input is None or len(out) != 1:
        raise UnsupportedOp("model", name, "it must have one input and one output")
    last = found.codes(out[0]).node
    places = {layer.name: place for place, layer in enumerate(layers)} | {last: len(layers)}
    nodes = tuple(sorted(found.nodes, key=lambda node: places[node.name]))  # a Dense waits for what narrows it
    if found.numbers:
        return Program(name, 0, found.input, nodes, {}, found.accumulator, tuple(found.inputs))
    return Program(name, found.inputs[0].size, found.input, nodes, {}, found.accumulator)


def _accumulator(bits: Any) -> Int:
    try:
        return Int(int(bits))
    except (TypeError, ValueError):
        raise BadInput(f"accumulator must be a number of bits from 1 to 32, got {bits!r}") from None


def value_of(layer: Any, found: Found) -> Value | Product | None:
    """What a layer gives; None where a layer before it was refused, whose cause is told."""
    if layer.class_name in ("Input", "InputLayer"):
        return source(layer, found)
    check_kind(layer)
    if any(found.values.get(name) is None and name not in found.silent for name in layer.inputs):
        return None
    return LAYERS[layer.class_name](layer, found)
