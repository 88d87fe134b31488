"""Other people's QONNX: what the Program holds is lowered exactly, everything else is refused with its reason."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgendt.errors import BadInput, UnsupportedOp
from edgendt.export.graph import QUANT_DOMAIN, SUMS
from edgendt.fixed import Int
from edgendt.lower import lower, lowered, read
from edgendt.lower.deviation import deviations
from edgendt.lower.execute import run_qonnx
from edgendt.lower.operators import NEAREST
from edgendt.program import Program

BINS, CHANNELS = 6, 4


class Net:
    """A small QONNX graph, built node by node; each method gives the tensor it writes."""

    def __init__(self, shape: tuple[int, ...] = (BINS, CHANNELS)) -> None:
        self.shape: tuple[Any, ...] = shape
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.rng = np.random.default_rng(0)

    def constant(self, values: Any) -> str:
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(values, dtype=np.float32), name))
        return name

    def shape_of(self, *numbers: int) -> str:
        """Whole numbers."""
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.array(numbers, np.int64), name))
        return name

    def node(self, kind: str, *inputs: str, domain: str = "", name: str | None = None, **fields: Any) -> str:
        name = name or f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, domain=domain, **fields))
        return name

    def quant(self, x: str, y: Int, scale: Any = None, zero: float = 0.0, **fields: Any) -> str:
        tail = [self.constant(y.scale if scale is None else scale), self.constant(zero), self.constant(float(y.bits))]
        fields = {"signed": int(y.signed), "narrow": 0, "rounding_mode": "ROUND"} | fields
        return self.node("Quant", x, *tail, domain=QUANT_DOMAIN, **fields)

    def zero(self, kind: Any, value: int) -> str:
        """A zero point."""
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.array(value, kind), name))
        return name

    def counts(self) -> str:
        return self.quant("counts", Int(4, 0, False))

    def weights(self, rows: int, columns: int, scale: Any = None) -> str:
        return self.quant(self.constant(self.rng.normal(size=(rows, columns))), Int(4, 2), scale, narrow=1)

    def save(self, output: str, path: Path, opset: int = 18) -> Path:
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("counts", TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
            self.initializers,
        )
        opsets = [
            helper.make_opsetid("", opset),
            helper.make_opsetid(QUANT_DOMAIN, 1),
            helper.make_opsetid("edgendt", 1),
        ]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
        return path


def equals_the_executor(path: Path) -> Program:
    """The lowered Program, after it gave the executor's codes on random counts."""
    program = lower(path)
    counts = np.random.default_rng(1).integers(0, 16, (BINS, program.channels))
    np.testing.assert_array_equal(run_qonnx(path, program, counts), program.run(counts))
    return program


def matmul(net: Net, outputs: int = 3) -> str:
    return net.node("MatMul", net.counts(), net.weights(CHANNELS, outputs))


def bias_first(net: Net) -> str:
    return net.node("Add", net.constant([0.25, -1.0, 2.5]), matmul(net))


def bias_last(net: Net) -> str:
    return net.node("Add", matmul(net), net.constant([[0.25, -1.0, 2.5]]))


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


def relu(net: Net) -> str:
    return net.node("Relu", matmul(net))


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
    "a scale of 0.3": (lambda n: n.quant(matmul(n), Y, 0.3), r"^scale 0.3 refitted to 2\^-1$"),
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


def refused(net: Net, output: str, tmp_path: Path) -> str:
    with pytest.raises(UnsupportedOp) as caught:
        lower(net.save(output, tmp_path / "net.onnx"))
    return str(caught.value)


Y = Int(8, 2)
ATTENTION = {"size": 4, "heads": 2, "window": 3} | {
    f"{name}_{key}": value for name in "qkvy" for key, value in (("bits", 8), ("frac", 4), ("signed", 1))
}


ROTARY = {f"{name}_{key}": value for name in "xy" for key, value in (("bits", 8), ("frac", 4), ("signed", 1))} | {
    "size": 4
}


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


REFUSALS: dict[str, tuple[Callable[[Net], str], str]] = {
    "an operator": (
        lambda n: n.quant(n.node("Softmax", matmul(n)), Y),
        r"Softmax at softmax.* only behind the scores",
    ),
    "a foreign domain": (lambda n: n.quant(n.node("LayerNorm", matmul(n), domain="x"), Y), "LayerNorm at layernorm"),
    "raw weights": (lambda n: n.quant(n.node("MatMul", n.counts(), n.constant(np.eye(4))), Y), "go through a Quant"),
    "raw counts": (lambda n: n.quant(n.node("MatMul", "counts", n.weights(4, 3)), Y), "unsigned Quant node first"),
    "a negative scale": (lambda n: n.quant(matmul(n), Y, -0.5), "constant and positive"),
    "a zero point": (lambda n: n.quant(matmul(n), Y, zero=1.0), "zero point must be 0"),
    "floor": (lambda n: n.quant(matmul(n), Y, rounding_mode="FLOOR"), r"must be ROUND \(ties to even\), got FLOOR"),
    "a narrow activation": (lambda n: n.quant(matmul(n), Y, narrow=1), "full range"),
    "several scales": (lambda n: n.quant(matmul(n), Y, [0.5, 0.25, 0.5]), "one number, it has several"),
    "fractional bits": (
        lambda n: n.quant(matmul(n), Int(8), 0.5) and fractional(n),
        "must be an integer 1..32, got 7.5",
    ),
    "a bias of another size": (lambda n: n.quant(n.node("Add", matmul(n), n.constant([1.0, 2.0])), Y), "bias must be"),
    "a sum behind a Relu": (lambda n: n.quant(n.node("Add", relu(n), n.constant(1.0)), Y), "wait for the Relu's Quant"),
    "codes times codes": (
        lambda n: (lambda h: n.quant(n.node("MatMul", h, n.node("Transpose", h)), Int(4)))(n.counts()),
        "scores of 4 bits are not held",
    ),
    "sizes that differ": (lambda n: n.quant(n.node("MatMul", n.counts(), n.weights(5, 3)), Y), r"\[4, outputs\]"),
    "one scale per input": (
        lambda n: n.quant(n.node("MatMul", n.counts(), n.weights(4, 3, [[1], [2], [1], [4]])), Y),
        "one scale, or one per output",
    ),
    "alpha": (lambda n: n.quant(n.node("Gemm", n.counts(), n.weights(4, 3), alpha=2.0), Y), "alpha and beta must be 1"),
    "axes that are not there": (lambda n: n.node("Transpose", n.counts(), perm=[0, 3]), "cannot be computed"),
    "an output of channels": (
        lambda n: n.node("Transpose", n.counts()),
        "the output must have rows of bins, not 4 channels",
    ),
    "no Quant at the end": (matmul, "must end in a Quant node"),
    "nothing but the input": (lambda n: n.counts(), "must end in a Quant node behind at least one op"),
    "attention without formats": (
        lambda n: (lambda h: n.node("Attention", h, h, h, domain="edgendt", size=4, heads=2, window=3))(n.counts()),
        "attribute q_bits is missing",
    ),
    "attention with an absurd fraction": (
        lambda n: (lambda h: n.node("Attention", h, h, h, domain="edgendt", **ATTENTION | {"q_frac": 9999}))(
            n.counts()
        ),
        "q_frac must be -64..64, got 9999",
    ),
    "attention of several sizes": (
        lambda n: (lambda h: n.node("Attention", h, h, h, domain="edgendt", **ATTENTION | {"size": [4]}))(n.counts()),
        r"size must be an integer, got \[4\]",
    ),
    "rotary of half a bit": (
        lambda n: n.node("Rotary", n.counts(), domain="edgendt", **ROTARY | {"steps": [5, 6], "x_bits": 7.5}),
        "x_bits must be an integer, got 7.5",
    ),
    "rotary with one step": (
        lambda n: n.node("Rotary", n.counts(), domain="edgendt", **ROTARY | {"steps": 5}),
        "steps must be a list of integers, got 5",
    ),
    "rotary with a step back": (
        lambda n: n.node("Rotary", n.counts(), domain="edgendt", **ROTARY | {"steps": [5, -1]}),
        "steps must be 0..32768, got -1..5",
    ),
    "activations times activations": (
        lambda n: n.quant(n.node("Mul", n.counts(), n.quant(matmul(n), Y)), Y),
        "activations times activations, element by element",
    ),
    "a function of many bits": (
        lambda n: n.quant(n.node("Tanh", n.quant(matmul(n), Int(12, 7))), Y),
        "a function of one activation reads at most 8 bits",
    ),
    "a function of its own for each channel": (
        lambda n: n.quant(n.node("PRelu", n.quant(matmul(n), Y), n.constant([0.1, 0.2, 0.3])), Y),
        "a function is held of one activation",
    ),
    "axes that stay moved": (
        lambda n: n.quant(n.node("MatMul", n.node("Reshape", n.counts(), n.shape_of(8, 3)), n.weights(3, 2)), Y),
        "its input is an activation whose axes were moved",
    ),
    "a part of the counts": (
        lambda n: n.quant(n.node("MatMul", n.node("Gather", n.counts(), n.shape_of(1, 2), axis=1), n.weights(2, 2)), Y),
        "only channels of a matrix product can be split, scaled or put in another order, not the counts",
    ),
    "open bins": (lambda n: opened(n) or n.quant(attend(n), Y), "the input must give its number of bins"),
    "scores as they are": (lambda n: n.quant(attend(n, scale=1.0), Y), r"must be scaled by 1/sqrt\(2\) times a power"),
    "a LayerNorm of a sum": (
        lambda n: n.quant(n.node("LayerNormalization", matmul(n), n.constant(np.ones(3))), Y),
        r"its format is chosen on calibration data \(--calibrate\)",
    ),
    "a mask with a gap": (
        lambda n: n.quant(attend(n, mask=np.eye(BINS) * -1e9), Y),
        "a mask must let bin i see i - back..i [+] ahead",
    ),
    "a bias of scores": (lambda n: n.quant(attend(n, mask=np.ones((BINS, 1))), Y), "must add 0, or -1000 or less"),
    "a mask per head": (
        lambda n: n.quant(attend(n, mask=np.stack([np.triu(np.full((BINS, BINS), -1e9), at) for at in (1, 2)])), Y),
        "all heads must have one mask",
    ),
    "attention between channels": (
        lambda n: n.quant(attend(n, axes=[0, 2, 1]), Y),
        "attention is held over all bins, each head over channels of its own",
    ),
    "a softmax over queries": (lambda n: n.quant(attend(n, softmax=1), Y), "its axis must be the last, got 1 of 3"),
    "an empty scale": (lambda n: n.quant(matmul(n), Y, np.zeros(0)), "constant and positive"),
    "a scale that does not fit": (
        lambda n: n.quant(n.constant(np.eye(4)), Y, [1, 2, 4]) and matmul(n),
        "shapes do not fit",
    ),
    "too many inputs": (lambda n: n.quant(n.node("Relu", matmul(n), n.constant(1.0)), Y), "input size 2 not in range"),
    "an accumulator of 26 bits": (
        lambda n: n.quant(n.node("Add", matmul(n), n.constant(2.0**22)), Y),
        "accumulator must stay within 24 bits, .*: set accumulator to 26 ",
    ),
}


def attend(
    net: Net, scale: float = 0.5**0.5, mask: Any = None, axes: tuple[int, ...] = (1, 0, 2), softmax: int = -1
) -> str:
    """Two heads of two channels, of the counts themselves."""
    heads = net.node("Reshape", net.counts(), net.shape_of(BINS, 2, 2))
    x = net.node("Transpose", heads, perm=list(axes))
    scores = net.node("MatMul", x, net.node("Transpose", x, perm=[0, 2, 1]))
    scores = net.node("Mul", scores, net.constant(scale))
    if mask is not None:
        scores = net.node("Add", scores, net.constant(mask))
    y = net.node("MatMul", net.node("Softmax", scores, axis=softmax), x)
    back = net.node("Transpose", y, perm=list(np.argsort(axes)))
    return net.node("Reshape", back, net.shape_of(BINS, 4))


def opened(net: Net) -> None:
    """Bins that the file leaves open."""
    net.shape = ("bins", CHANNELS)


def fractional(net: Net) -> str:
    """The last Quant node, its bit width 7.5."""
    net.initializers[-1].CopyFrom(numpy_helper.from_array(np.float32(7.5), net.initializers[-1].name))
    return net.nodes[-1].output[0]


@pytest.mark.parametrize("case", REFUSALS)
def test_what_the_program_cannot_hold_is_refused_with_node_and_reason(case: str, tmp_path: Path) -> None:
    build, said = REFUSALS[case]
    net = Net()
    message = refused(net, build(net), tmp_path)
    assert re.search(said, message), message


def test_a_file_may_say_how_wide_its_sums_are(tmp_path: Path) -> None:
    net = Net()
    path = net.save(REFUSALS["an accumulator of 26 bits"][0](net), tmp_path / "net.onnx")
    model = onnx.load(path)
    helper.set_model_props(model, {SUMS: "26"})
    onnx.save(model, path)
    assert equals_the_executor(path).accumulator == Int(26)


def test_the_documented_refusals_are_those_of_the_command(tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent / "docs" / "qonnx.md").read_text()
    nearest = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", page[page.index("| operator |") :], re.MULTILINE))
    assert nearest == NEAREST
    said = []
    for build, _ in REFUSALS.values():
        net = Net()
        said.append(refused(net, build(net), tmp_path))
    documented = re.findall(r"^\| `([^`]+)` \|", page[page.index("| refused, ") :], re.MULTILINE)
    assert len(documented) > 15
    assert [words for words in documented if not any(words in message for message in said)] == []


def test_all_refusals_come_at_once_and_only_their_causes(tmp_path: Path) -> None:
    net = Net()
    logs = net.quant(net.node("LogSoftmax", net.counts(), name="squash"), Y)
    half = net.quant(net.node("Gelu", logs, name="reads_squash"), Y)
    other = net.quant(matmul(net), Y, -0.3)
    message = refused(net, net.quant(net.node("Add", half, other), Y), tmp_path)
    assert message.startswith("LogSoftmax at squash is not supported") and "constant and positive" in message
    assert "reads_squash" not in message


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
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_malformed_file_is_one_clear_sentence(
    change: Callable[[onnx.ModelProto], None], said: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        lower(corrupt(tmp_path / "net.onnx", change))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not onnx at all", b"\x08\x07\x12\x04ab"], ids=["empty", "text", "cut"])
def test_a_file_that_is_no_onnx_is_one_clear_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(BadInput, match="is not an ONNX file"):
        lower(tmp_path / "x.onnx")


@pytest.mark.parametrize(("name", "verb"), [("a.edt", "edgendt estimate"), ("a.npz", "edgendt quantize --data")])
def test_a_file_for_another_verb_is_said_to_be(name: str, verb: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04 a zip")
    with pytest.raises(BadInput, match=f"is not an ONNX file, or is cut short: .*`{verb} {tmp_path / name}` takes$"):
        lower(tmp_path / name)


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
