"""Files with faults: one clear sentence for each, or a Program that is as close to the faulty file as it says."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from foreign import Quantizers, additive, causal, encoder, export, recording
from onnx import helper, numpy_helper

from edgendt.errors import BadInput, UnsupportedOp
from edgendt.lower import lowered, read
from edgendt.lower.deviation import deviations
from edgendt.lower.nearest import NEAREST

KINDS = (
    "Add Sub Mul Div MatMul Gemm Softmax Reshape Transpose Split Slice Gather Where Sqrt Exp ReduceMean Relu Clip Pow "
    "LayerNormalization QuantizeLinear DequantizeLinear Quant Shape IsNaN Expand ConstantOfShape Range Tile If Loop"
).split()
FAR = 0.25  # relative RMS of an op from the file's floats


def tensors(graph: onnx.GraphProto) -> list[str]:
    return [name for node in graph.node for name in node.output] + [item.name for item in graph.initializer]


def rewire(model: onnx.ModelProto, rng: random.Random) -> None:
    node = rng.choice([node for node in model.graph.node if node.input])
    node.input[rng.randrange(len(node.input))] = rng.choice(tensors(model.graph))


def drop_input(model: onnx.ModelProto, rng: random.Random) -> None:
    node = rng.choice([node for node in model.graph.node if node.input])
    del node.input[rng.randrange(len(node.input))]


def other_operator(model: onnx.ModelProto, rng: random.Random) -> None:
    rng.choice(model.graph.node).op_type = rng.choice(KINDS)


def other_shape(model: onnx.ModelProto, rng: random.Random) -> None:
    tensor = rng.choice([item for item in model.graph.initializer if item.dims])
    tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice([0, 1, 2, -1, 10**9])


def other_type(model: onnx.ModelProto, rng: random.Random) -> None:
    rng.choice(model.graph.initializer).data_type = rng.choice([1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 22, 99])


def other_attribute(model: onnx.ModelProto, rng: random.Random) -> None:
    attribute = rng.choice([item for node in model.graph.node for item in node.attribute])
    value = rng.choice([0, -1, 7, 10**12, 1.5, "x", [1, 0], [0, 1, 2, 3], [-5], [1.5], ["a"]])
    attribute.CopyFrom(helper.make_attribute(attribute.name, value))


def other_number(model: onnx.ModelProto, rng: random.Random) -> None:
    tensor = rng.choice([item for item in model.graph.initializer if item.data_type == onnx.TensorProto.FLOAT])
    array = numpy_helper.to_array(tensor).copy()
    array.reshape(-1)[rng.randrange(array.size)] = rng.choice([np.nan, np.inf, -np.inf, 0.0, 1e30, -1e-40])
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def drop_node(model: onnx.ModelProto, rng: random.Random) -> None:
    del model.graph.node[rng.randrange(len(model.graph.node))]


def other_input(model: onnx.ModelProto, rng: random.Random) -> None:
    tensor = model.graph.input[0].type.tensor_type
    rng.choice(tensor.shape.dim).dim_value = rng.choice([0, -1, 1, 3, 1 << 40])
    tensor.elem_type = rng.choice([1, 1, 7, 8, 9, 0])


def other_opset(model: onnx.ModelProto, rng: random.Random) -> None:
    model.opset_import[0].version = rng.choice([1, 7, 11, 12, 13, 18, 21, 99])


MUTATIONS = (rewire, drop_input, drop_node, other_operator, other_shape, other_type, other_attribute, other_number)
MUTATIONS += (other_input, other_opset)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("files")
    floats = Quantizers(powers=False, per_channel=True, stream=8)
    return [
        export(encoder(written=True), folder / "written.onnx").read_bytes(),
        export(encoder(fused=True, mask=additive(causal(4))), folder / "fused.onnx").read_bytes(),
        export(encoder(quantizers=floats), folder / "qcdq.onnx", "qcdq").read_bytes(),
    ]


def outcome(path: Path) -> str:
    """What comes of a file: an error's name, or far or close."""
    try:
        made = lowered(path)
    except (BadInput, UnsupportedOp) as error:
        assert "\n" not in str(error) and len(str(error)) > 20
        return type(error).__name__
    model = read.load(path)
    given = read.inputs(path, model.graph, read.constants(path, model.graph))
    if given[0].rows > 100:
        return "close"
    apart = deviations(model, given, made, [recording()[0][: given[0].rows or None]])
    return "close" if max(entry["op_rms"] for entry in apart) < FAR else "far"


@pytest.mark.parametrize("mutate", MUTATIONS)
def test_a_fault_is_one_sentence_or_changes_what_the_program_computes(
    mutate: Callable[[onnx.ModelProto, random.Random], None], files: list[bytes], tmp_path: Path
) -> None:
    rng, outcomes = random.Random(mutate.__name__), []
    for _ in range(25):
        model = onnx.load_model_from_string(rng.choice(files))
        mutate(model, rng)
        (tmp_path / "mutant.onnx").write_bytes(model.SerializeToString())
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            outcomes.append(outcome(tmp_path / "mutant.onnx"))
    assert "far" not in outcomes and {"BadInput", "UnsupportedOp"} & set(outcomes), outcomes


def test_damaged_bytes_are_one_sentence_or_harmless(files: list[bytes], tmp_path: Path) -> None:
    rng, outcomes = random.Random(0), []
    for data in files * 30:
        damaged = bytearray(data)
        damaged[rng.randrange(len(data))] = rng.randrange(256)
        (tmp_path / "damaged.onnx").write_bytes(damaged[: rng.choice([len(data), rng.randrange(len(data))])])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            outcomes.append(outcome(tmp_path / "damaged.onnx"))
    assert "far" not in outcomes and "BadInput" in outcomes, outcomes


def test_an_unknown_operator_anywhere_is_all_that_is_refused(files: list[bytes], tmp_path: Path) -> None:
    for data in files:
        names = tensors(onnx.load_model_from_string(data).graph)
        for name in random.Random(0).sample(names, 25):
            model = onnx.load_model_from_string(data)
            at = next((i for i, node in enumerate(model.graph.node) if name in node.output), -1) + 1
            for node in model.graph.node:
                node.input[:] = ["unknown" if given == name else given for given in node.input]
            model.graph.node.insert(at, helper.make_node("Unknown", [name], ["unknown"], domain="lab"))
            model.graph.output[0].name = "unknown" if model.graph.output[0].name == name else model.graph.output[0].name
            (tmp_path / "unknown.onnx").write_bytes(model.SerializeToString())
            with pytest.raises(UnsupportedOp, match=r"^Unknown at unknown") as caught:
                lowered(tmp_path / "unknown.onnx")
            assert str(caught.value).count(NEAREST) == 1, (name, caught.value)
