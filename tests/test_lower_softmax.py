"""Softmax as graphs spell it: one Attention for every spelling; what only looks like one is refused, with its name."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nets import BINS, Net, Y, refused

from edgendt.errors import UnsupportedOp
from edgendt.fixed import Int
from edgendt.lower import lower

HIDDEN = np.triu(np.full((BINS, BINS), -1e9), 1)
Spell = Callable[["Spelling", str], str]


class Spelling(Net):
    """A net whose Reduce nodes are those of its opset: axes are an input since 18, of ReduceSum since 13."""

    def __init__(self, opset: int = 18) -> None:
        super().__init__()
        self.opset = opset

    def reduce(self, kind: str, x: str, axes: tuple[int, ...] = (-1,), keepdims: int = 1) -> str:
        if self.opset < (13 if kind == "ReduceSum" else 18):
            return self.node(kind, x, axes=list(axes), keepdims=keepdims)
        return self.node(kind, x, self.shape_of(*axes), keepdims=keepdims)

    def minus(self, kind: str, x: str, of: str = "", **fields: Any) -> str:
        """x less what a Reduce makes of it, or of another tensor."""
        return self.node("Sub", x, self.reduce(kind, of or x, **fields))

    def scores(self, scale: float = 0.5**0.5) -> str:
        """Of two heads of two channels of the counts."""
        return self.node("Mul", self.products, self.constant(scale))

    def attention(self, spell: Spell) -> str:
        """The counts, by what `spell` makes of the scores."""
        self.x = self.node("Transpose", self.node("Reshape", self.counts(), self.shape_of(BINS, 2, 2)), perm=[1, 0, 2])
        self.products = self.node("MatMul", self.x, self.node("Transpose", self.x, perm=[0, 2, 1]))
        y = self.node("MatMul", spell(self, self.scores()), self.x)
        rows = self.node("Reshape", self.node("Transpose", y, perm=[1, 0, 2]), self.shape_of(BINS, 4))
        return self.quant(rows, Y, name="y")


def one_node(net: Spelling, x: str) -> str:
    return net.node("Softmax", x, axis=-1)


def logs(net: Spelling, x: str) -> str:
    return net.node("Exp", net.node("LogSoftmax", x, axis=2))


def logsum(net: Spelling, x: str) -> str:
    return net.node("Exp", net.minus("ReduceLogSumExp", x))


def shifted(net: Spelling, x: str) -> str:
    """The largest score taken off first."""
    return logsum(net, net.minus("ReduceMax", x))


def share(net: Spelling, x: str) -> str:
    powers = net.node("Exp", net.minus("ReduceMax", x))
    return net.node("Div", powers, net.reduce("ReduceSum", powers))


def masked(spell: Spell) -> Spell:
    return lambda net, x: spell(net, net.node("Add", x, net.constant(HIDDEN)))


@pytest.mark.parametrize(("opset", "causal"), [(11, False), (13, False), (17, True), (18, True), (21, False)])
@pytest.mark.parametrize("spell", [logs, logsum, shifted, share])
def test_every_spelling_of_a_softmax_is_the_program_of_the_one_node(
    spell: Spell, opset: int, causal: bool, tmp_path: Path
) -> None:
    made = []
    for one in (one_node, spell):
        net = Spelling(opset)
        output = net.attention(masked(one) if causal else one)
        made.append(lower(net.save(output, tmp_path / "net.onnx", opset)))
    assert [node.op.kind for node in made[1].nodes] == ["attention"]
    assert made[0] == made[1]


def turned(net: Spelling, x: str, kind: str) -> str:
    """x less what a Reduce makes of each query, along the queries."""
    return net.node("Sub", x, net.node("Transpose", net.reduce(kind, x), perm=[0, 2, 1]))


def over_other_total(net: Spelling, x: str) -> str:
    """Exponentials of scores over the sum of those of the scores less their largest."""
    return net.node("Div", net.node("Exp", x), net.reduce("ReduceSum", net.node("Exp", net.minus("ReduceMax", x))))


def over_turned_total(net: Spelling, x: str) -> str:
    powers = net.node("Exp", x)
    return net.node("Div", powers, net.node("Transpose", net.reduce("ReduceSum", powers), perm=[0, 2, 1]))


def laid_out(spell: Spell, *shape: int) -> Spell:
    """The same of scores in another shape, put back behind it."""

    def spelt(net: Spelling, x: str) -> str:
        made = spell(net, net.node("Reshape", x, net.shape_of(*shape)))
        return net.node("Reshape", made, net.shape_of(2, BINS, BINS))

    return spelt


def masked_then_scaled(mask: float) -> Spell:
    """A mask on scores that are then divided by 1,024."""

    def spelt(net: Spelling, x: str) -> str:
        hidden = net.constant(np.triu(np.full((BINS, BINS), mask), 1))
        wide = net.node("Add", net.node("Mul", x, net.constant(1024.0)), hidden)
        return one_node(net, net.node("Mul", wide, net.constant(2.0**-10)))

    return spelt


def hides(number: float, *, put: bool = False) -> Spell:
    """A mask that adds a number, or has it in the place of what it hides."""

    def spelt(net: Spelling, x: str) -> str:
        if put:
            x = net.node("Where", net.node("Cast", net.constant(HIDDEN == 0), to=9), x, net.constant(number))
        else:
            x = net.node("Add", x, net.constant(np.where(HIDDEN == 0, 0, number)))
        return one_node(net, x)

    return spelt


class Wide(Spelling):
    """One whose counts are large, and so its scores."""

    def counts(self) -> str:
        return self.quant("counts", Int(8, 0, signed=False))


@pytest.mark.parametrize("put", [False, True])
def test_a_mask_that_a_score_may_outweigh_is_refused(put: bool, tmp_path: Path) -> None:
    """Two channels of codes up to 255, times the root of 1/2, and what an exponential needs to be zero."""
    most = 2 * 255**2 * 0.5**0.5
    drowned = -(2 * most + 16 * np.log(2))
    net = Wide()
    made = lower(net.save(net.attention(hides(drowned - 0.1, put=put)), tmp_path / "held.onnx"))
    assert made.nodes[0].op.causal
    net = Wide()
    said = r"a mask must add what no score outweighs: -183930 or less for scores of up to 9\.196e\+04, got -18392\d;"
    with pytest.raises(UnsupportedOp, match=said):
        lower(net.save(net.attention(hides(drowned + 1, put=put)), tmp_path / "refused.onnx"))


@pytest.mark.parametrize(
    "spell", [laid_out(one_node, 2 * BINS, BINS), laid_out(logsum, 1, 2, BINS, BINS), masked_then_scaled(-1e9)]
)
def test_other_axes_before_the_keys_and_a_mask_that_is_scaled_are_the_same_softmax(
    spell: Spell, tmp_path: Path
) -> None:
    net = Spelling()
    assert [node.op.kind for node in lower(net.save(net.attention(spell), tmp_path / "net.onnx")).nodes] == [
        "attention"
    ]


OTHER, THAT_QUERY = "is of other scores than those that it goes with", "must go with the scores of that query"
# By what they would be taken for where scores were not compared.
NEAR: dict[str, tuple[Spell, str]] = {
    "a logsum of scores of another scale": (
        lambda n, x: n.node("Exp", n.minus("ReduceLogSumExp", x, of=n.scores(1.0))),
        f"Sub at .*the logsum {OTHER}",
    ),
    "a logsum of scores without the mask": (
        lambda n, x: n.node("Exp", n.minus("ReduceLogSumExp", n.node("Add", x, n.constant(HIDDEN)), of=x)),
        f"Sub at .*the logsum {OTHER}",
    ),
    "a logsum of scores less their largest": (
        lambda n, x: n.node("Exp", n.minus("ReduceLogSumExp", x, of=n.minus("ReduceMax", x))),
        f"Sub at .*the logsum {OTHER}",
    ),
    "a logsum along the queries": (
        lambda n, x: n.node("Exp", turned(n, x, "ReduceLogSumExp")),
        f"Sub at .*the logsum of a query {THAT_QUERY}",
    ),
    "the largest along the queries": (
        lambda n, x: n.node("Softmax", turned(n, x, "ReduceMax"), axis=-1),
        f"Sub at .*the largest of a query {THAT_QUERY}",
    ),
    "a sum less the largest": (over_other_total, f"Div at .*the total {OTHER}"),
    "a sum along the queries": (over_turned_total, f"Div at .*the total of a query {THAT_QUERY}"),
}
FAR: dict[str, tuple[Spell, str]] = {
    "logarithms over the queries": (
        lambda n, x: n.node("Exp", n.node("LogSoftmax", x, axis=1)),
        "LogSoftmax at .*its axis must be the last, got 1 of 3",
    ),
    "a logsum over the queries": (
        lambda n, x: n.node("Exp", n.minus("ReduceLogSumExp", x, axes=(1,))),
        r"ReduceLogSumExp at .*it must go over the last axis, got \[1\] of 3",
    ),
    "a logsum over heads and keys": (
        lambda n, x: n.node("Exp", n.minus("ReduceLogSumExp", x, axes=(0, 2))),
        r"ReduceLogSumExp at .*it must go over the last axis, got \[0, 2\] of 3",
    ),
    "a logsum that drops its axis": (
        lambda n, x: n.node("Exp", n.minus("ReduceLogSumExp", x, keepdims=0)),
        "ReduceLogSumExp at .*it must keep its dimensions",
    ),
    "a softmax over all keys of all queries": (
        laid_out(one_node, 2, BINS * BINS),
        "Softmax at .*the axes of the scores must be heads, queries, keys",
    ),
    "a softmax over one key each": (
        laid_out(one_node, 2, BINS, BINS, 1),
        "Softmax at .*the axes of the scores must be heads, queries, keys",
    ),
    "a softmax over half of the keys": (
        laid_out(one_node, 2, BINS, 2, BINS // 2),
        "Softmax at .*the axes of the scores must be heads, queries, keys",
    ),
    "a sum over all keys of all queries": (
        laid_out(share, 2, BINS * BINS),
        "ReduceMax at .*the axes of the scores must be heads, queries, keys",
    ),
    "a logsum over all keys of all queries": (
        laid_out(logsum, 2, BINS * BINS),
        "ReduceLogSumExp at .*the axes of the scores must be heads, queries, keys",
    ),
    "probabilities of both heads for each head's values": (
        lambda n, x: n.node("Reshape", one_node(n, x), n.shape_of(2 * BINS, BINS)),
        r"MatMul at .*its probabilities must be \[..., 6, 6\], got \[12, 6\]",
    ),
    "a mask that is scaled until it hides nothing": (
        masked_then_scaled(-1e4),
        "Mul at .*a mask must add -1000 or less to a score, times 0.000976562 it adds -9.76562",
    ),
    "a mask that makes several of one": (
        lambda n, x: n.node("Where", n.node("Cast", n.constant(np.ones((3, 1, 1, 1))), to=9), x, n.constant(-1e9)),
        r"Where at .*a mask must be one for every trial, got \[3, 2, 6, 6\]",
    ),
    "logarithms themselves": (
        lambda n, x: n.node("LogSoftmax", x, axis=-1),
        "MatMul at .*values must be weighted by probabilities, got logs",
    ),
    "logarithms of logarithms": (
        lambda n, x: n.node("Exp", n.node("LogSoftmax", n.node("LogSoftmax", x, axis=-1), axis=-1)),
        "LogSoftmax at .*only behind the scores",
    ),
    "scores taken off their logsum": (
        lambda n, x: n.node("Exp", n.node("Sub", n.reduce("ReduceLogSumExp", x), x)),
        "Sub at .*takes the largest or the logsum off scores, not scores off logsum",
    ),
    "a logsum of exponentials": (
        lambda n, x: n.node("Exp", n.minus("ReduceLogSumExp", x, of=n.node("Exp", x))),
        "ReduceLogSumExp at .*part of a softmax over the keys only, got exponentials",
    ),
}


OPSETS = [*((case, 18) for case in (*NEAR, *FAR)), *((case, 13) for case in FAR if case.startswith("a logsum"))]


@pytest.mark.parametrize(("case", "opset"), OPSETS)
def test_what_only_looks_like_a_softmax_is_refused_with_its_name(case: str, opset: int, tmp_path: Path) -> None:
    spell, said = (NEAR | FAR)[case]
    net = Spelling(opset)
    output = net.attention(spell)
    with pytest.raises(UnsupportedOp, match=said) as caught:
        lower(net.save(output, tmp_path / "net.onnx", opset))
    assert len(re.findall(r"(?:^|; )\w+ at \w+", str(caught.value))) == 1


@pytest.mark.parametrize("case", NEAR)
def test_a_lowering_that_compares_no_scores_takes_them_for_one(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgendt.lower.attend.check_same", lambda seen, of: None)
    net = Spelling()
    assert lower(net.save(net.attention(NEAR[case][0]), tmp_path / "net.onnx")).nodes


def test_behind_a_refused_node_they_are_looked_at_too(tmp_path: Path) -> None:
    net = Spelling()
    product = net.node("MatMul", net.node("Unknown", "counts", domain="lab"), net.weights(4, 4))
    first = net.node("LogSoftmax", net.quant(product, Y))
    message = refused(net, net.quant(net.node("Exp", net.minus("ReduceLogSumExp", first, keepdims=0)), Y), tmp_path)
    assert re.findall(r"(?:^|; )(\w+) at \w+", message) == ["Unknown", "LogSoftmax", "ReduceLogSumExp"]
