"""What no Program holds: every node with its name, the reason and the nearest form, all of them at once."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from nets import BINS, CHANNELS, ROTARY, Net, Y, equals_the_executor, matmul, pair, refused, relu
from onnx import TensorProto, helper, numpy_helper

from edgendt.export.graph import QUANT_DOMAIN, SUMS
from edgendt.fixed import Int
from edgendt.lower import lower
from edgendt.lower.curves import FUNCTIONS
from edgendt.lower.folding import ARITHMETIC
from edgendt.lower.nearest import FUSED, NEAREST, OPERATORS, REASONS, form
from edgendt.lower.operators import STANDARD

ATTENTION = {"size": 4, "heads": 2, "window": 3} | {
    f"{name}_{key}": value for name in "qkvy" for key, value in (("bits", 8), ("frac", 4), ("signed", 1))
}

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
    "scores of few bits": (lambda n: n.quant(attend(n, bits=4), Y), "scores of 4 bits are not held"),
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
    "a sum of every bin with every other": (
        lambda n: (lambda h: n.quant(n.node("Add", h, n.node("Unsqueeze", h, n.shape_of(1))), Y))(
            n.quant(matmul(n), Y)
        ),
        r"it adds \[6, 3\] and \[6, 1, 3\], and repeats elements of one",
    ),
    "a table for every bin of each bin": (
        lambda n: n.quant(
            n.node("Add", n.node("Unsqueeze", matmul(n), n.shape_of(1)), n.constant(np.ones((BINS, 3)))), Y
        ),
        r"it adds \[6, 1, 3\] and \[6, 3\], and repeats elements of one",
    ),
    "a mean of every bin off every other": (
        lambda n: (
            lambda h: n.node("Sub", n.node("Unsqueeze", h, n.shape_of(1)), n.node("ReduceMean", h, n.shape_of(-1)))
        )(n.quant(matmul(n), Y)),
        "a mean is taken off only what it is the mean of",
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
    "a mask that scores may outweigh": (
        lambda n: n.quant(attend(n, scale=32**0.5, mask=np.triu(np.full((BINS, BINS), -1e3), 1)), Y),
        "a mask must add what no score outweighs: -5103 or less for scores of up to 2546, got -1000",
    ),
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
        lambda n: n.quant(n.constant(np.eye(4)), Y, [1, 2, 4]) and n.quant(matmul(n), Y),
        "shapes do not fit",
    ),
    "too many inputs": (lambda n: n.quant(n.node("Relu", matmul(n), n.constant(1.0)), Y), "input size 2 not in range"),
    "signs that differ in a sum": (
        lambda n: n.quant(n.node("Add", n.quant(matmul(n), Y), n.quant(relu(n), Int(8, 2, False))), Y),
        "what a sum joins must be signed, or one format",
    ),
    "an operator that is held of known numbers": (
        lambda n: n.quant(n.node("Concat", matmul(n), matmul(n), axis=1), Y),
        "no op of the Program is this operator of an activation",
    ),
    "a function of others": (
        lambda n: n.quant(n.node("Gelu", n.quant(matmul(n), Y), domain="com.microsoft"), Y),
        "no op of the Program is this operator of com.microsoft; .*: Gelu of opset 20",
    ),
    "no scale behind a zero point": (lambda n: pair(n, matmul(n), 0.0, zero=100), "constant and positive"),
    "a sign that is neither": (lambda n: n.quant(matmul(n), Y, signed=2), "its signed must be 0 or 1, got 2"),
    "a range that is no number": (lambda n: n.quant(matmul(n), Y, narrow="x"), "its narrow must be 0 or 1, got 'x'"),
    "an attribute without a type": (lambda n: untyped(n, n.quant(matmul(n), Y)), "must be there once, with a type"),
    "an attribute twice": (lambda n: twice(n, n.quant(matmul(n), Y)), "must be there once, with a type"),
    "a Quant of two outputs": (lambda n: further(n, n.quant(matmul(n), Y)), "it must have one output, got 2"),
    "an attribute that rotary has not": (
        lambda n: n.node("Rotary", n.counts(), domain="edgendt", **ROTARY | {"steps": [5, 6], "turns": 1}),
        "attribute turns is none of a Rotary",
    ),
    "a rotary of another sign": (
        lambda n: n.node("Rotary", n.counts(), domain="edgendt", **ROTARY | {"steps": [5, 6], "x_signed": 3}),
        "x_signed must be 0 or 1, got 3",
    ),
    "axes from the end": (lambda n: n.node("Transpose", n.counts(), perm=[-1, 0]), "Invalid attribute perm"),
    "whole numbers for a bias": (
        lambda n: n.quant(n.node("Add", matmul(n), n.shape_of(1, 2, 3)), Y),
        r"it is malformed \(B has inconsistent type tensor\(int64\)\)",
    ),
    "an attribute that LayerNormalization has not": (
        lambda n: n.quant(n.node("LayerNormalization", n.quant(matmul(n), Y), n.constant(1.0), allowzero=1), Y),
        "Unrecognized attribute: allowzero",
    ),
    "dropout in training": (
        lambda n: n.quant(n.node("Dropout", matmul(n), "", n.zero(np.bool_, True)), Y),
        "it drops at random",
    ),
    "more positions than bins": (
        lambda n: n.quant(n.node("Add", n.quant(matmul(n), Y), n.constant(np.ones((BINS + 1, 3)))), Y),
        r"a constant added to an activation must be \[6, size\], got \[7, 3\]",
    ),
    "fewer positions than bins": (
        lambda n: n.quant(n.node("Add", n.quant(matmul(n), Y), n.constant(np.ones((2, 3)))), Y),
        r"a constant added to an activation must be \[6, size\], got \[2, 3\]",
    ),
    "a weight that is one number": (
        lambda n: n.quant(n.node("MatMul", n.counts(), n.quant(n.constant(1.0), Int(4, 2))), Y),
        r"its weights must be \[inputs, outputs\], got \[\]",
    ),
    "a scale of more axes": (
        lambda n: n.quant(matmul(n), Y, np.ones((1, 1, 1))),
        "its scale, zero point and bit width must have at most 2 axes, as its input",
    ),
    "a scale of more axes than its weights": (
        lambda n: n.quant(n.node("MatMul", n.counts(), n.weights(4, 3, np.ones((1, 1, 1)))), Y),
        "its scale, zero point and bit width must have at most 2 axes, as its input",
    ),
    "more zero points than scales": (
        lambda n: n.quant(matmul(n), Y, zero=np.zeros(3)),
        "its zero point must be 0, with as many elements as its scale",
    ),
    "weights that are no floats": (
        lambda n: n.quant(n.node("MatMul", n.counts(), n.quant(n.zero(np.bool_, np.eye(4)), Y)), Y),
        "its values must be floats, got bool",
    ),
    "a Gemm of three axes": (
        lambda n: batched(n) or n.quant(n.node("Gemm", n.counts(), n.weights(4, 3)), Y),
        "it must read a matrix, got 3 axes",
    ),
    "fields of truth values": (
        lambda n: n.node("Quant", matmul(n), *(n.zero(np.bool_, at) for at in (1, 0, 1)), domain=QUANT_DOMAIN),
        "must be numbers, got bool",
    ),
    "a bias of more axes": (
        lambda n: n.quant(n.node("Add", matmul(n), n.constant(np.ones((1, 1, 1, 1, 3)))), Y),
        r"its constants must have at most 4 axes, got \[1, 1, 1, 1, 3\]",
    ),
    "an axis that is dropped": (
        lambda n: n.quant(n.node("ReduceMean", n.quant(matmul(n), Y), n.shape_of(-1), keepdims=-2), Y),
        "it must keep its dimensions",
    ),
    "a dropout of each channel": (
        lambda n: n.quant(n.node("Dropout", matmul(n), n.constant(np.zeros(3))), Y),
        "its ratio and training_mode must be constant, one number each",
    ),
    "counts in a sum": (
        lambda n: n.quant(n.node("Add", n.quant(n.node("MatMul", n.counts(), n.weights(4, 4)), Y), "counts"), Y),
        "the counts must go through an unsigned Quant node first",
    ),
    "a zero point per channel": (
        lambda n: n.quant(n.node("MatMul", n.counts(), stored(n, np.ones(3), np.zeros((2, 3), np.int8))), Y),
        "its zero point must be one number, with as many elements as its scale",
    ),
    "a zero point of floats": (
        lambda n: n.quant(n.node("MatMul", n.counts(), stored(n, 0.5, np.float32(0))), Y),
        r"x_zero_point typestr: T, has unsupported type: tensor\(float\)",
    ),
    "a zero point of another type": (
        lambda n: n.quant(n.node("MatMul", n.counts(), stored(n, 0.5, np.uint8(0))), Y),
        r"x_zero_point has inconsistent type tensor\(uint8\)",
    ),
    "more scales than channels": (
        lambda n: n.quant(n.node("MatMul", n.counts(), stored(n, np.ones(3), None, columns=1)), Y),
        "its scale must have 1 elements, got 3",
    ),
    "no scale of weights behind a zero point": (
        lambda n: n.quant(n.node("MatMul", n.counts(), stored(n, np.nan, np.int8(5))), Y),
        "its scale must be constant and positive",
    ),
    "limits of floats for codes": (
        lambda n: clipped(n, n.constant(0.0), n.constant(9.0)),
        r"min has inconsistent type tensor\(float\)",
    ),
    "double precision beside single": (
        lambda n: n.quant(n.node("Add", matmul(n), n.zero(np.float64, 1.0)), Y),
        r"it is malformed \(B has inconsistent type tensor\(double\)\)",
    ),
    "weights in double precision": (
        lambda n: n.quant(n.node("MatMul", n.counts(), n.quant(n.zero(np.float64, np.eye(4)), Y)), Y),
        r"it is malformed \(B has inconsistent type tensor\(double\)\)",
    ),
    "an output in double precision": (
        lambda n: double(n) or n.quant(matmul(n), Y),
        r"it is malformed \('quant3' holds float, not double as the file says\)",
    ),
    "nodes of one name": (
        lambda n: named(n, n.quant(matmul(n), Y)),
        r"it is malformed \(the node that writes 'quant0' has the same name\)",
    ),
    "a domain that is not imported": (
        lambda n: (
            n.domains.remove("edgendt") or n.node("Rotary", n.counts(), domain="edgendt", **ROTARY | {"steps": [5, 6]})
        ),
        r"it is malformed \(its domain edgendt is in no opset import",
    ),
    "an accumulator of 26 bits": (
        lambda n: n.quant(n.node("Add", matmul(n), n.constant(2.0**22)), Y),
        "accumulator must stay within 24 bits, .*: set accumulator to 26 ",
    ),
}


def attend(
    net: Net,
    scale: float = 0.5**0.5,
    mask: Any = None,
    axes: tuple[int, ...] = (1, 0, 2),
    softmax: int = -1,
    bits: int = 8,
) -> str:
    """Two heads of two channels, of the counts themselves; bits: of the scores."""
    heads = net.node("Reshape", net.counts(), net.shape_of(BINS, 2, 2))
    x = net.node("Transpose", heads, perm=list(axes))
    scores = net.quant(net.node("MatMul", x, net.node("Transpose", x, perm=[0, 2, 1])), Int(bits))
    scores = net.node("Mul", scores, net.constant(scale))
    if mask is not None:
        scores = net.node("Add", scores, net.constant(mask))
    y = net.node("MatMul", net.node("Softmax", scores, axis=softmax), x)
    back = net.node("Transpose", y, perm=list(np.argsort(axes)))
    return net.node("Reshape", back, net.shape_of(BINS, 4))


def stored(net: Net, scale: Any, zero: Any, columns: int = 3) -> str:
    """Weights as codes of 8 bits."""
    net.initializers.append(numpy_helper.from_array(net.rng.integers(-9, 9, (4, columns)).astype(np.int8), "codes"))
    points = [] if zero is None else ["point"]
    net.initializers += [numpy_helper.from_array(np.asarray(zero), name) for name in points]
    return net.node("DequantizeLinear", "codes", net.constant(scale), *points)


def clipped(net: Net, low: str, high: str) -> str:
    """A pair with a Clip within."""
    scale, zero = net.constant(0.25), net.zero(np.int8, 0)
    codes = net.node("Clip", net.node("QuantizeLinear", matmul(net), scale, zero), low, high)
    return net.node("DequantizeLinear", codes, scale, zero)


def untyped(net: Net, output: str) -> str:
    net.nodes[-1].attribute[0].ClearField("type")
    return output


def twice(net: Net, output: str) -> str:
    net.nodes[-1].attribute.append(net.nodes[-1].attribute[0])
    return output


def double(net: Net) -> None:
    """An output of that type, the file says."""
    net.holds = TensorProto.DOUBLE


def named(net: Net, output: str) -> str:
    """The last node has the name of the first."""
    net.nodes[-1].name = net.nodes[0].name
    return output


def further(net: Net, output: str) -> str:
    net.nodes[-1].output.append("further")
    return output


def batched(net: Net) -> None:
    """A leading dimension of 1."""
    net.shape = (1, BINS, CHANNELS)


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
    assert re.search(said, message) and message.count(NEAREST) == 1, message


def test_every_sum_that_is_too_wide_is_told_at_once(tmp_path: Path) -> None:
    net = Net()
    wide = [net.quant(net.node("Add", matmul(net), net.constant(2.0**at)), Y) for at in (22, 23)]
    message = refused(net, net.quant(net.node("Add", *wide), Y), tmp_path)
    assert [f"linear at {name}" in message for name in wide] == [True, True] and message.count(NEAREST) == 2


def test_every_fault_of_a_file_is_told_at_once_with_what_is_not_held(tmp_path: Path) -> None:
    net = Net()
    biases = [net.node("Add", matmul(net), net.zero(np.float64, 1.0)) for _ in range(2)]
    net.quant(biases[0], Y)
    net.nodes[-1].name = net.nodes[0].name
    net.node("Unknown", biases[1], domain="lab")  # whose domain is none of its faults
    message = refused(net, net.quant(net.node("Softmax", net.nodes[-2].output[0]), Y, rounding_mode="FLOOR"), tmp_path)
    told = [*biases, "unknown", "softmax", "(the node that writes", "FLOOR"]
    assert [word for word in told if word not in message] == [] and "domain lab" not in message, message


def test_a_lower_limit_may_be_left_out(tmp_path: Path) -> None:
    formats = []
    for written in (True, False):
        net = Net()
        low, high = net.zero(np.int8, -128), net.zero(np.int8, 0)
        path = net.save(clipped(net, low if written else "", high), tmp_path / "net.onnx", opset=21)
        formats.append(lower(path).output_format)
    assert formats[0] == formats[1] and formats[0].signed


def test_a_file_may_say_how_wide_its_sums_are(tmp_path: Path) -> None:
    net = Net()
    path = net.save(REFUSALS["an accumulator of 26 bits"][0](net), tmp_path / "net.onnx")
    model = onnx.load(path)
    helper.set_model_props(model, {SUMS: "26"})
    onnx.save(model, path)
    assert equals_the_executor(path).accumulator == Int(26)


def test_the_documented_refusals_are_those_of_the_command(tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent / "docs" / "qonnx.md").read_text()
    operators, reasons = page[page.index("| operator |") :].split("| refused, ")
    rows = re.findall(r"^\| (`.*`) \| (.*) \|$", operators, re.MULTILINE)
    assert {near: re.sub("[`,]", "", names) for names, near in rows} == OPERATORS
    assert dict(re.findall(r"^\| `([^`]+)` \| (.*) \|$", reasons, re.MULTILINE)) == REASONS
    said = []
    for build, _ in REFUSALS.values():
        net = Net()
        said.append(refused(net, build(net), tmp_path))
    assert [words for words in REASONS if not any(words in message for message in said)] == []


FOREIGN = {
    "com.microsoft": "BiasGelu FastGelu QuickGelu FusedMatMul QAttention MultiHeadAttention SkipLayerNormalization "
    "MatMulIntegerToFloat DynamicQuantizeMatMul MatMulNBits",
    QUANT_DOMAIN: "MultiThreshold FloatQuant BipolarQuant Trunc",
    "": "MatMulInteger QLinearMatMul RotaryEmbedding TopK MaxPool GlobalAveragePool Pad Sinh LSTM Attention",
}


def test_every_operator_that_no_op_is_has_a_form(tmp_path: Path) -> None:
    net = Net()
    held = {*STANDARD, *ARITHMETIC, *FUNCTIONS}
    standard = {schema.name for schema in onnx.defs.get_all_schemas() if not schema.domain} - held
    kinds = {(domain, kind) for domain, names in FOREIGN.items() for kind in names.split()}
    kinds |= {("", kind) for kind in standard} | {("lab.ours", "Thing")}
    for domain, kind in sorted(kinds):
        net.node(kind, "counts", domain=domain)
    message = refused(net, net.quant(matmul(net), Y), tmp_path)
    unheld = re.findall(rf"(\w+) at \w+(?: is not supported)?: no op of [^;]*; {NEAREST}: [^;]+", message)
    assert sorted(unheld) == sorted(kind for _, kind in kinds)
    assert {form(kind, "", domain) for domain, names in FOREIGN.items() for kind in names.split()} <= {*OPERATORS}
    assert form("Thing", "", "lab.ours") == FUSED
