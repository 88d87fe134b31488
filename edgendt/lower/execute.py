"""Run a QONNX file in the qonnx package's own executor: slow, independent of the Program, for checking."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from edgendt.export.graph import codes
from edgendt.export.nodes import DOMAIN
from edgendt.fixed import Codes
from edgendt.program import Program


def trace_qonnx(path: Path | str, program: Program, counts: Any) -> dict[str, Codes]:
    """Codes [rows, size] of every Program node, computed by the qonnx executor.

    counts: [bins, channels] of one trial, or the whole window. The graph runs a whole trial; bins after the last given
    one are zeros, which a causal network's earlier bins do not see, and are cut off. ValueError when a value is off its
    node's grid.
    """
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.custom_op.registry import add_domain_alias
    from qonnx.transformation.infer_shapes import InferShapes

    add_domain_alias(DOMAIN, "edgendt.lower.nodes")
    model = ModelWrapper(str(path))
    if not model.check_all_tensor_shapes_specified():  # files of other exporters
        model = model.transform(InferShapes())
    name = model.graph.input[0].name
    shape = model.get_tensor_shape(name)
    trial = np.asarray(counts)
    padded = np.zeros(shape[-2:], dtype=np.float32)
    if trial.ndim != 2 or trial.shape[1] != padded.shape[1] or len(trial) > len(padded):
        raise ValueError(f"counts must be [up to {padded.shape[0]}, {padded.shape[1]}], got {list(trial.shape)}")
    padded[: len(trial)] = trial
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context = execute_onnx(model, {name: padded.reshape(shape)}, return_full_exec_context=True)
    traced = {}
    for node in program.nodes:
        values = context[node.name].reshape(-1, node.op.size)[: program.rows(node.name) or len(trial)]
        traced[node.name] = codes(values, node.op.y)
    return traced


def run_qonnx(path: Path | str, program: Program, counts: Any) -> Codes:
    """Output codes [bins, outputs] of `trace_qonnx`."""
    return trace_qonnx(path, program, counts)[program.output]
