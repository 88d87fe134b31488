"""Other people's QONNX: what the Program holds is lowered exactly, or told where it is not."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nets import BINS, CHANNELS, Net, Y, bias_last, equals_the_executor, matmul, relu
from onnx import TensorProto

from edgendt.fixed import Int
from edgendt.lower import lowered, read
from edgendt.lower.deviation import deviations
from edgendt.program import Program


def bias_first(net: Net) -> str:
    return net.node("Add", net.constant([0.25, -1.0, 2.5]), matmul(net))


def one_bias(net: Net) -> str:
    return net.node("Add", matmul(net), net.constant(0.75))


def gemm(net: Net) -> str:
    return net.node("Gemm", net.counts(), net.weights(3, CHANNELS), net.constant([0.25, -1.0, 2.5]), transB=1)


def gemm_without_bias(net: Net) -> str:
    return net.node("Gemm", net.counts(), net.weights(CHANNELS, 3))


def transposed_weights(net: Net) -> str:
    scales = [[0.5], [0.25], [0.125]]  # one per output, and an output is a row here
    weight = net.quant(net.constant(net.rng.normal(size=(3, CHANNELS))), Int(4), scales, narrow=1)
    return net.node("MatMul", net.counts(), net.node("Transpose", weight, perm=[1, 0]))


def identities(net: Net) -> str:
    return net.node("Identity", net.node("Add", matmul(net), net.node("Constant", value_floats=[0.25, -1.0, 2.5])))


LINEARS = (matmul, bias_first, bias_last, one_bias, gemm, gemm_without_bias, transposed_weights, identities)


@pytest.mark.parametrize(
    "build,signed",
    [*((build, signed) for build in LINEARS for signed in (True, False)), (relu, False)],
    ids=lambda value: value.__name__ if callable(value) else ("signed" if value else "unsigned"),
)
def test_every_way_to_write_a_linear_is_lowered(build: Callable[[Net], str], signed: bool, tmp_path: Path) -> None:
    net = Net()
    program = equals_the_executor(net.save(net.quant(build(net), Int(6, 1, signed)), tmp_path / "net.onnx"))
    assert len(program.nodes) == 1 and program.output_format == Int(6, 1, signed)


def test_a_residual_network_with_a_batch_dimension_is_lowered(tmp_path: Path) -> None:
    net, r = Net((1, BINS, CHANNELS)), Int(12, 3)
    h = net.quant(matmul(net), r)
    rows = net.quant(net.constant(net.rng.normal(size=(1, BINS, 3))), r)
    h = net.quant(net.node("Add", rows, h), r)
    y = net.quant(net.node("MatMul", h, net.weights(3, 3)), r)
    unread = net.quant(net.node("MatMul", h, net.weights(3, 2)), r)
    program = equals_the_executor(net.save(net.quant(net.node("Add", h, y), r), tmp_path / "net.onnx"))
    assert [node.op.kind for node in program.nodes] == ["linear", "position", "linear", "add"]
    assert unread not in {node.name for node in program.nodes} and program.max_bins == BINS


TOLD: dict[str, tuple[Callable[[Net], str], Any]] = {
    "a scale of 0.3": (lambda n: n.quant(matmul(n), Y, 0.3), r"^scale 0.3 refitted to 2\^-1, reach 38.4 to 64$"),
    "a scale of 0.3 of weights": (
        lambda n: n.quant(n.node("MatMul", n.counts(), n.weights(CHANNELS, 3, 0.3)), Y),
        r"^scale 0.3 refitted to 2\^-2$",
    ),
    "a bias off the grid": (
        lambda n: n.quant(n.node("Add", matmul(n), n.constant(0.3)), Y),
        r"^bias rounded to input scale \* weight scale$",
    ),
    "a table off the grid": (
        lambda n: n.quant(n.node("Add", n.quant(matmul(n), Y), n.constant(np.full((BINS, 3), 0.1))), Y),
        r"^position table rounded to 8 bits, 2\^-2$",
    ),
    "formats that differ": (
        lambda n: n.quant(n.node("Add", n.quant(matmul(n), Y), n.quant(matmul(n), Int(8, 3))), Y),
        r"^joined by sums, one format: 9 bits, 2\^-3$",
    ),
    "a sum before its Quant": (
        lambda n: n.quant(n.node("Add", n.quant(matmul(n), Y), matmul(n)), Y),
        r"^no Quant: 8 bits, 2\^-2, as the sum has$",
    ),
    "signed counts": (
        lambda n: n.quant(n.node("MatMul", n.quant("counts", Int(8)), n.weights(CHANNELS, 3)), Y),
        r"^counts are whole numbers to 127, not steps of 1$",
    ),
    "counts in steps of a half": (
        lambda n: n.quant(n.node("MatMul", n.quant("counts", Int(8, 1, False)), n.weights(CHANNELS, 3)), Y),
        r"^counts are whole numbers to 255, not steps of 0.5$",
    ),
    "coarser codes again": (
        lambda n: n.quant(n.quant(matmul(n), Y), Int(8, 3)),
        r"^second Quant left out: its input keeps 8 bits, 2\^-2$",
    ),
    "finer codes again": (lambda n: n.quant(n.quant(matmul(n), Y), Int(12, 3)), None),
    "fewer bits": (lambda n: n.quant(n.quant(matmul(n), Int(12, 2)), Int(4, 1)), None),
    "relu of codes": (lambda n: n.quant(n.node("Relu", n.quant(matmul(n), Y)), Int(7, 2, False)), None),
    "two biases": (lambda n: n.quant(n.node("Add", bias_last(n), n.constant(1.0)), Y), None),
    "relu then signed": (lambda n: n.quant(relu(n), Y), None),
    "a row for all bins": (
        lambda n: n.quant(n.node("Add", n.quant(matmul(n), Y), n.constant([0.25, -0.5, 1.0])), Y),
        None,
    ),
}


@pytest.mark.parametrize("case", TOLD)
def test_where_a_program_is_not_exactly_the_file_it_is_told(case: str, tmp_path: Path) -> None:
    build, said = TOLD[case]
    net = Net()
    path = net.save(build(net), tmp_path / "net.onnx")
    made = lowered(path)
    if said is None:
        assert made.notes == ()
        equals_the_executor(path)
    else:
        (note,) = made.notes
        assert re.search(said, note.what), note
        counts = np.random.default_rng(1).integers(0, 4, (BINS, CHANNELS))
        assert made.program.run(counts).shape == (BINS, 3)


@pytest.mark.parametrize(
    "written,y",
    [
        (lambda n: (n.zero(np.uint8, 0),), Int(8, 2, False)),
        (lambda n: (n.zero(np.uint8, 128),), Int(8, 2)),
        (lambda n: (n.zero(np.int8, -128),), Int(8, 2, False)),
        (lambda n: (n.zero(np.int16, 0),), Int(16, 2)),
        (lambda n: (), Int(8, 2, False)),
    ],
    ids=["uint8", "uint8 from 128", "int8 from -128", "int16", "no zero point"],
)
def test_a_pair_of_quantize_and_dequantize_is_a_format(
    written: Callable[[Net], tuple[str, ...]], y: Int, tmp_path: Path
) -> None:
    net = Net()
    scale, zero = net.constant(0.25), written(net)
    steps = net.node("QuantizeLinear", matmul(net), scale, *zero)
    path = net.save(net.node("DequantizeLinear", steps, scale, *zero), tmp_path / "net.onnx", opset=21)
    made, model = lowered(path), read.load(path)
    assert made.program.output_format == y and made.notes == ()
    given = read.inputs(path, model.graph, read.constants(path, model.graph))
    (entry,) = deviations(model, given, made, [np.random.default_rng(1).integers(0, 16, (BINS, CHANNELS))])
    assert (entry["op_worst"], entry["network_worst"]) == (0, 0)


@pytest.mark.parametrize("kind,y", [(TensorProto.INT8, Int(8, 2)), (TensorProto.UINT4, Int(4, 2, False))])
def test_the_type_of_codes_may_be_an_attribute(kind: int, y: Int, tmp_path: Path) -> None:
    net = Net()
    scale = net.constant(0.25)
    steps = net.node("QuantizeLinear", matmul(net), scale, output_dtype=kind)
    path = net.save(net.node("DequantizeLinear", steps, scale), tmp_path / "net.onnx", opset=21)
    assert lowered(path).program.output_format == y


def test_lowering_and_running_need_no_torch(tmp_path: Path) -> None:
    net = Net()
    path = net.save(net.quant(bias_last(net), Y), tmp_path / "net.onnx")
    code = (
        "import sys; sys.modules['torch'] = sys.modules['brevitas'] = None\n"
        "from edgendt.lower import lower; from edgendt.lower.execute import run_qonnx\n"
        f"p = lower(sys.argv[1]); x = [[1] * {CHANNELS}]\n"
        "assert (run_qonnx(sys.argv[1], p, x) == p.run(x)).all()"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)


def test_what_brevitas_itself_exports_is_lowered_exactly(tmp_path: Path) -> None:
    import torch

    with warnings.catch_warnings():  # of an optional package that Brevitas looks for
        warnings.simplefilter("ignore")
        from brevitas.export import export_qonnx
        from brevitas.nn import QuantIdentity, QuantLinear, QuantReLU
        from brevitas.quant import (
            Int8ActPerTensorFixedPoint,
            Int8WeightPerTensorFixedPoint,
            Int16Bias,
            Uint8ActPerTensorFixedPoint,
        )

    def frozen(limit: float) -> dict[str, Any]:
        return {"scaling_impl_type": "const", "scaling_init": limit, "return_quant_tensor": True}

    weights = {"weight_quant": Int8WeightPerTensorFixedPoint, "bias_quant": Int16Bias, "return_quant_tensor": True}
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        QuantIdentity(act_quant=Uint8ActPerTensorFixedPoint, **frozen(256.0)),
        QuantLinear(CHANNELS, 9, bias=True, weight_bit_width=4, **weights),
        QuantReLU(act_quant=Uint8ActPerTensorFixedPoint, **frozen(8.0)),
        QuantLinear(9, 3, bias=True, **weights),
        QuantIdentity(act_quant=Int8ActPerTensorFixedPoint, **(frozen(4.0) | {"return_quant_tensor": False})),
    ).eval()
    counts = np.random.default_rng(2).integers(0, 9, (BINS, CHANNELS))
    x = torch.tensor(counts, dtype=torch.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        export_qonnx(network, args=x, export_path=str(tmp_path / "mlp.onnx"), dynamo=False)
    program = equals_the_executor(tmp_path / "mlp.onnx")
    program.save(tmp_path / "mlp.edt")
    assert Program.load(tmp_path / "mlp.edt") == program
    with torch.no_grad():
        want = network(x).double().numpy() * 2.0**program.output_format.frac
    np.testing.assert_array_equal(program.run(counts), want)
