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
from needs import needs_package
from onnx import helper, numpy_helper

from edgendt.engine.reference import TINY
from edgendt.errors import BadInput, UnsupportedOp
from edgendt.export import export_program
from edgendt.export.functions import functions
from edgendt.lower import lowered, read
from edgendt.lower.deviation import deviations
from edgendt.lower.faults import Faults
from edgendt.lower.nearest import NEAREST
from edgendt.lower.read import QUANT_DOMAINS

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


def retyped(model: onnx.ModelProto, rng: random.Random) -> None:
    """Numbers of another type, some or all of them."""
    floats = [item for item in model.graph.initializer if item.data_type == onnx.TensorProto.FLOAT]
    kind = rng.choice([np.float64, np.float16, np.int64, np.int32])
    for tensor in rng.choice([floats, rng.sample(floats, 1), rng.sample(floats, 1)]):
        values = np.nan_to_num(numpy_helper.to_array(tensor), neginf=-1e4)
        tensor.CopyFrom(numpy_helper.from_array(values.astype(kind), tensor.name))


def declared(model: onnx.ModelProto, rng: random.Random) -> None:
    """A type that the file says of an input, an output, a tensor between or data, whatever they hold."""
    graph, kind = model.graph, rng.choice([7, 10, 11])
    between, data = rng.choice(graph.node).output[0], rng.choice(graph.initializer)
    how = rng.randrange(4)
    if how < 2:
        (graph.input, graph.output)[how][0].type.tensor_type.elem_type = kind
    elif how == 2:
        graph.value_info.append(helper.make_tensor_value_info(between, kind, None))
    else:
        graph.input.append(helper.make_tensor_value_info(data.name, kind, data.dims))


def named(model: onnx.ModelProto, rng: random.Random) -> None:
    """A node with the name of another, or none."""
    one, other = rng.sample(list(model.graph.node), 2)
    one.name = rng.choice([other.name, other.name, ""])


def imported(model: onnx.ModelProto, rng: random.Random) -> None:
    """A domain that is not imported, or of another version."""
    at = rng.choice([i for i, item in enumerate(model.opset_import) if item.domain not in QUANT_DOMAINS])
    if rng.random() < 0.6:
        del model.opset_import[at]
    elif model.opset_import[at].domain:
        model.opset_import[at].version = rng.choice([0, 1, 7, 99])
    else:
        model.opset_import[at].version = rng.choice([0, 1, 28, 99])


def other_domain(model: onnx.ModelProto, rng: random.Random) -> None:
    rng.choice(model.graph.node).domain = rng.choice(["", "ai.onnx", "ai.onnx.ml", "lab", "onnx.brevitas", "edgendt"])


def other_kind(model: onnx.ModelProto, rng: random.Random) -> None:
    """An attribute that says another type than it has."""
    rng.choice([item for node in model.graph.node for item in node.attribute]).type = rng.choice([0, 1, 2, 3, 4, 6, 7])


@pytest.fixture(scope="module")
def runnable(files: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Files that a plain runtime loads: Quant nodes have bodies."""
    path = tmp_path_factory.mktemp("runnable") / "tiny.onnx"
    export_program(TINY.program(), path)
    made = [path.read_bytes()]
    for data in files:
        model = onnx.load_model_from_string(data)
        model.functions.extend(functions(model.graph.node, 18))
        made.append(model.SerializeToString())
    return made


def runtime(data: bytes) -> str:
    """Why onnxruntime does not load a file; nothing where it does."""
    onnxruntime = needs_package("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # it has a class for each code
        return str(error) or type(error).__name__
    return ""


def told(path: Path) -> str:
    """Why a file is not lowered; nothing where it is."""
    try:
        lowered(path)
    except (BadInput, UnsupportedOp) as error:
        assert "\n" not in str(error)
        return str(error)
    return ""


def apart(mutate: Callable[[onnx.ModelProto, random.Random], None], runnable: list[bytes], path: Path) -> list[str]:
    """What is lowered of mutants though the runtime does not load it, or said to be malformed though it does."""
    rng, found, refused = random.Random(mutate.__name__), [], 0
    for _ in range(12):
        model = onnx.load_model_from_string(rng.choice(runnable))
        mutate(model, rng)
        path.write_bytes(model.SerializeToString())
        ours, theirs = told(path), runtime(path.read_bytes())
        refused += bool(theirs)
        if (theirs and not ours) or ("is malformed (" in ours and not theirs):
            found.append(f"{theirs} | {ours}")
    assert refused, "no mutant was one that the runtime refuses"
    return found


TYPED = (retyped, declared, named, imported, other_domain, other_kind)


@pytest.mark.parametrize("mutate", TYPED)
def test_what_a_runtime_does_not_load_is_not_lowered(
    mutate: Callable[[onnx.ModelProto, random.Random], None], runnable: list[bytes], tmp_path: Path
) -> None:
    assert apart(mutate, runnable, tmp_path / "mutant.onnx") == []


@pytest.mark.parametrize("mutate", [retyped, declared, named])
def test_a_lowering_that_looks_for_no_faults_is_found(
    mutate: Callable[[onnx.ModelProto, random.Random], None],
    runnable: list[bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edgendt.lower.faults.faults", lambda model, opset: Faults())
    assert apart(mutate, runnable, tmp_path / "mutant.onnx")
