"""Exported files in a plain ONNX runtime, which knows neither our nodes nor Quant: every op equals the Program."""

from __future__ import annotations

import doctest
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from needs import ROOT, needs_package
from networks import random_counts, random_ndt
from onnx import TensorProto, helper, numpy_helper
from poyos import random_poyo, windows
from qonnx.custom_op.general.quant import quant as qonnx_quant
from quantized import BINS, GEOMETRIES, spikes, trained

from edgendt.export import export_program, export_qonnx
from edgendt.export.body import Body
from edgendt.export.functions import BODIES, QUANT_DOMAIN, functions, score_scale
from edgendt.export.graph import OPSET, codes
from edgendt.export.nodes import OWN
from edgendt.fixed import Codes, Int
from edgendt.lower import lower
from edgendt.ops.attention import Scale
from edgendt.program import INPUT, Program

onnxruntime = needs_package("onnxruntime")


def run(model: onnx.ModelProto, program: Program, given: Mapping[str, Codes]) -> dict[str, Codes]:
    """Codes of every Program node, as the runtime computes the file on inputs by name."""
    del model.graph.output[:]
    names = [node.name for node in program.nodes]
    model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    shapes = {item.name: (-1, item.size) for item in program.sources}
    feed = {name: codes.reshape(shapes[name]).astype(np.float32) for name, codes in given.items()}
    found = session.run(None, feed)
    return {node.name: codes(values, node.op.y) for node, values in zip(program.nodes, found, strict=True)}


@pytest.mark.parametrize("name", GEOMETRIES)
def test_every_op_of_an_exported_network_equals_the_program(name: str, tmp_path: Path) -> None:
    q = trained(name)
    export_qonnx(q, tmp_path / "model.onnx", bins=BINS)
    program, model = lower(tmp_path / "model.onnx"), onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    counts = spikes(q.config, 1, seed=7)[0]  # some beyond the input's format
    found = run(model, program, {INPUT: counts})
    for node, wanted in program.trace(program.clip(counts)[0]).items():
        np.testing.assert_array_equal(found[node], wanted, err_msg=node)


@pytest.mark.parametrize("seed", range(8))
def test_every_op_of_a_random_program_equals_it(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    program = random_ndt(rng)
    bins = program.bins or program.max_bins or BINS
    counts = random_counts(program, seed, bins)
    export_program(program, tmp_path / "model.onnx", bins=bins)
    found = run(onnx.load(tmp_path / "model.onnx"), program, {INPUT: counts})
    for node, wanted in program.trace(counts).items():
        np.testing.assert_array_equal(found[node], wanted, err_msg=node)


@pytest.mark.parametrize("seed", range(3))
def test_every_op_of_a_network_of_tokens_equals_the_program(seed: int, tmp_path: Path) -> None:
    program = random_poyo(seed)
    export_program(program, tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    for window in windows():
        found = run(model, program, window)
        for node, wanted in program.trace(window).items():
            np.testing.assert_array_equal(found[node], wanted, err_msg=node)


def test_every_node_of_our_own_has_a_body() -> None:
    assert set(BODIES) == set(OWN)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("narrow", [True, False])
def test_quant_is_that_of_qonnx(signed: bool, narrow: bool) -> None:
    rng = np.random.default_rng(3)
    node = helper.make_node(
        "Quant", ["x", "scale", "zero", "bits"], ["y"], domain=QUANT_DOMAIN, signed=int(signed), narrow=int(narrow)
    )
    node.attribute.append(helper.make_attribute("rounding_mode", "ROUND"))
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "scale", "zero", "bits")]
    graph = helper.make_graph([node], "quant", inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(QUANT_DOMAIN, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10, functions=functions([node], OPSET))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for bits in (2, 4, 8, 12, 16, 24):
        for zero in (0.0, 1.0):
            scale = np.float32(2.0 ** rng.integers(-6, 4))
            x = (rng.normal(0, 2.0 ** (bits - 1), 500).round(1) * scale).astype(np.float32)
            x[:100] = (np.arange(100, dtype=np.float32) - 50 + np.float32(0.5)) * scale  # ties
            feed = {"x": x, "scale": np.array(scale), "zero": np.array(zero, "f4"), "bits": np.array(bits, "f4")}
            wanted = qonnx_quant(x, scale, np.float32(zero), np.float32(bits), int(signed), int(narrow), "ROUND")
            np.testing.assert_array_equal(session.run(None, feed)[0], wanted)


def test_the_scale_of_scores_is_that_of_the_op() -> None:
    b = Body()
    c, shift = score_scale(b.input("head_size"), b.input("fracs"))
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        b.nodes,
        "scale",
        [info(name, TensorProto.INT64, ["n"]) for name in ("head_size", "fracs")],
        [info(c.name, TensorProto.DOUBLE, ["n"]), info(shift.name, TensorProto.INT64, ["n"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    sizes, fracs = (each.ravel() for each in np.meshgrid(np.arange(1, 257), np.arange(-2, 15)))
    found = session.run(None, {"head_size": sizes, "fracs": fracs})
    wanted = [Scale.of(int(size), Int(8, int(frac)), Int(8, 0)) for size, frac in zip(sizes, fracs, strict=True)]
    assert [(int(a), int(b)) for a, b in zip(*found, strict=True)] == [(scale.c, scale.shift) for scale in wanted]


@pytest.mark.parametrize(("kind", "length"), [("Attention", 256), ("Attention", 1024), ("LayerNorm", 1024)])
def test_a_wrong_table_is_found(kind: str, length: int, tmp_path: Path) -> None:
    """Mutants: exponentials, reciprocals, roots, each entry of which is one too large."""
    export_qonnx(trained("default"), tmp_path / "model.onnx")
    program, model = lower(tmp_path / "model.onnx"), onnx.load(tmp_path / "model.onnx")
    body = next(function for function in model.functions if function.name == kind)
    tables = [node.attribute[0] for node in body.node if node.op_type == "Constant" and node.attribute[0].HasField("t")]
    table = next(each for each in tables if list(each.t.dims) == [length])
    table.t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(table.t) + 1))
    counts = program.clip(spikes(trained("default").config, 1)[0])[0]
    found, wanted = run(model, program, {INPUT: counts}), program.trace(counts)
    assert any(not np.array_equal(found[node], wanted[node]) for node in wanted)


def test_the_page_of_the_file_is_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = doctest.testfile(str(ROOT / "docs" / "qonnx.md"), module_relative=False)
    assert result.attempted >= 7 and result.failed == 0
