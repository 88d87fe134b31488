"""The ops hls4ml lacks, as hls4ml layers: one class, one config template and one call template each.

`register()` makes them known to hls4ml; the C++ is hls/cpp/edt_<op>.h. Tables are integers from `edgendt.ops`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from hls4ml.backends import get_backend
from hls4ml.backends.template import FunctionCallTemplate, LayerConfigTemplate
from hls4ml.model.attributes import Attribute, WeightAttribute
from hls4ml.model.layers import Layer, layer_map, register_layer

from edgendt.tools import share

OPS = ("linear", "add", "position", "layernorm", "attention", "rotary")
HEADERS = ("edt_fixed.h", *(f"edt_{op}.h" for op in OPS))


class EdtLayer(Layer):
    """An op with one output of `size` codes; constants come as `<name>_data`, their types from the Precision config."""

    constants: ClassVar[tuple[str, ...]] = ()
    function: ClassVar[str] = ""
    fields: ClassVar[tuple[str, ...]] = ("size", "unroll")

    def initialize(self) -> None:
        self.add_output_variable([self.attributes["size"]])
        for name in self.constants:
            self.add_weights_variable(name, var_name=name + "_{index}")  # exp10 would be a function of C


def _attributes(*fields: str, constants: tuple[str, ...] = ()) -> list[Any]:
    return [Attribute(name) for name in fields] + [WeightAttribute(name) for name in constants]


class EdtAdd(EdtLayer):
    """Residual add of two inputs."""

    function = "add"
    _expected_attributes: ClassVar[list[Any]] = _attributes(*EdtLayer.fields)


class EdtPosition(EdtLayer):
    """A table row per bin is added; inputs: codes, reset."""

    function = "position"
    fields = ("size", "bins", "unroll")
    constants = ("table",)
    _expected_attributes: ClassVar[list[Any]] = _attributes(*fields, constants=constants)


class EdtLayerNorm(EdtLayer):
    """LayerNorm through the reciprocal square root table."""

    function = "layernorm"
    fields = ("size", "eps", "gamma_frac", "unroll")
    constants = ("gamma", "beta", "rsqrt")
    _expected_attributes: ClassVar[list[Any]] = _attributes(*fields, constants=constants)


class EdtAttention(EdtLayer):
    """Attention of one bin over its own cache; inputs: q, k, v, reset."""

    function = "attention"
    fields = ("size", "heads", "window", "c", "shift", "unroll")
    constants = ("exp", "recip")
    _expected_attributes: ClassVar[list[Any]] = _attributes(*fields, constants=constants)


class EdtRotary(EdtLayer):
    """Pairs of channels turned by time; inputs: codes, reset."""

    function = "rotary"
    fields = ("size", "pairs", "unroll")
    constants = ("steps", "cos")
    _expected_attributes: ClassVar[list[Any]] = _attributes(*fields, constants=constants)


LAYERS: tuple[type[EdtLayer], ...] = (EdtAdd, EdtPosition, EdtLayerNorm, EdtAttention, EdtRotary)


class EdtConfigTemplate(LayerConfigTemplate):
    """struct configN: the layer's sizes and shifts, and its constants' types."""

    def __init__(self) -> None:
        super().__init__(LAYERS)

    def format(self, node: Any) -> str:
        sizes = [f"    static const long long {name} = {int(node.get_attr(name))};" for name in node.fields]
        types = [f"    typedef {node.get_attr(name + '_t').name} {name}_t;" for name in node.constants]
        return "\n".join([f"struct config{node.index} {{", *sizes, *types, "};\n"])


class EdtFunctionTemplate(FunctionCallTemplate):
    """edt::<op><types of inputs and output, configN>(inputs, output, constants);"""

    def __init__(self) -> None:
        super().__init__(LAYERS, include_header=[f"nnet_utils/{name}" for name in HEADERS])

    def format(self, node: Any) -> str:
        variables = [node.get_input_variable(name) for name in node.inputs] + [node.get_output_variable()]
        types = ", ".join([*(variable.type.name for variable in variables), f"config{node.index}"])
        names = [variable.name for variable in variables] + [node.get_weights(name).name for name in node.constants]
        return f"edt::{node.function}<{types}>({', '.join(names)});"


def register() -> None:
    """Make the layers, their templates and their C++ known to hls4ml. Repeating it does nothing."""
    if EdtAdd.__name__ in layer_map:
        return
    for layer in LAYERS:
        register_layer(layer.__name__, layer)
    get_backend("Vivado").register_template(EdtConfigTemplate)
    get_backend("Vivado").register_template(EdtFunctionTemplate)
    for name in ("Vivado", "Vitis"):
        for header in HEADERS:
            get_backend(name).register_source((share("hls") / "cpp" / header).resolve())
