"""QONNX out, Program in: nothing is lost, and the qonnx package computes the same integers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from networks import golden_ndt, random_counts, random_ndt
from quantized import BINS, GEOMETRIES, spikes, trained
from test_qat_ndt import program_of

from edgendt.errors import BadInput
from edgendt.export import export_program, export_qonnx
from edgendt.fixed import Int
from edgendt.lower import lower
from edgendt.lower.execute import run_qonnx, trace_qonnx
from edgendt.ops import Add
from edgendt.program import Node, Program


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
