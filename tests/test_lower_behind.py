"""What stands behind a refused node: refused with it where it is so whatever that node would have given."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nets import BINS, CHANNELS, LAYERNORM, ROTARY, Net, Y, matmul, pair, refused

from edgendt.export.graph import QUANT_DOMAIN
from edgendt.fixed import Int
from edgendt.lower.nearest import NEAREST


def logs(net: Net) -> str:
    """What is refused."""
    return net.node("LogSoftmax", net.counts())


def product(net: Net) -> str:
    """By weights, of what is refused."""
    return net.node("MatMul", logs(net), net.weights(CHANNELS, 3))


def scored(net: Net) -> str:
    """What is refused, where it may be scores."""
    x = logs(net)
    return net.node("MatMul", x, x)


def residual(net: Net) -> str:
    """What is refused, on top of what is held."""
    known = net.quant(net.node("MatMul", net.counts(), net.weights(CHANNELS, 4)), Y)
    return net.quant(net.node("Add", known, logs(net)), Y)


def normed(net: Net, **fields: Any) -> str:
    """LayerNormalization of what is refused."""
    return net.quant(net.node("LayerNormalization", logs(net), net.constant(1.0), **fields), Y)


def clip(net: Net) -> str:
    """What is refused, clipped below."""
    return net.node("Clip", logs(net), net.constant(0.0))


def scores(net: Net, axis: int = -1, scale: float = 3**-0.5, **fields: Any) -> str:
    """Attention of what is refused, with a Quant of the probabilities."""
    x = net.quant(product(net), Y)
    products = net.node("Mul", net.node("MatMul", x, net.node("Transpose", x)), net.constant(scale))
    weights = net.node("Softmax", products, axis=axis)
    return net.quant(net.node("MatMul", net.quant(weights, Y, **fields), x), Y)


def scaled(net: Net) -> str:
    """A Quant whose scale is refused."""
    tail = [net.constant(0.0), net.constant(8.0)]
    return net.node("Quant", matmul(net), logs(net), *tail, domain=QUANT_DOMAIN)


BEHIND: dict[str, tuple[Callable[[Net], str], list[str]]] = {
    "an operator": (lambda n: n.quant(n.node("LSTM", n.quant(logs(n), Y)), Y), ["LSTM"]),
    "raw weights, and a rounding": (
        lambda n: n.quant(n.node("MatMul", logs(n), n.constant(np.eye(4))), Y, rounding_mode="FLOOR"),
        ["MatMul", "Quant"],
    ),
    "weights on the left": (lambda n: n.quant(n.node("MatMul", n.weights(3, BINS), logs(n)), Y), ["MatMul"]),
    "fields of a Gemm": (lambda n: n.quant(n.node("Gemm", logs(n), n.weights(4, 3), alpha=2.0), Y), ["Gemm"]),
    "raw weights of an Einsum": (
        lambda n: n.quant(n.node("Einsum", logs(n), n.constant(np.eye(4)), equation="bi,io->bo"), Y),
        ["Einsum"],
    ),
    "a narrow activation": (lambda n: n.quant(product(n), Y, narrow=1), ["Quant"]),
    "several scales": (lambda n: n.quant(product(n), Y, [0.5, 0.25, 0.5]), ["Quant"]),
    "no Quant at the end": (lambda n: n.node("Add", product(n), n.constant(1.0)), ["output"]),
    "a scale per input of an Einsum": (
        lambda n: n.quant(n.node("Einsum", logs(n), n.weights(4, 3, [[1], [2], [1], [4]]), equation="bi,io->bo"), Y),
        ["Einsum"],
    ),
    "those on its left": (
        lambda n: n.quant(n.node("Einsum", n.weights(4, 3, [[1], [2], [1], [4]]), logs(n), equation="io,bi->bo"), Y),
        ["Einsum"],
    ),
    "an Einsum that is no product": (
        lambda n: n.quant(n.node("Einsum", logs(n), product(n), equation="bi,bi->b"), Y),
        ["Einsum"],
    ),
    "a bias of another size": (
        lambda n: n.quant(n.node("Gemm", logs(n), n.weights(4, 3), n.constant([1.0, 2.0])), Y),
        ["Gemm"],
    ),
    "log-rates that are normalised": (lambda n: n.node("Softmax", n.quant(product(n), Y)), ["Softmax"]),
    "a Softmax over queries": (lambda n: scores(n, axis=0), ["Softmax"]),
    "a LayerNormalization over bins": (lambda n: normed(n, axis=0), ["LayerNormalization"]),
    "an epsilon of it": (lambda n: normed(n, epsilon=2.0), ["LayerNormalization"]),
    "a scale of it that is no constant": (
        lambda n: n.quant(n.node("LayerNormalization", logs(n), n.counts()), Y),
        ["LayerNormalization"],
    ),
    "a scale and bias of it that differ": (
        lambda n: n.quant(n.node("LayerNormalization", logs(n), n.constant([1.0, 2.0]), n.constant(np.ones(3))), Y),
        ["LayerNormalization"],
    ),
    "limits of each channel": (
        lambda n: n.quant(n.node("Clip", logs(n), n.constant([0.0, 1.0, 0.0, 2.0])), Y),
        ["Clip"],
    ),
    "a limit that is no number": (
        lambda n: n.quant(n.node("Clip", logs(n), n.constant(0.0), n.constant(np.nan)), Y),
        ["Clip"],
    ),
    "slopes of each channel": (
        lambda n: n.quant(n.node("PRelu", logs(n), n.constant([0.1, 0.2, 0.3, 0.4])), Y),
        ["PRelu"],
    ),
    "weights that are no constants": (lambda n: n.quant(n.node("Gemm", logs(n), product(n)), Y), ["Gemm"]),
    "a bias that is infinite": (
        lambda n: n.quant(n.node("Add", product(n), n.constant([1.0, -np.inf, 1.0])), Y),
        ["Add"],
    ),
    "a factor that is no number": (lambda n: n.quant(n.node("Mul", product(n), n.constant(np.nan)), Y), ["Mul"]),
    "axes that are there twice": (lambda n: n.quant(n.node("Transpose", logs(n), perm=[1, 1]), Y), ["Transpose"]),
    "a shape that is no constant": (lambda n: n.quant(n.node("Reshape", logs(n), n.counts()), Y), ["Reshape"]),
    "what is held of known numbers": (lambda n: n.quant(n.node("Tile", logs(n), n.shape_of(1, 1)), Y), ["Tile"]),
    "a node of ours with too few inputs": (
        lambda n: n.node("LayerNorm", logs(n), n.constant(np.ones(4)), domain="edgendt", **LAYERNORM),
        ["LayerNorm"],
    ),
    "a sum that is too wide before it": (
        lambda n: n.quant(n.node("LogSoftmax", n.quant(n.node("Add", matmul(n), n.constant(2.0**22)), Y)), Y),
        ["linear"],
    ),
    "a mean over bins": (lambda n: n.quant(n.node("ReduceMean", logs(n), n.shape_of(0)), Y), ["ReduceMean"]),
    "a mean that drops its axis": (
        lambda n: n.quant(n.node("ReduceMean", logs(n), n.shape_of(-1), keepdims=0), Y),
        ["ReduceMean"],
    ),
    "whole numbers": (lambda n: n.quant(n.node("Cast", logs(n), to=7), Y), ["Cast"]),
    "dropout in training": (
        lambda n: n.quant(n.node("Dropout", logs(n), "", n.zero(np.bool_, True)), Y),
        ["Dropout"],
    ),
    "a pair of two scales": (lambda n: pair(n, logs(n), 0.5, 0.25), ["DequantizeLinear"]),
    "a node of ours": (lambda n: n.node("Rotary", logs(n), domain="edgendt", **ROTARY | {"steps": 5}), ["Rotary"]),
    "too many inputs": (lambda n: n.quant(n.node("Relu", logs(n), n.constant(1.0)), Y), ["Relu"]),
    "a scale of scores": (lambda n: scores(n, scale=1.0), ["Quant"]),
    "a bias that does not fit its weights": (
        lambda n: n.quant(n.node("Add", product(n), n.constant([1.0, 2.0])), Y),
        ["Add"],
    ),
    "no Quant before weights": (
        lambda n: n.quant(n.node("MatMul", n.node("LayerNormalization", logs(n), n.constant(1.0)), n.weights(4, 3)), Y),
        ["MatMul"],
    ),
    "weights of another size behind a residual": (
        lambda n: n.quant(n.node("MatMul", residual(n), n.weights(5, 3)), Y),
        ["MatMul"],
    ),
    "a sum that is too wide behind the next Quant": (
        lambda n: n.quant(n.node("Add", n.node("MatMul", residual(n), n.weights(4, 3)), n.constant(2.0**22)), Y),
        ["linear"],
    ),
    "nothing: a sum of codes whose format is not known": (
        lambda n: n.quant(n.node("Add", product(n), n.constant(2.0**22)), Y),
        [],
    ),
    "nothing: weights behind axes that are moved": (
        lambda n: n.quant(n.node("MatMul", n.node("Transpose", logs(n)), n.weights(BINS, 3)), Y),
        [],
    ),
    "nothing: a sum may give the format": (
        lambda n: (lambda h: n.node("Add", h, h) and n.quant(n.node("MatMul", h, n.weights(4, 3)), Y))(
            n.node("LayerNormalization", logs(n), n.constant(1.0))
        ),
        [],
    ),
    "nothing: a mask": (lambda n: n.node("Add", scored(n), n.constant(np.full((BINS, BINS), -np.inf))), []),
    "nothing: it is the output": (logs, []),
    "nothing: its Quant is": (lambda n: n.node("Relu", n.quant(logs(n), Y)), []),
    "nothing: it may be weights": (
        lambda n: n.quant(n.node("LogSoftmax", n.constant(np.eye(4))), Y, [1, 2, 1, 2], narrow=1),
        [],
    ),
    "nothing: it may be a scale": (scaled, []),
    "nothing: Attention leaves out that Quant": (lambda n: scores(n, narrow=1), []),
    "nothing: a Softmax over keys": (lambda n: scores(n, axis=-1), []),
    "nothing: a LayerNormalization": (lambda n: normed(n, axis=1), []),
    "nothing: an Einsum that is a product": (
        lambda n: n.quant(n.node("Einsum", n.weights(4, 3), logs(n), equation="io,bi->bo"), Y),
        [],
    ),
    "nothing: limits, a mean, floats": (
        lambda n: n.quant(
            n.node("Cast", n.node("Sub", clip(n), n.node("ReduceMean", clip(n), n.shape_of(-1))), to=1), Y
        ),
        [],
    ),
    "nothing: one pair": (lambda n: pair(n, logs(n), 0.5), []),
}


@pytest.mark.parametrize("case", BEHIND)
def test_behind_a_refusal_what_is_so_whatever_it_would_have_been_is_refused_too(case: str, tmp_path: Path) -> None:
    build, others = BEHIND[case]
    net = Net()
    message = refused(net, build(net), tmp_path)
    assert re.findall(r"(?:^|; )(\w+) at \w+", message) == ["LogSoftmax", *others], message
    assert message.count(NEAREST) == 1 + len(others)


def test_behind_fields_of_a_quant_what_right_ones_give_is_read(tmp_path: Path) -> None:
    for fields in (
        {"rounding_mode": "FLOOR"},
        {"narrow": 1},
        {"zero": 1.0},
        {"scale": [0.5, 0.25, 0.5]},
        {"scale": -1.0},
    ):
        net = Net()
        wide = net.quant(net.node("MatMul", net.quant(matmul(net), Y, **fields), net.weights(3, 3)), Int(12, 7))
        message = refused(net, net.quant(net.node("Tanh", wide), Y), tmp_path)
        assert re.findall(r"(?:^|; )(\w+) at \w+", message) == ["Quant", "Tanh"], message


def test_refusals_of_all_branches_come_at_once(tmp_path: Path) -> None:
    net = Net()
    other = net.quant(matmul(net), Y, -0.3)
    message = refused(net, net.quant(net.node("Add", net.quant(logs(net), Y), other), Y), tmp_path)
    assert re.findall(r"(?:^|; )(\w+) at", message) == ["Quant", "LogSoftmax"] and "constant and positive" in message
