"""Config and calls of our layers in the C++ that hls4ml writes; `register()` makes them known to it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hls4ml.backends import get_backend
from hls4ml.backends.template import FunctionCallTemplate, LayerConfigTemplate
from hls4ml.model.layers import layer_map, register_layer

from edgendt.firmware.layers import LAYERS, EdtAdd, EdtCrossAttention, EdtLinear
from edgendt.firmware.target import ACCELERATOR, BACKENDS
from edgendt.tools import share

OF_BINS = ("linear", "add", "position", "layernorm", "attention", "rotary")
OPS = (*OF_BINS, "transpose", "spatial_weights", "spatial_mix", "lookup", "geglu", "cross_attention", "table")
HEADERS = tuple(f"edt_{stem}.h" for stem in ("fixed", "rows", *OPS))
INCLUDED = ("edt_ap.h", "edt_ac.h", "edt_plain.h")  # by those: types of either kind, and what fast emulation takes

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
ULTRA = "#pragma HLS BIND_STORAGE variable={} type=ram_2p impl=uram"
SAID_BY = {name: BLOCKS if name == "Quartus" else STRATEGY for name in (*BACKENDS, ACCELERATOR)}


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


def put_in_ultra(top: Path, arrays: list[str]) -> None:
    """Have these arrays of the top's own in UltraRAM, which hls4ml's variables cannot ask for."""
    text = top.read_text()
    for name in arrays:
        text, found = re.subn(rf"(?m)^( *)\w+ {name}\[.*\];\n", rf"\g<0>\1{ULTRA.format(name)}\n", text)
        assert found == 1, f"{name} must be defined once"
    top.write_text(text)


def register() -> None:
    """Make the layers, their templates and their C++ known to hls4ml. Repeating it does nothing."""
    if EdtAdd.__name__ in layer_map:
        return
    for layer in LAYERS:
        register_layer(layer.__name__, layer)
    for name in ("Vivado", "Quartus", "Catapult"):  # the others have Vivado's templates
        get_backend(name).register_template(EdtConfigTemplate)
        get_backend(name).register_template(EdtFunctionTemplate)
    for name in SAID_BY:
        for header in (*HEADERS, *INCLUDED):
            get_backend(name).register_source((share("hls") / "cpp" / header).resolve())
