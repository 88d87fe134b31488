"""hls4ml's layers to Program nodes. A layer must say what a Program says: exact sums, one rounding to nearest even."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from hls4ml.model.types import FixedPrecisionType, IntegerPrecisionType

from edgendt.errors import UnsupportedOp
from edgendt.fixed import Codes, Int, nearest
from edgendt.lower import gathered
from edgendt.ops import Add, Attention, LayerNorm, Linear, Op, Position, Rotary, Table
from edgendt.ops.layernorm import NORM_FRAC, eps_code
from edgendt.ops.table import ADDRESS_BITS, gelu, tabulate
from edgendt.program import INPUT, Node, Program

FUNCTIONS = {"gelu": gelu}  # activations that are a Table
LOSES = "give it a result of RND_CONV,SAT, or one that holds every sum"


@dataclass(frozen=True)
class Value:
    """Codes that a Program node gives."""

    node: str
    size: int
    y: Int


@dataclass(frozen=True)
class Product:
    """A Dense whose result type loses nothing; the layer behind it narrows."""

    name: str
    x: Value
    weight: Codes
    bias: Codes
    w: Int
    exact: Int


@dataclass
class Found:
    """The Program so far. `values` by tensor; None: no code (a reset, or a layer that was refused)."""

    input: Int | None = None
    channels: int = 0
    nodes: list[Node] = field(default_factory=list)
    values: dict[str, Value | Product | None] = field(default_factory=dict)

    def finish(self, name: str, op: Op, inputs: tuple[str, ...], constants: Mapping[str, Codes]) -> Value:
        self.nodes.append(Node(name, op, inputs, constants))
        return Value(name, op.size, op.y)

    def narrowed(self, product: Product, y: Int) -> Value:
        """The Linear of a Dense and of what narrows it."""
        outputs, inputs = product.weight.shape
        op = Linear(inputs, outputs, product.x.y, product.w, y)
        return self.finish(product.name, op, (product.x.node,), {"weight": product.weight, "bias": product.bias})

    def codes(self, tensor: str) -> Value:
        """What a layer reads; a Dense that nothing narrowed keeps its exact result."""
        value = self.values[tensor]
        if isinstance(value, Product):
            value = self.values[tensor] = self.narrowed(value, value.exact)
        if value is None:
            raise ValueError("its input is no tensor of codes")
        return value


def form(precision: Any) -> Int:
    """The format of an hls4ml type."""
    if not isinstance(precision, FixedPrecisionType | IntegerPrecisionType):
        raise ValueError(f"its type must be a fixed or an integer one, got {precision}")
    return Int(precision.width, getattr(precision, "fractional", 0), bool(precision.signed))


def narrows(precision: Any) -> bool:
    """True when a cast to the type is `narrow`."""
    modes = (str(getattr(precision, "rounding_mode", "TRN")), str(getattr(precision, "saturation_mode", "WRAP")))
    return modes == ("RND_CONV", "SAT")


def result(layer: Any) -> Any:
    return layer.get_output_variable().type.precision


def constant(layer: Any, name: str) -> tuple[Codes, Int]:
    """(codes, format) of a layer's weights, cast to their type as C++ would. ValueError where the cast wraps."""
    variable = layer.weights[name]
    precision, y = variable.type.precision, form(variable.type.precision)
    scaled = np.asarray(variable.data, dtype=np.float64) * 2.0**y.frac
    rounding = str(getattr(precision, "rounding_mode", "TRN"))
    if rounding not in ("TRN", "RND_CONV"):
        raise ValueError(f"the type of its {name} must round by TRN or RND_CONV, got {rounding}")
    codes = (np.floor(scaled) if rounding == "TRN" else np.round(scaled)).astype(np.int64)
    if narrows(precision):
        codes = np.clip(codes, y.lo, y.hi)
    if not y.holds(codes):
        raise ValueError(f"its {name} leave their type {precision}: give it more integer bits")
    return codes, y


def holds(y: Int, reach: int, frac: int) -> bool:
    """True when every sum up to `reach` at `frac` fraction bits has a code in y."""
    return y.frac >= frac and reach << (y.frac - frac) <= y.hi and (y.signed or reach == 0)


def source(layer: Any, found: Found) -> None:
    """The counts, or a reset, which the engine has anyway."""
    precision, shape = result(layer), layer.get_output_variable().shape
    if layer.name == "reset":
        found.values[layer.name] = None
        return
    y = form(precision)
    if y.signed or y.frac:
        raise ValueError(f"counts are whole and not negative: give the input the type ufixed<N,N>, it has {precision}")
    if found.input is not None:
        raise ValueError("there is another input already")
    found.input, found.channels = y, int(shape[-1])
    found.values[layer.name] = Value(INPUT, found.channels, y)


def outputs_first(model: Any) -> bool:
    """True where Dense weights are [outputs, inputs]: of PyTorch, whose front end turns them with channels alone."""
    config = model.config.config
    return "PytorchModel" in config and config["HLSConfig"]["Model"].get("ChannelsLastConversion", "off") == "off"


def dense(layer: Any, found: Found) -> Value | Product:
    x = found.codes(layer.inputs[0])
    weight, w = constant(layer, "weight")
    weight = weight if outputs_first(layer.model) else weight.T.copy()
    bias, b = constant(layer, "bias")
    finer = b.frac - (x.y.frac + w.frac)  # bits of the bias behind the products' last
    while finer > 0 and not (bias & 1).any():
        bias, finer = bias >> 1, finer - 1
    if finer > 0:  # the same weights at a finer fraction
        weight, w = weight << finer, Int(w.bits + finer, w.frac + finer, w.signed)
    codes = bias.ravel() << max(-finer, 0)
    frac = x.y.frac + w.frac
    reach = int((np.abs(weight).sum(axis=1) * x.y.limit + np.abs(codes)).max())
    if not holds(form(layer.get_attr("accum_t").precision), reach, frac):
        kind = layer.get_attr("accum_t").precision
        raise ValueError(f"its accumulator {kind} loses bits of sums up to {reach} * 2**-{frac}: make it wider or auto")
    precision, y = result(layer), form(result(layer))
    product = Product(layer.name, x, weight, codes, w, y)
    if holds(y, reach, frac):
        return product
    if not narrows(precision):
        raise ValueError(f"its result {precision} loses bits: {LOSES}")
    return found.narrowed(product, y)


def activation(layer: Any, found: Found) -> Value:
    kind, precision, y = layer.get_attr("activation"), result(layer), form(result(layer))
    if kind in FUNCTIONS:
        return function(layer, found)
    value = found.values[layer.inputs[0]]
    if isinstance(value, Product):
        if not narrows(precision):
            raise ValueError(f"its result {precision} loses bits: {LOSES}")
        if kind == "relu" and y.signed:  # codes that are not negative: the same ones
            y = Int(y.bits - 1, y.frac, signed=False)
        return found.narrowed(replace(value, name=layer.name), y)
    x = found.codes(layer.inputs[0])
    if (kind == "relu" and x.y.signed) or x.y != y:
        raise ValueError(f"what it reads was narrowed to {x.y} already: let the layer before it hold every sum")
    return x


def function(layer: Any, found: Found) -> Value:
    """An activation as our op: every entry the nearest code to the function, which hls4ml's own tables are not."""
    x, y = found.codes(layer.inputs[0]), form(result(layer))
    if x.y.bits > ADDRESS_BITS:
        raise ValueError(f"it reads {x.y}: give the layer before it a result of {ADDRESS_BITS} bits, of RND_CONV,SAT")
    table = tabulate(FUNCTIONS[layer.get_attr("activation")], x.y, y)
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


def edt_position(layer: Any, found: Found) -> Value:
    x = found.codes(layer.inputs[0])
    op = Position(x.size, int(layer.get_attr("bins")), form(result(layer)))
    return _own(layer, found, op, (x,), {"table": constant(layer, "table")[0].reshape(op.bins, op.size)})


def edt_layernorm(layer: Any, found: Found) -> Value:
    x, (gamma, wide), (beta, _) = found.codes(layer.inputs[0]), constant(layer, "gamma"), constant(layer, "beta")
    gammas = Int(wide.bits, int(layer.get_attr("gamma_frac")))
    op = LayerNorm(x.size, x.y, gammas, form(result(layer)), int(layer.get_attr("eps")))
    return _own(layer, found, op, (x,), {"gamma": gamma, "beta": beta})


def edt_attention(layer: Any, found: Found) -> Value:
    q, k, v = inputs = tuple(found.codes(name) for name in layer.inputs[:3])
    heads, window = int(layer.get_attr("heads")), int(layer.get_attr("window"))
    op = Attention(q.size, heads, window, q.y, k.y, v.y, form(result(layer)))
    return _own(layer, found, op, inputs, {})


def edt_rotary(layer: Any, found: Found) -> Value:
    x, steps = found.codes(layer.inputs[0]), constant(layer, "steps")[0]
    op = Rotary(x.size, tuple(int(step) for step in steps.ravel()), x.y, form(result(layer)))
    return _own(layer, found, op, (x,), {})


def edt_table(layer: Any, found: Found) -> Value:
    x = found.codes(layer.inputs[0])
    op = Table(x.size, x.y, form(result(layer)))
    return _own(layer, found, op, (x,), {"table": constant(layer, "table")[0].ravel()})


LAYERS: Mapping[str, Callable[[Any, Found], Value | Product]] = {
    "Dense": dense,
    "Activation": activation,
    "Merge": add,
    "LayerNormalization": normalise,
    "EdtAdd": add,
    "EdtPosition": edt_position,
    "EdtLayerNorm": edt_layernorm,
    "EdtAttention": edt_attention,
    "EdtRotary": edt_rotary,
    "EdtTable": edt_table,
}


def check_kind(layer: Any) -> None:
    """ValueError for a layer that the engine has nothing for, whatever its types."""
    if layer.class_name not in LAYERS:
        raise ValueError(f"the engine knows {', '.join(LAYERS)}")
    if layer.class_name == "Activation" and layer.get_attr("activation") not in ("relu", "linear", *FUNCTIONS):
        raise ValueError(f"the engine has relu, {', '.join(FUNCTIONS)} and none, got {layer.get_attr('activation')}")
    if layer.class_name == "Merge" and str(layer.get_attr("op")).lower() != "add":
        raise ValueError(f"the engine adds, got {layer.get_attr('op')}")


def program_of(model: Any) -> Program:
    """The Program of an hls4ml ModelGraph. UnsupportedOp names every layer that it cannot hold, and why."""
    found, refusals = Found(), []
    for layer in model.get_layers():
        try:
            if layer.class_name in ("Input", "InputLayer"):
                source(layer, found)
                continue
            check_kind(layer)
            if any(found.values.get(name) is None and name != "reset" for name in layer.inputs):
                found.values[layer.outputs[0]] = None  # its cause is told
                continue
            found.values[layer.outputs[0]] = LAYERS[layer.class_name](layer, found)
        except ValueError as error:
            refusals.append(UnsupportedOp(layer.class_name, layer.name, str(error)))
            found.values[layer.outputs[0]] = None
    if refusals:
        raise gathered(refusals)
    if found.input is None or len(model.outputs) != 1:
        raise UnsupportedOp("model", model.config.get_project_name(), "it must have one input and one output")
    last = found.codes(model.outputs[0]).node
    ordered = [node for node in found.nodes if node.name != last] + [node for node in found.nodes if node.name == last]
    return Program(model.config.get_project_name(), found.channels, found.input, tuple(ordered))
