"""Sound files of kinds that exporters differ in: functions of their own, types of floats, axes of scales."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from nets import BINS, CHANNELS, Net, Y, matmul, relu
from onnx import TensorProto, helper, numpy_helper

from edgendt.errors import BadInput, UnsupportedOp
from edgendt.export.graph import QUANT_DOMAIN
from edgendt.fixed import Int
from edgendt.lower import lower, lowered, read
from edgendt.lower.deviation import deviations

RATES = Int(8, 2, False)


def function(name: str, nodes: list[onnx.NodeProto], opset: int = 18, inputs: str = "x") -> onnx.FunctionProto:
    """Of domain lab: inputs -> y."""
    domains = [helper.make_opsetid("", opset), helper.make_opsetid("lab", 1), helper.make_opsetid(QUANT_DOMAIN, 1)]
    return helper.make_function("lab", name, list(inputs), ["y"], nodes, domains)


def of_functions(path: Path, *functions: onnx.FunctionProto) -> Path:
    """A product, the function Block behind it, and a Quant."""
    net = Net()
    net.domains.append("lab")
    model = onnx.load(net.save(net.quant(net.node("Block", matmul(net), domain="lab"), RATES, name="y"), path))
    model.functions.extend(functions)
    onnx.save(model, path)
    return path


def call(kind: str, to: str = "y", of: str = "x") -> onnx.NodeProto:
    return helper.make_node(kind, [of], [to], domain="lab")


def test_functions_of_a_file_are_read_as_the_nodes_they_stand_for(tmp_path: Path) -> None:
    net = Net()
    plain = lower(net.save(net.quant(relu(net), RATES, name="y"), tmp_path / "plain.onnx"))
    inner = function("Inner", [helper.make_node("Relu", ["x"], ["y"])])
    outer = function("Block", [call("Inner", "z"), helper.make_node("Identity", ["z"], ["y"])])
    assert lower(of_functions(tmp_path / "net.onnx", outer, inner)) == plain


def test_a_name_within_a_function_that_is_no_text_is_one_clear_sentence(tmp_path: Path) -> None:
    path = of_functions(tmp_path / "net.onnx", function("Block", [helper.make_node("Relu", ["x"], ["y"], "within")]))
    path.write_bytes(path.read_bytes().replace(b"within", b"\xffithin"))
    with pytest.raises(BadInput, match=r"is malformed: the name b.* is no UTF-8"):
        lower(path)


def test_what_is_within_a_function_is_refused_with_its_name(tmp_path: Path) -> None:
    path = of_functions(tmp_path / "net.onnx", function("Block", [helper.make_node("Softmax", ["x"], ["y"])]))
    with pytest.raises(UnsupportedOp, match=r"^Softmax at .*only behind the scores"):
        lower(path)


FUNCTIONS: dict[str, tuple[list[onnx.FunctionProto], str]] = {
    "itself": ([function("Block", [call("Block")])], "is malformed: its function Block calls itself$"),
    "itself through another": (
        [function("Block", [call("Other")]), function("Other", [call("Block")])],
        "is malformed: its function Block calls itself$",
    ),
    "too many nodes": (
        [
            function("Block" if not at else f"F{at}", [*(call(f"F{at + 1}", f"z{i}") for i in range(9)), call("End")])
            for at in range(9)
        ],
        "its functions must stand for at most 100000 nodes, got ",
    ),
    "too deep": (
        [function("Block" if not at else f"F{at}", [call(f"F{at + 1}")]) for at in range(102)],
        "its functions must call each other at most 100 deep, F101 goes on$",
    ),
    "another opset": (
        [function("Block", [helper.make_node("Relu", ["x"], ["y"])], opset=11)],
        "its functions cannot be put in their places .*incompatible opset versions",
    ),
}


@pytest.mark.parametrize("case", FUNCTIONS)
def test_functions_that_stand_for_no_nodes_are_one_clear_sentence(case: str, tmp_path: Path) -> None:
    functions, said = FUNCTIONS[case]
    with pytest.raises(BadInput, match=said):
        lower(of_functions(tmp_path / "net.onnx", *functions))


KINDS = [np.float16, ml_dtypes.bfloat16, np.float32, np.float64]


def of_floats(path: Path, kind: Any) -> None:
    """The same file in another type of floats."""
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(kind), tensor.name))
    for item in (*model.graph.input, *model.graph.output):
        item.type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    onnx.save(model, path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_any_type_of_floats_is_lowered_and_run_as_it_is(kind: Any, tmp_path: Path) -> None:
    net = Net()
    of_floats(net.save(net.quant(matmul(net), Y), tmp_path / "net.onnx"), kind)
    trials = [np.random.default_rng(0).integers(0, 16, (BINS, CHANNELS))]
    made, model = lowered(tmp_path / "net.onnx", trials), read.load(tmp_path / "net.onnx")
    given = read.inputs("net.onnx", model.graph, read.constants("net.onnx", model.graph))
    assert [entry["op_worst"] for entry in deviations(model, given, made, trials)] == [0]


@pytest.mark.parametrize("kind", KINDS)
def test_calibration_chooses_formats_in_any_type_of_floats(kind: Any, tmp_path: Path) -> None:
    net = Net()
    open_ended = net.node("MatMul", matmul(net), net.weights(3, 3))  # of a product without a Quant
    of_floats(net.save(net.quant(open_ended, Y), tmp_path / "net.onnx"), kind)
    trials = [np.random.default_rng(0).integers(0, 16, (BINS, CHANNELS))]
    made = lowered(tmp_path / "net.onnx", trials)
    assert [node.op.kind for node in made.program.nodes] == ["linear", "linear"]
    assert "by calibration" in " ".join(note.what for note in made.notes)


def test_a_recording_of_other_channels_is_one_sentence(tmp_path: Path) -> None:
    net = Net()
    net.save(net.quant(matmul(net), Y), tmp_path / "net.onnx")
    said = rf"must be \[bins, {CHANNELS}\], got \[{BINS}, 9\]: give a recording of the {CHANNELS} channels of the file"
    made, model = lowered(tmp_path / "net.onnx"), read.load(tmp_path / "net.onnx")
    given = read.inputs("net.onnx", model.graph, read.constants("net.onnx", model.graph))
    with pytest.raises(BadInput, match=said):
        deviations(model, given, made, [np.zeros((BINS, 9), np.int64)])


def test_counts_beyond_the_files_own_integers_are_the_largest_of_them(tmp_path: Path) -> None:
    net = Net()
    counts = net.quant(net.node("Cast", "counts", to=TensorProto.FLOAT), Int(7, 0, False))
    model = onnx.load(net.save(net.quant(net.node("MatMul", counts, net.weights(4, 3)), Y), tmp_path / "net.onnx"))
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT8
    onnx.save(model, tmp_path / "net.onnx")
    model, trials = read.load(tmp_path / "net.onnx"), [np.full((BINS, CHANNELS), 200)]
    given = read.inputs("net.onnx", model.graph, read.constants("net.onnx", model.graph))
    assert [one["op_worst"] for one in deviations(model, given, lowered(tmp_path / "net.onnx"), trials)] == [0]


def stored(net: Net, scales: list[float], axis: int, turned: bool = False) -> str:
    """Weights of 8 bits, dequantized along an axis."""
    codes = net.rng.integers(-9, 9, (CHANNELS, 3)).astype(np.int8)
    net.initializers.append(numpy_helper.from_array(codes.T.copy() if turned else codes, "codes"))
    return net.node("DequantizeLinear", "codes", net.constant(scales), axis=axis)


def test_scales_of_stored_weights_lie_along_outputs(tmp_path: Path) -> None:
    made = []
    for turned in (False, True):
        net = Net()
        weight = stored(net, [0.5, 0.25, 1.0], 0 if turned else 1, turned)
        y = net.node("Gemm", net.counts(), weight, transB=1) if turned else net.node("MatMul", net.counts(), weight)
        made.append(lower(net.save(net.quant(y, Y, name="y"), tmp_path / "net.onnx")))
    assert made[0] == made[1] and made[0].nodes[0].op.w_frac == (1, 2, 0)


def test_scales_of_stored_weights_along_inputs_are_refused(tmp_path: Path) -> None:
    net = Net()
    y = net.node("MatMul", net.counts(), stored(net, [0.5, 0.25, 1.0, 2.0], 0))
    with pytest.raises(UnsupportedOp, match="its weights must have one scale, or one per output"):
        lower(net.save(net.quant(y, Y), tmp_path / "net.onnx"))
