"""Program -> hls4ml ModelGraph: stock Dense layers with exact types, one custom layer for each other op."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hls4ml
import numpy as np

from edgendt.firmware import templates, vendor
from edgendt.firmware.dense import Dense
from edgendt.firmware.described import described, integer_name, layer_of, type_name
from edgendt.firmware.folding import Folding
from edgendt.firmware.memory import banks
from edgendt.firmware.room import RESET, layer_names, most_rows, number
from edgendt.firmware.target import EMULATED, Target
from edgendt.fixed import Codes, Int
from edgendt.ops import CrossAttention, Linear, SpatialMix
from edgendt.program import INPUT, Node, Program


def _window_linear(
    node: Node, op: Linear, reuse: int, accumulator: Int | None
) -> tuple[dict[str, Any], dict[str, str], dict[str, Any]]:
    """A Linear of a whole window's rows; the dense kernel reads its weights output by output."""
    dense = Dense.of(node, op, accumulator)
    layer = {"class_name": "EdtLinear", "size": op.outputs, "n_in": op.inputs, "n_out": op.outputs}
    layer |= _values(dense.weight, dense, op)
    return layer, {"weight": type_name(dense.w), "bias": type_name(dense.accumulator)}, {"ReuseFactor": reuse}


def _values(weight: Codes, dense: Dense, op: Linear) -> dict[str, Any]:
    """A Dense's constants as hls4ml takes them, real numbers; and the fractions that they had before they had one."""
    own = {} if op.w_frac is None else {"fracs": [op.w.frac, *op.w_frac]}
    return {"weight_data": weight * dense.w.scale, "bias_data": dense.bias * dense.accumulator.scale, **own}


def _linear(
    node: Node, op: Linear, reuse: int, accumulator: Int | None
) -> tuple[dict[str, Any], dict[str, str], dict[str, Any]]:
    dense = Dense.of(node, op, accumulator)
    layer = {"class_name": "Dense", "n_in": op.inputs, "n_out": op.outputs}
    layer |= _values(np.ascontiguousarray(dense.weight.T), dense, op)
    types = {"weight": type_name(dense.w), "bias": type_name(dense.accumulator), "accum": type_name(dense.accumulator)}
    return layer, types, {"Strategy": "Resource", "ReuseFactor": reuse}


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
    else:
        layer, types = described(node)
        layer["unroll"] = folding.unroll[node.name]
        kind = layer_of(node)
        sources += [RESET] if kind.resets and (kind.at_once or not rows) else []
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
) -> tuple[list[dict[str, Any]], list[str], dict[str, Any]]:
    """(layers of the inputs in order, names of those that a caller gives, LayerName config) of a network of tokens."""
    y, numbers = type_name(program.input), [number(axis) for axis in program.open_axes]
    layers, config = [], dict[str, Any]()
    for item in program.inputs:
        name, types = names[item.name], {"result": y}
        if item.codes is None:
            layers.append(_input(name, spans[item.name].rows, item.size))
        else:
            layer = {"class_name": "EdtConstant", "name": name, "size": item.size, "rows": len(item.codes)}
            # hls4ml wants an input of every layer: a number of rows, which it does not read.
            layer |= {"length": len(item.codes), "codes_data": item.codes, "inputs": numbers[:1], "counts": [0]}
            layers.append(layer)
            types["codes"] = integer_name(program.input)
        config[name] = {"Precision": types}
    layers += [_input(name, 1) for name in numbers]
    config |= {name: {"Precision": {"result": y}} for name in numbers}
    given = [names[item.name] for item in program.inputs if item.codes is None]
    return layers, [*given, *numbers], config


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
    templates.register()
    names = layer_names(program)
    most = most_rows(program, most or {})
    every = (*(item.name for item in program.sources), *(node.name for node in program.nodes))
    spans = {name: Span.of(program, name, most) for name in every}
    stages = [_node(node, names, folding, spans, target.accumulator(program)) for node in program.nodes]
    config: dict[str, Any] = {INPUT: {"Precision": {"result": type_name(program.input)}}}
    config[RESET] = {"Precision": {"result": "uint<1>"}}
    sources, given = [_input(INPUT, program.channels), _input(RESET, 1)], [INPUT, RESET]
    if program.bins:
        sources, given = [_input(INPUT, program.bins, program.channels)], [INPUT]
    if program.inputs:
        sources, given, config = _window(program, names, spans)
    config |= {layer["name"]: setting for layer, setting in stages}
    settings = hls4ml.utils.config.create_config(
        output_dir=str(folder),
        project_name=target.name,
        backend=target.backend,
        part=target.part,
        clock_period=target.clock_ns,
        io_type="io_parallel",
        **({"board": target.board} if target.board else {}),
    )
    model = {"Precision": "fixed<32,16>", "ReuseFactor": 1, "Strategy": "Resource"}
    settings["HLSConfig"] = {"Model": model, "LayerName": config}
    settings["Accumulator"] = program.accumulator.bits  # of interest to the backend EdgeNDT alone
    graph = hls4ml.model.graph.ModelGraph.from_layer_list(
        settings,
        [*sources, *(layer for layer, _ in stages)],
        inputs=given,
        outputs=[names[program.output]],
    )
    # One bin per call: a DATAFLOW top would gain nothing, and its rules (one reader per array, no state that two
    # processes share) do not hold for a residual stream. The ops run in order, each a pipelined loop.
    graph.config.pipeline_style = "inline off"
    if target.backend in vendor.TOOLS:
        _keep_rows_in_memory(program, graph, names, folding)
    graph.config.trace_output = True
    return graph
