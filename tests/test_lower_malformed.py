"""Files that are no sound ONNX: one clear sentence each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from nets import Net, Y, bias_last, matmul
from onnx import TensorProto, helper, numpy_helper

from edgendt.errors import BadInput, UnsupportedOp
from edgendt.export.functions import functions
from edgendt.export.graph import META, QUANT_DOMAIN, SUMS
from edgendt.export.nodes import DOMAIN
from edgendt.fixed import Int
from edgendt.lower import lower, lowered


def corrupt(path: Path, change: Callable[[onnx.ModelProto], None]) -> Path:
    net = Net()
    model = onnx.load(net.save(net.quant(matmul(net), Y), path))
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def drop_initializer(model: onnx.ModelProto) -> None:
    del model.graph.initializer[3]


def cut_data(model: onnx.ModelProto) -> None:
    model.graph.initializer[3].raw_data = b"\0\0\0"


def external(model: onnx.ModelProto) -> None:
    model.graph.initializer[3].data_location = TensorProto.EXTERNAL


def reverse(model: onnx.ModelProto) -> None:
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def cycle(model: onnx.ModelProto) -> None:
    model.graph.node[0].input[0] = model.graph.output[0].name


def no_outputs(model: onnx.ModelProto) -> None:
    del model.graph.node[0].output[:]


def words(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.STRING


def huge(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1 << 40


def no_opset(model: onnx.ModelProto) -> None:
    del model.opset_import[0]


def no_nodes(model: onnx.ModelProto) -> None:
    del model.graph.node[:]


def two_outputs(model: onnx.ModelProto) -> None:
    model.graph.output.append(helper.make_tensor_value_info("matmul2", TensorProto.FLOAT, None))


def lost_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = "elsewhere"


def two_inputs(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, (1,)))


def open_channels(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].ClearField("dim_value")


def twice(model: onnx.ModelProto) -> None:
    model.graph.node.append(model.graph.node[0])


def initializer_twice(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(model.graph.initializer[3])


def input_twice(model: onnx.ModelProto) -> None:
    model.graph.input.append(model.graph.input[0])


def no_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = ""


def negative_shape(model: onnx.ModelProto) -> None:
    del model.graph.initializer[3].dims[:]
    model.graph.initializer[3].dims.append(-1)


def many_axes(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims.extend([1] * 40)


def complex_numbers(model: onnx.ModelProto) -> None:
    array = numpy_helper.to_array(model.graph.initializer[3]).astype(np.complex64)
    model.graph.initializer[3].CopyFrom(numpy_helper.from_array(array, model.graph.initializer[3].name))


def sparse(model: onnx.ModelProto) -> None:
    one = model.graph.initializer.pop(3)
    given = model.graph.sparse_initializer.add(dims=one.dims)
    given.values.CopyFrom(one)


def external_constant(model: onnx.ModelProto) -> None:
    one = model.graph.initializer.pop(3)
    one.data_location = TensorProto.EXTERNAL
    model.graph.node.insert(0, helper.make_node("Constant", [], [one.name], value=one))


def small_floats(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT8E4M3FN


def no_tensor(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.sequence_type.elem_type.tensor_type.elem_type = TensorProto.FLOAT


def codes_come_out(model: onnx.ModelProto) -> None:
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT8


def wide_sums(model: onnx.ModelProto) -> None:
    helper.set_model_props(model, {SUMS: "9" * 5000})  # more digits than Python reads


def future(model: onnx.ModelProto) -> None:
    model.ir_version = 99


def no_version(model: onnx.ModelProto) -> None:
    model.ClearField("ir_version")


def two_opsets(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("ai.onnx", 9))


def negative_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -1


def no_bins(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 0


@pytest.mark.parametrize(
    "change,said",
    [
        (drop_initializer, "is malformed: .* which nothing writes: an initializer or a node is missing"),
        (reverse, "only a later node writes: the graph has a cycle"),
        (cycle, "quant0 reads '[a-z0-9]*', which only a later node writes: the graph has a cycle"),
        (no_outputs, "quant0 writes nothing"),
        (words, "the input must hold counts, it holds string"),
        (huge, "the input must have at most 67108864 elements"),
        (no_opset, "its operators must be those of opset 7 to [0-9]+, got 0"),
        (cut_data, "do not fill its shape"),
        (external, "in another file: save the model as one file"),
        (no_nodes, "no nodes"),
        (two_outputs, "one output, it has 2"),
        (lost_output, "nothing writes its output 'elsewhere'"),
        (two_inputs, "one input"),
        (open_channels, "with channels given"),
        (twice, "is written twice"),
        (initializer_twice, "'c3' is written twice"),
        (input_twice, "'counts' is written twice"),
        (no_operator, "quant0 has no operator"),
        (negative_shape, r"'c3' must have at most 8 axes, none of them negative, got \[-1\]"),
        (many_axes, "'c0' must have at most 8 axes"),
        (complex_numbers, "'c3' are of type complex64, which no operator of a Program computes with"),
        (sparse, "'c3' as a sparse tensor: save its elements one by one"),
        (external_constant, "keeps 'c3' in another file: save the model as one file"),
        (small_floats, "the input must hold counts, it holds float8e4m3fn"),
        (no_tensor, "the input must hold counts, it holds sequence_type"),
        (codes_come_out, "the output must hold log-rates, it holds int8"),
        (wide_sums, "edgendt.accumulator must be 1..32 bits, got '999999999'"),
        (future, "its ir_version must be 3 to [0-9]+, which the onnx package here knows, got 99"),
        (no_version, "its ir_version must be 3 to [0-9]+, .* got 0"),
        (two_opsets, "its operators must be those of one opset, got 9 and 18"),
        (negative_input, r"the input must have dimensions of 1 and more, got \[-1, 4\]"),
        (no_bins, r"the input must have dimensions of 1 and more, got \[0, 4\]"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_malformed_file_is_one_clear_sentence(
    change: Callable[[onnx.ModelProto], None], said: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        lower(corrupt(tmp_path / "net.onnx", change))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "word", [b"quant0", b"Quant", b"qonnx.custom_op.general", b"signed", b"c3", b"counts"], ids=bytes.decode
)
def test_a_name_that_is_no_text_is_one_clear_sentence(word: bytes, tmp_path: Path) -> None:
    path = corrupt(tmp_path / "net.onnx", lambda model: None)
    path.write_bytes(path.read_bytes().replace(word, b"\xff" + word[1:]))
    with pytest.raises(BadInput, match=r"is malformed: the name b.* is no UTF-8"):
        lower(path)


def test_double_precision_throughout_is_no_fault(tmp_path: Path) -> None:
    def widen(model: onnx.ModelProto) -> None:
        for tensor in model.graph.initializer:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name))
        for item in (*model.graph.input, *model.graph.output):
            item.type.tensor_type.elem_type = TensorProto.DOUBLE

    assert lower(corrupt(tmp_path / "wide.onnx", widen)) == lower(corrupt(tmp_path / "net.onnx", lambda model: None))


@pytest.mark.parametrize("bodies", [False, True], ids=["bare", "with bodies"])
def test_an_operator_behind_a_type_that_is_not_known_is_no_fault(bodies: bool, tmp_path: Path) -> None:
    net = Net()
    fields = {f"{name}_{key}": value for name in "xy" for key, value in (("bits", 8), ("frac", 4), ("signed", 1))}
    rows = net.quant(net.node("MatMul", net.counts(), net.weights(4, 4)), Int(8, 4))
    turned = net.node("Rotary", rows, domain=DOMAIN, size=4, steps=[5, 6], **fields)
    path = net.save(
        net.quant(net.node("Gemm", turned, net.weights(4, 3), net.constant(np.ones(3))), Y), tmp_path / "n.onnx"
    )
    model = onnx.load(path)
    model.functions.extend(functions(model.graph.node, 18) if bodies else [])
    onnx.save(model, path)
    assert [node.op.kind for node in lower(path).nodes] == ["linear", "rotary", "linear"]


@pytest.mark.parametrize("kind", ["Add", "Concat", "Gather"])
def test_constants_that_would_fold_to_an_absurd_size_are_refused(kind: str, tmp_path: Path) -> None:
    net = Net()
    row, half = net.constant(np.zeros((1, 1 << 14))), net.constant(np.zeros((1 << 13, 1)))
    column = net.node("Concat", half, half, axis=0)
    large = {
        "Add": lambda: net.node("Add", row, column),
        "Concat": lambda: net.node("Concat", *[net.node("Concat", *[row] * 100, axis=0)] * 100, axis=0),
        "Gather": lambda: net.node("Gather", row, net.shape_of(*[0] * 9999), axis=0),
    }[kind]()
    small = net.node("ReduceMax", large, keepdims=0)
    path = net.save(net.quant(net.node("Add", matmul(net), small), Y), tmp_path / "net.onnx")
    with pytest.raises(
        UnsupportedOp, match=rf"{kind} at {large} .*its output must have at most 67108864 elements, got"
    ):
        lower(path)


def test_nodes_without_names_are_no_fault(tmp_path: Path) -> None:
    def unnamed(model: onnx.ModelProto) -> None:
        for node in model.graph.node:
            node.name = ""

    assert lower(corrupt(tmp_path / "net.onnx", unnamed)).nodes


def test_meta_that_never_ends_is_left_out(tmp_path: Path) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    path = corrupt(tmp_path / "net.onnx", lambda model: helper.set_model_props(model, {META: deep}))
    assert lower(path).meta == {}


def test_a_body_of_the_files_own_is_told(tmp_path: Path) -> None:
    body = [helper.make_node("Identity", ["x"], ["y"])]
    other = helper.make_function(QUANT_DOMAIN, "Quant", list("xszb"), ["y"], body, [helper.make_opsetid("", 18)])
    path = corrupt(tmp_path / "net.onnx", lambda model: model.functions.append(other))
    (note,) = lowered(path).notes
    assert (note.where, note.what) == ("Quant", "the file's own body of it is not read: it is taken as its name says")


@pytest.mark.parametrize("content", [b"", b"not onnx at all", b"\x08\x07\x12\x04ab"], ids=["empty", "text", "cut"])
def test_a_file_that_is_no_onnx_is_one_clear_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(BadInput, match="is not an ONNX file"):
        lower(tmp_path / "x.onnx")


@pytest.mark.parametrize(
    ("name", "verb"),
    [
        ("a.edt", "edgendt estimate"),
        ("a.npz", "edgendt quantize --data"),
        ("a.pt", "edgendt quantize --from-checkpoint"),
        ("a.pth", "edgendt quantize --from-checkpoint"),
    ],
)
def test_a_file_for_another_verb_is_said_to_be(name: str, verb: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04 a zip")
    with pytest.raises(BadInput, match=f"is not an ONNX file, or is cut short: .*`{verb} {tmp_path / name}` takes"):
        lower(tmp_path / name)


def test_a_damaged_onnx_file_is_not_sent_back_to_this_verb(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(bytes(4096))
    with pytest.raises(BadInput, match=r"is not an ONNX file, or is cut short$"):
        lower(tmp_path / "x.onnx")


def test_a_folder_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"cannot be read: Is a directory$"):
        lower(tmp_path)


def test_a_missing_file_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        lower(tmp_path / "absent.onnx")


def test_every_prefix_of_a_file_is_refused_cleanly(tmp_path: Path) -> None:
    net = Net()
    data = net.save(net.quant(bias_last(net), Y), tmp_path / "net.onnx").read_bytes()
    for length in range(0, len(data), 37):
        (tmp_path / "cut.onnx").write_bytes(data[:length])
        with pytest.raises((BadInput, UnsupportedOp)):
            lower(tmp_path / "cut.onnx")
