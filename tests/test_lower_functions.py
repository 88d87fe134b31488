"""Functions of one activation, as a node or spelt out: a table of exactly what the operators compute."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from needs import needs_package
from nets import BINS, CHANNELS, Net, matmul, refused
from onnx import TensorProto, helper, numpy_helper

from edgendt.errors import UnsupportedOp
from edgendt.fixed import Codes, Int
from edgendt.lower import lowered
from edgendt.lower.curves import FUNCTIONS
from edgendt.ops import Table
from edgendt.ops.table import gelu, tabulate
from edgendt.program import Program

X, Y = Int(8, 4), Int(8, 4)
OPSETS = {"Gelu": 20}


def erf_form(net: Net, x: str) -> str:
    """As torch's exporter writes GELU."""
    tail = net.node("Erf", net.node("Div", x, net.constant(2**0.5)))
    both = net.node("Mul", x, net.node("Add", tail, net.constant(1.0)))
    return net.node("Mul", both, net.constant(0.5))


def half_first(net: Net, x: str) -> str:
    """As others write it."""
    tail = net.node("Erf", net.node("Mul", x, net.constant(2**-0.5)))
    return net.node("Mul", net.node("Mul", net.constant(0.5), x), net.node("Add", net.constant(1.0), tail))


def tanh_form(net: Net, x: str) -> str:
    cube = net.node("Mul", net.node("Pow", x, net.constant(3.0)), net.constant(0.044715))
    inner = net.node("Mul", net.node("Add", x, cube), net.constant((2 / np.pi) ** 0.5))
    both = net.node("Add", net.node("Tanh", inner), net.constant(1.0))
    return net.node("Mul", net.node("Mul", x, net.constant(0.5)), both)


def silu(net: Net, x: str) -> str:
    return net.node("Mul", net.node("Sigmoid", x), x)


def silu_written(net: Net, x: str) -> str:
    powers = net.node("Exp", net.node("Neg", x))
    return net.node("Div", x, net.node("Add", powers, net.constant(1.0)))


def relu_squared(net: Net, x: str) -> str:
    return net.node("Relu", net.node("Mul", x, net.node("Abs", x)))


def relu6(net: Net, x: str) -> str:
    return net.node("Clip", x, net.constant(0.0), net.constant(6.0))


def swish(x: float) -> float:
    return float(x / (1 + np.exp(-x)))


def by_tanh(x: float) -> float:
    return float(x / 2 * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3))))


SPELT: dict[str, tuple[Callable[[Net, str], str], Callable[[float], float]]] = {
    "Gelu": (lambda net, x: net.node("Gelu", x), gelu),
    "Gelu by tanh": (lambda net, x: net.node("Gelu", x, approximate="tanh"), by_tanh),
    "by Erf": (erf_form, gelu),
    "by Erf, half first": (half_first, gelu),
    "by Tanh": (tanh_form, by_tanh),
    "by Sigmoid": (silu, swish),
    "by Exp": (silu_written, swish),
    "by Relu": (relu_squared, lambda x: max(x, 0.0) ** 2),
    "by Clip": (relu6, lambda x: min(max(x, 0.0), 6.0)),
}


def table_of(program: Program) -> Codes:
    """The one function's, behind the one product."""
    assert [node.op.kind for node in program.nodes] == ["linear", "table"]
    return program.nodes[-1].constants["table"]


@pytest.mark.parametrize("form", SPELT)
@pytest.mark.parametrize("quantized", [True, False])
def test_every_spelling_is_one_table(form: str, quantized: bool, tmp_path: Path) -> None:
    spell, function = SPELT[form]
    net = Net()
    x = net.quant(matmul(net), X) if quantized else matmul(net)
    path = net.save(net.quant(spell(net, x), Y), tmp_path / "net.onnx", opset=20)
    made = lowered(path, None if quantized else [np.random.default_rng(0).integers(0, 16, (6, CHANNELS))])
    read = made.program.nodes[0].op.y
    wanted = tabulate(function, read, Y)
    apart = np.abs(table_of(made.program) - wanted)
    assert apart.max() <= 1 and apart.sum() <= 2  # the file's numbers have 24 bits: a tie may fall to the other side
    assert [note.what.split(":")[0] for note in made.notes] == ([] if quantized else ["no Quant"])


def alone(kind: str, x: np.ndarray, opset: int) -> np.ndarray:
    """What a plain runtime makes of numbers."""
    runtime = needs_package("onnxruntime")
    slope = [numpy_helper.from_array(np.float32([0.25]), "slope")] if kind == "PRelu" else []
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [len(x)]) for name in "xy"]
    node = helper.make_node(kind, ["x", *(item.name for item in slope)], ["y"])
    graph = helper.make_graph([node], "alone", ports[:1], ports[1:], slope)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"x": x.astype(np.float32)})
    return np.asarray(y, np.float64)


@pytest.mark.parametrize("kind", sorted({*FUNCTIONS} - {"Swish"}))  # which the runtime has not yet
def test_every_function_is_what_a_plain_runtime_computes(kind: str, tmp_path: Path) -> None:
    net, opset = Net(), OPSETS.get(kind, 18)
    x, codes = net.quant(net.node("Relu", matmul(net)), Int(8, 4, False)), np.arange(256) / 16
    if kind in ("Reciprocal", "Log"):  # not of 0
        x, codes = net.node("Add", net.node("Abs", x), net.constant(0.5)), codes + 0.5
    slope = [net.constant(0.25)] if kind == "PRelu" else []
    table = table_of(lowered(net.save(net.quant(net.node(kind, x, *slope), Y), tmp_path / "net.onnx", opset)).program)
    wanted = np.rint(np.clip(alone(kind, codes, opset) / Y.scale, Y.lo, Y.hi)).astype(np.int64)
    assert np.abs(table - wanted).sum() <= 1  # it has 24 bits: a tie may fall to the other side


def test_swish_is_a_table_too(tmp_path: Path) -> None:
    net = Net()
    path = net.save(net.quant(net.node("Swish", net.quant(matmul(net), X)), Y), tmp_path / "net.onnx", opset=24)
    assert table_of(lowered(path).program).tolist() == tabulate(swish, X, Y).tolist()


def test_a_curve_joins_the_residual_stream_and_is_read_by_products(tmp_path: Path) -> None:
    net = Net()
    h = net.quant(net.node("MatMul", net.counts(), net.weights(CHANNELS, 3)), Int(12, 7))
    x = net.quant(net.node("MatMul", net.counts(), net.weights(CHANNELS, 3)), X)
    total = net.quant(net.node("Add", h, net.quant(net.node("Tanh", x), Int(12, 7))), Int(12, 7))
    program = lowered(net.save(total, tmp_path / "net.onnx")).program
    assert [node.op.kind for node in program.nodes] == ["linear", "linear", "table", "add"]
    assert [node.op.y for node in program.nodes if isinstance(node.op, Table)] == [Int(12, 7)]


def test_a_scaled_product_that_only_a_function_reads_is_not_refitted(tmp_path: Path) -> None:
    net = Net()
    out = net.quant(net.node("Sigmoid", net.node("Mul", matmul(net), net.constant(1.702))), Y)
    trials = [np.random.default_rng(0).integers(0, 16, (6, CHANNELS))]
    notes = lowered(net.save(out, tmp_path / "net.onnx"), trials).notes
    assert [note.what.split(":")[0] for note in notes] == ["no Quant"]
    net = Net()
    out = net.quant(net.node("Mul", matmul(net), net.constant(1.702)), Y)
    assert "weights times 1.702 refitted" in lowered(net.save(out, tmp_path / "net.onnx")).notes[0].what


def halves(net: Net, x: str) -> str:
    net.nodes.append(helper.make_node("Split", [x], ["left", "right"], name="split", axis=1, num_outputs=2))
    return net.node("Mul", "left", "right")


def outer(net: Net, x: str) -> str:
    left, right = (net.node("Reshape", x, net.shape_of(*shape)) for shape in ((BINS, 1, 3), (1, BINS, 3)))
    return net.node("Mul", left, right)


REFUSED: dict[str, tuple[Callable[[Net], str], str]] = {
    "two activations": (
        lambda net: net.node("Mul", net.node("Sigmoid", net.quant(matmul(net), X)), net.quant(matmul(net), X)),
        "activations times activations, element by element",
    ),
    "halves of one": (lambda net: halves(net, net.quant(matmul(net, 4), X)), "with themselves only"),
    "every bin with every other": (lambda net: outer(net, net.quant(matmul(net), X)), "with themselves only"),
    "a pole": (lambda net: net.node("Reciprocal", net.quant(matmul(net), X)), "must be finite at every code"),
    "no Quant before it": (lambda net: net.node("Tanh", matmul(net)), "its format is chosen on calibration data"),
}


def test_a_gelu_of_another_form_is_refused(tmp_path: Path) -> None:
    net = Net()
    path = net.save(net.quant(net.node("Gelu", net.quant(matmul(net), X), approximate="x"), Y), tmp_path / "n.onnx", 20)
    with pytest.raises(UnsupportedOp, match="its approximate must be none or tanh"):
        lowered(path)


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_table_is_refused_with_the_reason(case: str, tmp_path: Path) -> None:
    build, said = REFUSED[case]
    net = Net()
    assert said in refused(net, net.quant(build(net), Y), tmp_path)
