"""Attention's and LayerNorm's roundings at exact ties: op, formula and torch sibling agree on the even code."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import obvious
import pytest
import torch_siblings as siblings
from strategies import Example
from ties import attention_ties, layernorm_ties

from edgendt import fixed
from edgendt.ops import Attention, LayerNorm, layernorm
from edgendt.ops.attention import RECIP


def exact(example: Example) -> Fraction:
    """The last bin's output before rounding."""
    op = example.op
    assert isinstance(op, Attention)
    q, k, v = example.inputs
    e = op.scale.exponentials((q @ k.T)[2])
    total = int(e.sum())
    length = total.bit_length()
    g = int(RECIP[total >> (length - 10) if length >= 10 else total << (10 - length)])
    return Fraction(int((e @ v)[0]) * g) / Fraction(2) ** (14 + length + op.v.frac - op.y.frac)


def test_the_examples_are_ties_of_both_signs_that_half_up_and_truncation_get_wrong() -> None:
    values = [exact(example) for example in attention_ties()]
    codes = [int(example.run()[2, 0]) for example in attention_ties()]
    assert all((2 * value).denominator == 1 and value.denominator == 2 for value in values)
    assert {value > 0 for value in values} == {True, False}
    assert sum(code != int(np.floor(value + Fraction(1, 2))) for value, code in zip(values, codes, strict=True)) > 10
    assert sum(code != int(np.floor(value)) for value, code in zip(values, codes, strict=True)) > 10


@pytest.mark.parametrize("example", attention_ties(), ids=lambda example: str(float(exact(example))))
def test_ties_go_to_the_even_code(example: Example) -> None:
    op = example.op
    assert isinstance(op, Attention)
    q, k, v = (codes.tolist() for codes in example.inputs)
    fracs = {name: getattr(op, name).frac for name in "qkvy"}
    want = obvious.attention(q, k, v, op.heads, op.window, fracs)
    assert want[2][0] % 2 == 0
    assert example.run().tolist() == want
    assert siblings.run(op, example.inputs, {}).tolist() == want


def test_each_of_layernorms_roundings_shows_when_its_ties_go_up_or_down(monkeypatch: pytest.MonkeyPatch) -> None:
    rne = fixed.rne
    right = [example.run() for example in layernorm_ties()]
    for module, name in ((layernorm, "rne"), (fixed, "rne")):  # t; t·γ + β, which narrow rounds
        for toward in (1, -1):
            with monkeypatch.context() as patch:
                # Bits below the last one, set or taken away: a tie is none, and no other value is rounded otherwise.
                patch.setattr(module, name, lambda a, shift, toward=toward: rne(4 * a + toward, shift + 2))
                wrong = [example.run() for example in layernorm_ties()]
            assert sum(not np.array_equal(a, b) for a, b in zip(right, wrong, strict=True)) > 10, (module, toward)


@pytest.mark.parametrize("example", layernorm_ties(), ids=range(len(layernorm_ties())))
def test_layernorms_ties_go_to_the_even_code(example: Example) -> None:
    op, x, w = example.op, example.inputs, example.constants
    assert isinstance(op, LayerNorm)
    constants = (w["gamma"].tolist(), w["beta"].tolist(), op.eps_code, op.gamma.frac, op.y.frac, op.y.bits)
    want = [obvious.layernorm(row, *constants) for row in x[0].tolist()]
    assert example.run().tolist() == want
    assert siblings.run(op, x, w).tolist() == want
