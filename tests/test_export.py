"""QONNX out, Program in: nothing is lost, and the qonnx package computes the same integers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from networks import golden_ndt, random_counts, random_ndt
from poyos import random_poyo, windows
from quantized import BINS, GEOMETRIES, spikes, trained
from test_qat_ndt import program_of

from edgendt.errors import BadInput, UnsupportedOp
from edgendt.export import export_program, export_qonnx
from edgendt.fixed import Int
from edgendt.lower import lower
from edgendt.lower.execute import run_qonnx, trace_qonnx
from edgendt.ops import Add
from edgendt.program import Node, Program
from edgendt.qat.formats import Bits


@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_quantized_network_survives_the_file(name: str, tmp_path: Path) -> None:
    q = trained(name)
    export_qonnx(q, tmp_path / "model.onnx", name="lorenz", meta={"bin_s": 0.01}, bins=BINS)
    program = lower(tmp_path / "model.onnx")
    assert program == program_of(q)
    assert (program.name, program.meta) == ("lorenz", {"bin_s": 0.01})


@pytest.mark.parametrize("name", GEOMETRIES)
def test_the_qonnx_executor_equals_the_program_at_every_op(name: str, tmp_path: Path) -> None:
    q = trained(name)
    export_qonnx(q, tmp_path / "model.onnx", bins=BINS)
    program = lower(tmp_path / "model.onnx")
    counts = spikes(q.config, 1, seed=5)[0]
    got = trace_qonnx(tmp_path / "model.onnx", program, counts)
    for node, codes in program.trace(program.clip(counts)[0]).items():
        np.testing.assert_array_equal(got[node], codes, err_msg=node)


def test_a_shorter_trial_gives_the_same_first_bins(tmp_path: Path) -> None:
    q = trained("tiny")
    export_qonnx(q, tmp_path / "model.onnx")
    program = lower(tmp_path / "model.onnx")
    counts = program.clip(spikes(q.config, 1, seed=6)[0])[0]
    got = run_qonnx(tmp_path / "model.onnx", program, counts[:4])
    np.testing.assert_array_equal(got, program.run(counts)[:4])
    with pytest.raises(ValueError, match=r"must be \[up to 9, 5\], got \[10, 5\]"):
        run_qonnx(tmp_path / "model.onnx", program, np.zeros((10, 5)))


def test_the_golden_network_survives_and_executes(tmp_path: Path) -> None:
    program, counts, expected = golden_ndt()
    export_program(program, tmp_path / "golden.onnx")
    assert lower(tmp_path / "golden.onnx") == program
    got = trace_qonnx(tmp_path / "golden.onnx", program, counts)
    for node, codes in expected.items():
        np.testing.assert_array_equal(got[node], codes, err_msg=node)


@pytest.mark.parametrize("seed", range(3))
def test_one_weight_scale_per_output_survives_and_executes(seed: int, tmp_path: Path) -> None:
    program = random_ndt(seed, per_channel=True, weight=(2, 5, 8)[seed], bins=12)
    export_program(program, tmp_path / "random.onnx")
    again = lower(tmp_path / "random.onnx")
    counts = random_counts(program, seed, 12)
    expected, lowered = program.trace(counts), again.trace(counts)
    got = trace_qonnx(tmp_path / "random.onnx", again, counts)
    for node, codes in expected.items():
        np.testing.assert_array_equal(lowered[node], codes, err_msg=node)
        np.testing.assert_array_equal(got[node], codes, err_msg=node)


def test_only_layernorm_attention_and_rotary_are_nodes_of_our_own(tmp_path: Path) -> None:
    q = trained("rotary")
    export_qonnx(q, tmp_path / "model.onnx", bins=BINS)
    graph = onnx.load(tmp_path / "model.onnx").graph
    kinds = {(node.domain, node.op_type) for node in graph.node}
    assert kinds == {
        *((("", kind)) for kind in ("MatMul", "Add", "Relu")),
        ("qonnx.custom_op.general", "Quant"),
        ("edgendt", "LayerNorm"),
        ("edgendt", "Attention"),
        ("edgendt", "Rotary"),
    }
    assert {name for name, _, _ in q.nodes()} <= {node.name for node in graph.node}
    weights = [node for node in graph.node if node.name.endswith(".weight_quant")]
    assert len(weights) == 2 + 6 * q.config.layers
    assert all(onnx.helper.get_node_attr_value(node, "narrow") == 1 for node in weights)


def test_equal_networks_are_equal_files(tmp_path: Path) -> None:
    for name in ("a.onnx", "b.onnx"):
        export_qonnx(trained("tiny"), tmp_path / name)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_a_program_without_positions_needs_its_bins_said(tmp_path: Path) -> None:
    x = Int(4, 0, False)
    program = Program("sum", 3, x, (Node("twice", Add(3, x), ("counts", "counts")),))
    with pytest.raises(BadInput, match="bins must be given"):
        export_program(program, tmp_path / "sum.onnx")
    export_program(program, tmp_path / "sum.onnx", bins=5)
    assert lower(tmp_path / "sum.onnx") == program
    with pytest.raises(BadInput, match="bins must be given"):
        export_qonnx(trained("rotary"), tmp_path / "rotary.onnx")


def test_the_executor_refuses_values_off_the_grid(tmp_path: Path) -> None:
    """A mutant: attention told that its keys have a coarser fraction than they have."""
    q = trained("default")
    export_qonnx(q, tmp_path / "model.onnx")
    program = lower(tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    node = next(node for node in model.graph.node if node.op_type == "Attention")
    next(item for item in node.attribute if item.name == "k_frac").i -= 3
    onnx.save(model, tmp_path / "mutant.onnx")
    with pytest.raises(ValueError, match=r"values must be multiples of 2\*\*-"):
        run_qonnx(tmp_path / "mutant.onnx", program, spikes(q.config, 1)[0])


@pytest.mark.parametrize("seed", range(2))
def test_a_network_of_tokens_survives_and_executes_on_windows_of_any_length(seed: int, tmp_path: Path) -> None:
    program = random_poyo(seed, (Bits(), Bits(weight=3, residual=16))[seed], depth=1)
    path = tmp_path / "poyo.onnx"
    export_program(program, path)
    again = lower(path)
    assert again == program and again.accumulator == Int(28)
    for given in windows():
        got = trace_qonnx(path, again, given)
        for node, codes in program.trace(given).items():
            np.testing.assert_array_equal(got[node], codes, err_msg=node)


def test_rows_of_tokens_have_names_in_the_file_and_constants_are_initializers(tmp_path: Path) -> None:
    export_program(random_poyo(depth=1), tmp_path / "poyo.onnx")
    graph = onnx.load(tmp_path / "poyo.onnx").graph
    dims = {
        item.name: [dim.dim_param or dim.dim_value for dim in item.type.tensor_type.shape.dim] for item in graph.input
    }
    assert dims == {
        "tokens": ["tokens", 2],
        "token_ms": ["tokens", 1],
        "queries": ["queries", 2],
        "query_ms": ["queries", 1],
    }
    assert {"latents", "latent_ms"} <= {tensor.name for tensor in graph.initializer}
    kinds = {node.op_type for node in graph.node if node.domain == "edgendt"}
    assert kinds == {"LayerNorm", "Rotary", "Lookup", "GEGLU", "CrossAttention"}


def spoil(model: onnx.ModelProto, how: str) -> None:
    """Change one thing of a POYO's file."""
    nodes = {node.name: node for node in model.graph.node}
    if how == "a row without a name":
        model.graph.input[1].type.tensor_type.shape.dim[0].ClearField("dim_param")
    if how == "sums of no number":
        next(item for item in model.metadata_props if item.key == "edgendt.accumulator").value = "many"
    if how == "narrow sums":
        next(item for item in model.metadata_props if item.key == "edgendt.accumulator").value = "24"
    if how == "latents without a Quant":
        nodes["latent"].input[0] = "latents"
    if how == "signed latents":
        next(item for item in nodes["latents.quant"].attribute if item.name == "signed").i = 1
    if how == "times of another axis":
        nodes["read.k_rot"].input[1] = "query_ms.quant"
    if how == "two formats":
        nodes["queries.quant"].input[3] = "embed.kinds"


SPOILT = {
    "a row without a name": "must have one input",
    "sums of no number": r"edgendt.accumulator must be 1\.\.32 bits, got 'many'",
    "narrow sums": "cross_attention at read.attention is not supported: accumulator must stay within 24 bits",
    "latents without a Quant": "an activation that a Quant node wrote",
    "signed latents": "quantized unsigned with scale 1",
    "times of another axis": "'query_ms' has rows of queries",
    "two formats": "its bit width must be one constant",
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_spoilt_network_of_tokens_is_one_sentence(how: str, tmp_path: Path) -> None:
    path = tmp_path / "poyo.onnx"
    export_program(random_poyo(depth=1), path)
    model = onnx.load(path)
    spoil(model, how)
    onnx.save(model, path)
    with pytest.raises((BadInput, UnsupportedOp), match=SPOILT[how]):
        lower(path)
