"""Attention equals its formula in Python integers."""

from __future__ import annotations

import obvious
import pytest
from hypothesis import given, settings
from strategies import Example, attentions

from edgendt.fixed import Int
from edgendt.ops import Attention
from edgendt.ops.attention import EXP, RECIP


@settings(max_examples=200, deadline=None)
@given(attentions())
def test_equals_its_formula(example: Example) -> None:
    op = example.op
    assert isinstance(op, Attention)
    q, k, v = (codes.tolist() for codes in example.inputs)
    fracs = {name: getattr(op, name).frac for name in "qkvy"}
    assert op.scale == obvious.scale(op.head_size, op.q.frac, op.k.frac)
    sight = (op.causal, op.back, op.ahead)
    assert example.run().tolist() == obvious.attention(q, k, v, op.heads, op.window, fracs, *sight)


def test_the_tables_hold_their_formulas() -> None:
    assert [int(e) for e in EXP] == [round(65280 * 2 ** (-i / 256)) for i in range(256)]
    assert [int(g) for g in RECIP[512:]] == [round(2**24 / (i + 0.5)) for i in range(512, 1024)]
    assert not RECIP[:512].any()


@pytest.mark.parametrize(
    "size,heads,window,frac,said",
    [(8, 2, 300, 4, "can reach 9792000"), (520, 1, 4, 4, "can reach 8519680"), (4, 1, 4, 0, "C must be below")],
)
def test_what_the_hardware_could_not_hold_is_refused(size: int, heads: int, window: int, frac: int, said: str) -> None:
    form = Int(8, frac) if frac else Int(8, -4)
    with pytest.raises(ValueError, match=said):
        Attention(size, heads, window, form, form, form, form).check(Int(24))


def test_heads_that_do_not_divide_the_size_are_refused() -> None:
    with pytest.raises(ValueError, match="heads must divide size 8, got 3"):
        Attention(8, 3, 4, Int(8), Int(8), Int(8), Int(8))
