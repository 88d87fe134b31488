"""Program -> hls4ml ModelGraph: stock Dense layers with exact types, one custom layer for each other op."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hls4ml
import numpy as np

from edgendt.errors import UnsupportedOp
from edgendt.firmware import layers, vendor
from edgendt.firmware.dense import Dense
from edgendt.firmware.folding import Folding
from edgendt.firmware.memory import COSINE, GELU, STEP, TABLE, banks
from edgendt.firmware.room import most_rows, number
from edgendt.firmware.target import EMULATED, Target
from edgendt.fixed import Codes, Int
from edgendt.ops import (
    GEGLU,
    Add,
    Attention,
    CrossAttention,
    LayerNorm,
    Linear,
    Lookup,
    Position,
    Rotary,
    SpatialMix,
    SpatialWeights,
    Table,
    Transpose,
)
from edgendt.ops.attention import EXP, RECIP
from edgendt.ops.layernorm import BETA, RSQRT
from edgendt.ops.rotary import COS
from edgendt.program import INPUT, Node, Program

RESET = "reset"
RESERVED = {INPUT, RESET, "input", "rows"}


def type_name(form: Int, narrows: bool = False) -> str:
    """The ap type of a format; `narrows`: a cast to it rounds ties to even and saturates."""
    modes = ",AP_RND_CONV,AP_SAT" if narrows else ""
    return f"{'' if form.signed else 'u'}fixed<{form.bits},{form.bits - form.frac}{modes}>"


def integer_name(form: Int) -> str:
    """The ap type of a format's codes."""
    return f"{'' if form.signed else 'u'}int<{form.bits}>"


def layer_names(program: Program) -> dict[str, str]:
    """hls4ml layer name of each input and node: letters, digits and _ only, unique without regard to case."""
    names: dict[str, str] = {}
    taken = RESERVED | {number(axis).lower() for axis in program.open_axes}
    for original in (*(item.name for item in program.inputs), *(node.name for node in program.nodes)):
        stem = re.sub(r"\W", "_", original)
        name = next(n for n in (stem, *(f"{stem}_{i}" for i in range(1, len(names) + 5))) if n.lower() not in taken)
        taken.add(name.lower())
        names[original] = name
    return names


def _window_linear(
    node: Node, op: Linear, reuse: int, accumulator: Int | None
) -> tuple[dict[str, Any], dict[str, str], dict[str, Any]]:
    """A Linear of a whole window's rows; the dense kernel reads its weights output by output."""
    dense = Dense.of(node, op, accumulator)
    layer = {"class_name": "EdtLinear", "size": op.outputs, "n_in": op.inputs, "n_out": op.outputs}
    layer |= _values(dense.weight, dense)
    return layer, {"weight": type_name(dense.w), "bias": type_name(dense.accumulator)}, {"ReuseFactor": reuse}


def _values(weight: Codes, dense: Dense) -> dict[str, Any]:
    """A Dense's constants as hls4ml takes them: real numbers."""
    return {"weight_data": weight * dense.w.scale, "bias_data": dense.bias * dense.accumulator.scale}


def _linear(
    node: Node, op: Linear, reuse: int, accumulator: Int | None
) -> tuple[dict[str, Any], dict[str, str], dict[str, Any]]:
    dense = Dense.of(node, op, accumulator)
    layer = {"class_name": "Dense", "n_in": op.inputs, "n_out": op.outputs}
    layer |= _values(np.ascontiguousarray(dense.weight.T), dense)
    types = {"weight": type_name(dense.w), "bias": type_name(dense.accumulator), "accum": type_name(dense.accumulator)}
    return layer, types, {"Strategy": "Resource", "ReuseFactor": reuse}


def _add(node: Node, op: Add) -> tuple[dict[str, Any], dict[str, str]]:
    return {"class_name": "EdtAdd", "size": op.size}, {}


def _position(node: Node, op: Position) -> tuple[dict[str, Any], dict[str, str]]:
    layer = {"class_name": "EdtPosition", "size": op.size, "bins": op.bins, "table_data": node.constants["table"]}
    return layer, {"table": integer_name(op.y)}


def _layernorm(node: Node, op: LayerNorm) -> tuple[dict[str, Any], dict[str, str]]:
    layer = {"class_name": "EdtLayerNorm", "size": op.size, "eps": op.eps_code, "gamma_frac": op.gamma.frac}
    layer |= {"gamma_data": node.constants["gamma"], "beta_data": node.constants["beta"], "rsqrt_data": RSQRT[256:]}
    return layer, {"gamma": integer_name(op.gamma), "beta": integer_name(BETA), "rsqrt": integer_name(TABLE)}


def _attention(node: Node, op: Attention) -> tuple[dict[str, Any], dict[str, str]]:
    kind = "EdtAttention" if op.causal else "EdtWindowAttention"
    layer = {"class_name": kind, "size": op.size, "heads": op.heads, "window": op.window}
    layer |= {} if op.causal else {"back": op.back, "ahead": op.ahead}
    layer |= {**op.scale._asdict(), "exp_data": EXP, "recip_data": RECIP[512:]}
    return layer, {"exp": integer_name(TABLE), "recip": integer_name(TABLE)}


def _rotary(node: Node, op: Rotary) -> tuple[dict[str, Any], dict[str, str]]:
    kind = "EdtRotary" if len(node.inputs) == 1 else "EdtRotaryAt"
    layer = {"class_name": kind, "size": op.size, "pairs": len(op.steps), "inverse": int(op.inverse)}
    layer |= {"steps_data": np.array(op.steps), "cos_data": COS}
    return layer, {"steps": integer_name(STEP), "cos": integer_name(COSINE)}


def _transpose(node: Node, op: Transpose) -> tuple[dict[str, Any], dict[str, str]]:
    kind = "EdtTransposeLast" if op.causal else "EdtTranspose"
    return {"class_name": kind, "size": op.size, "bins": op.bins, "channels": op.channels}, {}


def _spatial_weights(node: Node, op: SpatialWeights) -> tuple[dict[str, Any], dict[str, str]]:
    layer = {"class_name": "EdtSpatialWeights", "size": op.size, "bins": op.bins, "heads": op.heads}
    layer |= {"longest": op.longest, "mean_shift": op.mean_shift}
    layer |= {**op.scale._asdict(), "exp_data": EXP, "recip_data": RECIP[512:]}
    return layer, {"exp": integer_name(TABLE), "recip": integer_name(TABLE)}


def _spatial_mix(node: Node, op: SpatialMix) -> tuple[dict[str, Any], dict[str, str]]:
    return {"class_name": "EdtSpatialMix", "size": op.size}, {}


def _lookup(node: Node, op: Lookup) -> tuple[dict[str, Any], dict[str, str]]:
    layer = {"class_name": "EdtLookup", "size": op.size, "entries": op.entries, "which": op.which}
    layer |= {"step": op.step, "pairs": int(op.pairs)}
    layer |= {"table_data": node.constants["table"], "kinds_data": node.constants["kinds"]}
    return layer, {"table": integer_name(op.y), "kinds": integer_name(op.y)}


def _geglu(node: Node, op: GEGLU) -> tuple[dict[str, Any], dict[str, str]]:
    return {"class_name": "EdtGEGLU", "size": op.size, "gelu_data": op.table}, {"gelu": integer_name(GELU)}


def _table(node: Node, op: Table) -> tuple[dict[str, Any], dict[str, str]]:
    layer = {"class_name": "EdtTable", "size": op.size, "table_data": node.constants["table"]}
    return layer, {"table": integer_name(op.y)}


def _cross_attention(node: Node, op: CrossAttention) -> tuple[dict[str, Any], dict[str, str]]:
    one = op.attention
    layer = {
        "class_name": "EdtCrossAttention",
        "size": op.size,
        "heads": op.heads,
        "c": one.scale.c,
        "shift": one.scale.shift,
    }
    layer |= {"exp_data": EXP, "recip_data": RECIP[512:]}
    return layer, {"exp": integer_name(TABLE), "recip": integer_name(TABLE)}


CUSTOM: Mapping[type, Any] = {
    Add: _add,
    Position: _position,
    LayerNorm: _layernorm,
    Attention: _attention,
    Rotary: _rotary,
    Transpose: _transpose,
    SpatialWeights: _spatial_weights,
    SpatialMix: _spatial_mix,
    Lookup: _lookup,
    GEGLU: _geglu,
    CrossAttention: _cross_attention,
    Table: _table,
}


@dataclass(frozen=True)
class Span:
    """Rows of some codes in a call of the top; 0: one bin. number: the input that says how many a window has."""

    rows: int
    number: str | None = None

    @classmethod
    def of(cls, program: Program, name: str, most: Mapping[str, int]) -> Span:
        axis = program.axis(name)
        return cls(most[axis.name], number(axis)) if axis.name in most else cls(program.rows(name))


def _node(
    node: Node, names: Mapping[str, str], folding: Folding, spans: Mapping[str, Span], accumulator: Int | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(hls4ml layer, its LayerName config) of one node. spans: by input and node; accumulator: see Dense."""
    op, rows = node.op, spans[node.name].rows
    sources = [names.get(source, source) for source in node.inputs]
    config: dict[str, Any] = {}
    if isinstance(op, Linear):
        made = _window_linear if rows else _linear
        layer, types, config = made(node, op, folding.reuse[node.name], accumulator)
    elif type(op) in CUSTOM:
        layer, types = CUSTOM[type(op)](node, op)
        layer["unroll"] = folding.unroll[node.name]
        resets = isinstance(op, Position | Attention | Rotary) and not rows
        sources += [RESET] if resets or (isinstance(op, Transpose) and op.causal) else []
    else:
        raise UnsupportedOp(op.kind, node.name, "the hls4ml firmware has no layer for it")
    layer |= {"rows": rows} if rows else {}
    counted = [spans[node.name]]
    if isinstance(op, SpatialMix):
        layer["bins"] = rows or 1
    if isinstance(op, CrossAttention):
        counted.append(spans[node.inputs[1]])
        layer |= {"queries": rows, "window": counted[1].rows}
    layer["counts"] = [-1] * len(counted)
    for at, span in enumerate(counted):
        if span.number:
            layer["counts"][at] = len(sources)
            sources.append(span.number)
    precision = {**types, "result": type_name(op.y, narrows=True)}
    return {**layer, "name": names[node.name], "inputs": sources}, {"Precision": precision, "Trace": True, **config}


def _input(name: str, *shape: int) -> dict[str, Any]:
    return {"class_name": "InputLayer", "name": name, "input_shape": list(shape)}


def _window(
    program: Program, names: Mapping[str, str], spans: Mapping[str, Span]
) -> tuple[list[Any], dict[str, Any], list[Any]]:
    """(ports, their LayerName config, layers of constants) of a network of tokens."""
    y = type_name(program.input)
    given = [item for item in program.inputs if item.codes is None]
    numbers = [number(axis) for axis in program.open_axes]
    ports = [_input(names[item.name], spans[item.name].rows, item.size) for item in given]
    ports += [_input(name, 1) for name in numbers]
    config: dict[str, Any] = {port["name"]: {"Precision": {"result": y}} for port in ports}
    constants = []
    for item in program.inputs:
        if item.codes is not None:
            layer = {"class_name": "EdtConstant", "name": names[item.name], "size": item.size, "rows": len(item.codes)}
            # hls4ml wants an input of every layer: a number of rows, which it does not read.
            layer |= {"length": len(item.codes), "codes_data": item.codes, "inputs": numbers[:1], "counts": [0]}
            constants.append(layer)
            config[names[item.name]] = {"Precision": {"result": y, "codes": integer_name(program.input)}}
    return ports, config, constants


def _keep_rows_in_memory(program: Program, graph: Any, names: Mapping[str, str], folding: Folding) -> None:
    """A whole window's rows are too many for registers, where hls4ml puts every array; ports stay as they are."""
    given = [item.name for item in program.inputs if item.codes is not None]
    for name in (*given, *(node.name for node in program.nodes if node.name != program.output)):
        variable = graph.graph[names[name]].get_output_variable()
        if len(variable.shape) > 1:
            ways = banks(program, name, folding.unroll)
            variable.pragma = ("partition", "cyclic", ways) if ways > 1 else None


def model_graph(
    program: Program,
    folder: Path,
    folding: Folding,
    target: Target = EMULATED,
    most: Mapping[str, int] | None = None,
) -> Any:
    """The hls4ml ModelGraph of a Program: top(counts[channels], reset[1], outputs), one call per bin.

    Of a network of whole windows: top(counts[bins * channels], outputs[bins * outputs]), one call per window. Of one of
    tokens: top(each input [most rows * size], rows[1] of each axis, outputs), one call per window; most: see build.
    """
    layers.register()
    names = layer_names(program)
    most = most_rows(program, most or {})
    every = (*(item.name for item in program.sources), *(node.name for node in program.nodes))
    spans = {name: Span.of(program, name, most) for name in every}
    stages = [_node(node, names, folding, spans, target.accumulator(program)) for node in program.nodes]
    config: dict[str, Any] = {INPUT: {"Precision": {"result": type_name(program.input)}}}
    config[RESET] = {"Precision": {"result": "uint<1>"}}
    ports, constants = [_input(INPUT, program.channels), _input(RESET, 1)], list[Any]()
    if program.bins:
        ports = [_input(INPUT, program.bins, program.channels)]
    if program.inputs:
        ports, config, constants = _window(program, names, spans)
    config |= {layer["name"]: setting for layer, setting in stages}
    settings = hls4ml.utils.config.create_config(
        output_dir=str(folder),
        project_name=target.name,
        backend=target.backend,
        part=target.part,
        clock_period=target.clock_ns,
        io_type="io_parallel",
    )
    model = {"Precision": "fixed<32,16>", "ReuseFactor": 1, "Strategy": "Resource"}
    settings["HLSConfig"] = {"Model": model, "LayerName": config}
    graph = hls4ml.model.graph.ModelGraph.from_layer_list(
        settings,
        [*ports, *constants, *(layer for layer, _ in stages)],
        inputs=[port["name"] for port in ports],
        outputs=[names[program.output]],
    )
    # One bin per call: a DATAFLOW top would gain nothing, and its rules (one reader per array, no state that two
    # processes share) do not hold for a residual stream. The ops run in order, each a pipelined loop.
    graph.config.pipeline_style = "inline off"
    if target.backend in vendor.TOOLS:
        _keep_rows_in_memory(program, graph, names, folding)
    graph.config.trace_output = True
    return graph
