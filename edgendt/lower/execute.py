"""Run a QONNX file in the qonnx package's own executor: slow, independent of the Program, for checking."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgendt.export.graph import codes
from edgendt.export.nodes import DOMAIN
from edgendt.fixed import Codes
from edgendt.program import Program


def trace_qonnx(path: Path | str, program: Program, given: Any) -> dict[str, Codes]:
    """Codes [rows, size] of every Program node, computed by the qonnx executor.

    given: counts [bins, channels] of one trial, or the whole window, or inputs by name, of any number of rows. A graph
    of counts runs a whole trial; bins after the last given one are zeros, which a causal network's earlier bins do not
    see, and are cut off. ValueError when a value is off its node's grid.
    """
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.custom_op.registry import add_domain_alias
    from qonnx.transformation.infer_shapes import InferShapes

    add_domain_alias(DOMAIN, "edgendt.lower.nodes")
    model = ModelWrapper(str(path))
    fed = program.feed(given) if program.inputs else {}
    _number(model.graph, {program.axis(name).name: len(codes) for name, codes in fed.items()})
    if not model.check_all_tensor_shapes_specified():  # files of other exporters
        model = model.transform(InferShapes())
    asked = {item.name: fed[item.name].astype(np.float32) for item in model.graph.input if item.name in fed}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context = execute_onnx(model, asked or _trial(model, np.asarray(given)), return_full_exec_context=True)
    traced = {}
    for node in program.nodes:
        rows = None if fed else program.rows_of(node.name, len(given))
        values = context[node.name].reshape(-1, node.op.size)[:rows]
        traced[node.name] = codes(values, node.op.y)
    return traced


def _number(graph: Any, rows: Mapping[str, int]) -> None:
    """Write numbers where dimensions have names."""
    for item in (*graph.input, *graph.value_info, *graph.output):
        for dim in item.type.tensor_type.shape.dim:
            if dim.dim_param in rows:
                dim.dim_value = rows[dim.dim_param]


def _trial(model: Any, trial: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
    """Counts as the graph's one input takes them, bins without spikes behind them."""
    name = model.graph.input[0].name
    shape = model.get_tensor_shape(name)
    padded = np.zeros(shape[-2:], dtype=np.float32)
    if trial.ndim != 2 or trial.shape[1] != padded.shape[1] or len(trial) > len(padded):
        raise ValueError(f"counts must be [up to {padded.shape[0]}, {padded.shape[1]}], got {list(trial.shape)}")
    padded[: len(trial)] = trial
    return {name: padded.reshape(shape)}


def run_qonnx(path: Path | str, program: Program, given: Any) -> Codes:
    """Output codes [rows, outputs] of `trace_qonnx`."""
    return trace_qonnx(path, program, given)[program.output]
