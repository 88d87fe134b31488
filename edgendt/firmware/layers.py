"""The ops hls4ml lacks, as hls4ml layers: one class, one config template and one call template each.

`register()` makes them known to hls4ml; the C++ is hls/cpp/edt_<op>.h. Tables are integers from `edgendt.ops`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from hls4ml.backends import get_backend
from hls4ml.backends.template import FunctionCallTemplate, LayerConfigTemplate
from hls4ml.model.attributes import Attribute, WeightAttribute
from hls4ml.model.layers import Layer, layer_map, register_layer

from edgendt.firmware.target import BACKENDS
from edgendt.tools import share

OF_BINS = ("linear", "add", "position", "layernorm", "attention", "rotary")
OPS = (*OF_BINS, "transpose", "spatial_weights", "spatial_mix", "lookup", "geglu", "cross_attention", "table")
HEADERS = tuple(f"edt_{stem}.h" for stem in ("fixed", "rows", *OPS))
INCLUDED = ("edt_ap.h", "edt_ac.h", "edt_plain.h")  # by those: types of either kind, and what fast emulation takes


class EdtLayer(Layer):
    """An op with one output of `size` codes; constants come as `<name>_data`, their types from the Precision config.

    In the top of a whole window an output has `rows` of them: the op is called for one after the other, with a reset at
    the first where it has a state. `at_once`: the op takes all rows in one call. `counts`: for each input of an op
    whose rows a window has its own number of, where in `inputs` that number comes.
    """

    constants: ClassVar[tuple[str, ...]] = ()
    function: ClassVar[str] = ""
    fields: ClassVar[tuple[str, ...]] = ("size", "unroll")
    resets: ClassVar[bool] = False
    at_once: ClassVar[bool] = False

    def codes(self) -> list[Any]:
        """Its inputs but for numbers of rows."""
        numbers = set(self.attributes.get("counts", ()))
        return [self.get_input_variable(name) for at, name in enumerate(self.inputs) if at not in numbers]

    def initialize(self) -> None:
        size, rows = self.attributes["size"], self.attributes.get("rows", 0)
        self.add_output_variable([rows, size] if rows else [size])
        for name in self.constants:
            self.add_weights_variable(name, var_name=name + "_{index}")  # exp10 would be a function of C


def _attributes(*fields: str, constants: tuple[str, ...] = ()) -> list[Any]:
    return [Attribute(name) for name in fields] + [WeightAttribute(name) for name in constants]


class EdtAdd(EdtLayer):
    """Residual add of two inputs."""

    function = "add"
    _expected_attributes: ClassVar[list[Any]] = _attributes(*EdtLayer.fields)


class EdtLinear(EdtLayer):
    """hls4ml's dense kernel for the rows of a whole window; for one bin the network has hls4ml's own Dense."""

    function = "linear"
    fields = ("n_in", "n_out", "reuse_factor")
    constants = ("weight", "bias")
    _expected_attributes: ClassVar[list[Any]] = _attributes("size", *fields, constants=constants)


class EdtPosition(EdtLayer):
    """A table row per bin is added; inputs: codes, and in a stream the reset."""

    function = "position"
    resets = True
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
    """Attention of one bin over its own cache; inputs: q, k, v, and in a stream the reset."""

    function = "attention"
    fields: ClassVar[tuple[str, ...]] = ("size", "heads", "window", "c", "shift", "unroll")
    constants = ("exp", "recip")
    resets = True
    _expected_attributes: ClassVar[list[Any]] = _attributes(*fields, constants=constants)


class EdtRotary(EdtLayer):
    """Pairs of channels turned by time; inputs: codes, and in a stream the reset."""

    function = "rotary"
    resets = True
    fields = ("size", "pairs", "inverse", "unroll")
    constants = ("steps", "cos")
    _expected_attributes: ClassVar[list[Any]] = _attributes(*fields, constants=constants)


class EdtRotaryAt(EdtRotary):
    """Pairs of channels turned by a time of each row; inputs: codes, times."""

    function = "rotary_at"
    resets = False


class EdtConstant(EdtLayer):
    """Codes that the network brings along, [rows, size], in the place of an input."""

    function = "constant"
    fields = ("size", "length")
    constants = ("codes",)
    at_once = True
    _expected_attributes: ClassVar[list[Any]] = _attributes(*fields, constants=constants)


class EdtLookup(EdtLayer):
    """The embedding of a token; input: tokens."""

    function = "lookup"
    fields = ("size", "entries", "which", "step", "pairs", "unroll")
    constants = ("table", "kinds")
    _expected_attributes: ClassVar[list[Any]] = _attributes(*fields, constants=constants)


class EdtGEGLU(EdtLayer):
    """Hidden codes gated through a table of GELU; inputs: codes, gates."""

    function = "geglu"
    constants = ("gelu",)
    _expected_attributes: ClassVar[list[Any]] = _attributes(*EdtLayer.fields, constants=constants)


class EdtTable(EdtLayer):
    """A function of each code."""

    function = "table"
    constants = ("table",)
    _expected_attributes: ClassVar[list[Any]] = _attributes(*EdtLayer.fields, constants=constants)


class EdtCrossAttention(EdtAttention):
    """Attention of every query over all keys of a window; inputs: q, k, v."""

    function = "cross_attention"
    fields = (*EdtAttention.fields, "queries")
    resets = False
    at_once = True
    _expected_attributes: ClassVar[list[Any]] = _attributes(*fields, constants=EdtAttention.constants)


class EdtWindowAttention(EdtAttention):
    """Attention of every bin over bins of a whole window; inputs: q, k, v."""

    function = "attention_window"
    fields = (*EdtAttention.fields, "back", "ahead")
    resets = False
    at_once = True
    _expected_attributes: ClassVar[list[Any]] = _attributes(*fields, constants=EdtAttention.constants)


class EdtTranspose(EdtLayer):
    """The time courses of a whole window's channels as rows."""

    function = "transpose"
    fields = ("bins", "channels")
    at_once = True
    _expected_attributes: ClassVar[list[Any]] = _attributes("size", *fields)


class EdtTransposeLast(EdtTranspose):
    """The time courses of the bins up to this one; inputs: codes, the reset."""

    function = "transpose_last"


class EdtSpatialWeights(EdtLayer):
    """Weights between channels; inputs: q, k."""

    function = "spatial_weights"
    fields = ("size", "bins", "heads", "c", "shift", "unroll", "longest", "mean_shift")
    constants = ("exp", "recip")
    at_once = True
    _expected_attributes: ClassVar[list[Any]] = _attributes(*fields, constants=constants)


class EdtSpatialMix(EdtLayer):
    """Weighted sums over channels; inputs: weights, codes."""

    function = "spatial_mix"
    fields = ("size", "bins", "unroll")
    at_once = True
    _expected_attributes: ClassVar[list[Any]] = _attributes(*fields)


LAYERS: tuple[type[EdtLayer], ...] = (
    EdtLinear,
    EdtAdd,
    EdtPosition,
    EdtLayerNorm,
    EdtAttention,
    EdtWindowAttention,
    EdtRotary,
    EdtRotaryAt,
    EdtConstant,
    EdtLookup,
    EdtGEGLU,
    EdtTable,
    EdtCrossAttention,
    EdtTranspose,
    EdtTransposeLast,
    EdtSpatialWeights,
    EdtSpatialMix,
)

# What hls4ml's dense kernels read of their config, beside sizes and types; the last is said by the backend.
KERNEL = """\
    static const unsigned io_type = nnet::io_parallel;
    static const unsigned n_zeros = 0;
    static const unsigned n_nonzeros = n_in * n_out;
    static const bool store_weights_in_bram = false;
    typedef bias_t accum_t;
    typedef edt::ap_uint<1> index_t;
    template <class data_T, class res_T, class CONFIG_T>
    using kernel = EDT_KERNEL(DenseResource_rf_{})<data_T, res_T, CONFIG_T>;
    template <class x_T, class y_T> using product = nnet::product::mult<x_T, y_T>;"""
STRATEGY = """\
    static const unsigned strategy = nnet::resource;
    static const unsigned multiplier_limit = DIV_ROUNDUP(n_in * n_out, reuse_factor);"""
BLOCKS = """\
    static const unsigned reuse_factor_rounded = reuse_factor;
    static const unsigned block_factor = DIV_ROUNDUP(n_in * n_out, reuse_factor);
    static const unsigned block_factor_rounded = block_factor;
    static const unsigned multiplier_factor = MIN(n_in, reuse_factor);
    static const unsigned multiplier_limit = DIV_ROUNDUP(n_in * n_out, multiplier_factor);
    static const unsigned multiplier_scale = multiplier_limit / n_out;"""
REGISTERS = "#pragma HLS ARRAY_PARTITION variable={} complete"
SAID_BY = {name: BLOCKS if name == "Quartus" else STRATEGY for name in BACKENDS}


class EdtConfigTemplate(LayerConfigTemplate):
    """struct configN: the layer's sizes and shifts, and its constants' types."""

    def __init__(self) -> None:
        super().__init__(LAYERS)

    def format(self, node: Any) -> str:
        kind, base, more = "long long", "", []
        if isinstance(node, EdtLinear):
            few = int(node.get_attr("reuse_factor")) <= int(node.get_attr("n_in"))
            own = SAID_BY[node.model.config.backend.name]
            kernel = KERNEL.format("leq_nin" if few else "gt_nin_rem0")
            kind, base, more = "unsigned", " : nnet::dense_config", [kernel, own]
        sizes = [f"    static const {kind} {name} = {int(node.get_attr(name))};" for name in node.fields]
        types = [f"    typedef {node.get_attr(name + '_t').name} {name}_t;" for name in node.constants]
        return "\n".join([f"struct config{node.index}{base} {{", *sizes, *types, *more, "};\n"])


class EdtFunctionTemplate(FunctionCallTemplate):
    """edt::<op><types of inputs and output, configN>(inputs, output, constants); for each row of a whole window."""

    def __init__(self) -> None:
        super().__init__(LAYERS, include_header=[f"nnet_utils/{name}" for name in HEADERS])

    def format(self, node: Any) -> str:
        inputs = node.codes()
        output, rows = node.get_output_variable(), node.get_attr("rows", 0)
        if rows and not node.at_once:
            return "\n    ".join(by_row(node, inputs, output, rows))
        return called(node, [(variable.type.name, variable.name) for variable in (*inputs, output)])


def called(node: Any, arguments: list[tuple[str, str]]) -> str:
    """The call of a layer's op. arguments: (type, name) of inputs and output."""
    types = [*(kind for kind, _ in arguments), f"config{node.index}"]
    if isinstance(node, EdtLinear):
        types.append(f"{node.get_attr('bias_t').precision.width}")
    names = [name for _, name in arguments]
    if isinstance(node, EdtCrossAttention):
        names += [number(node, which, node.get_attr(most)) for which, most in enumerate(("queries", "window"))]
    names += [node.get_weights(name).name for name in node.constants]
    return f"edt::{node.function}<{', '.join(types)}>({', '.join(names)});"


def number(node: Any, which: int, most: int) -> str:
    """C++ of how many rows an input of the op has: those of this window, or always `most`."""
    at = node.get_attr("counts", (-1, -1))[which]
    return str(most) if at < 0 else f"int(edt::code({node.get_input_variable(node.inputs[at]).name}[0]))"


def by_row(node: Any, inputs: list[Any], output: Any, rows: int) -> list[str]:
    """A loop over the rows that there are: each input's row is taken, the op called, its result put."""
    taken, arguments = [], []
    for at, variable in enumerate(inputs):
        kind, size = variable.type.name, variable.shape[-1]
        taken += [f"    {kind} x{at}[{size}];", REGISTERS.format(f"x{at}")]
        taken.append(f"    edt::take_row<{rows}, {size}>({variable.name}, row, x{at});")
        arguments.append((kind, f"x{at}"))
    if node.resets:
        taken += ["    edt::ap_uint<1> first[1];", "    first[0] = row == 0;"]
        arguments.append(("edt::ap_uint<1>", "first"))
    kind, size = output.type.name, output.shape[-1]
    arguments.append((kind, "y"))
    rows_are = number(node, 0, rows)
    return [
        f"for (int row = 0; row < {rows}; row++) {{",
        *([] if rows_are == str(rows) else [f"    if (row >= {rows_are}) {{ break; }}"]),
        *taken,
        f"    {kind} y[{size}];",
        REGISTERS.format("y"),
        f"    {called(node, arguments)}",
        f"    edt::put_row<{rows}, {size}>(y, row, {output.name});",
        "}",
    ]


def register() -> None:
    """Make the layers, their templates and their C++ known to hls4ml. Repeating it does nothing."""
    if EdtAdd.__name__ in layer_map:
        return
    for layer in LAYERS:
        register_layer(layer.__name__, layer)
    for name in ("Vivado", "Quartus", "Catapult"):  # Vitis has Vivado's templates
        get_backend(name).register_template(EdtConfigTemplate)
        get_backend(name).register_template(EdtFunctionTemplate)
    for name in BACKENDS:
        for header in (*HEADERS, *INCLUDED):
            get_backend(name).register_source((share("hls") / "cpp" / header).resolve())
