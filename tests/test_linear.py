"""Linear equals its formula in Python integers, and refuses what it cannot hold."""

from __future__ import annotations

import numpy as np
import obvious
import pytest
from hypothesis import given, settings
from strategies import Example, linears

from edgendt.fixed import Int
from edgendt.ops import Linear


@settings(max_examples=200, deadline=None)
@given(linears())
def test_equals_its_formula(example: Example) -> None:
    op, (x,), w = example.op, example.inputs, example.constants
    assert isinstance(op, Linear)
    got = example.run()
    for row, codes in zip(x.tolist(), got.tolist(), strict=True):
        want = obvious.linear(row, w["weight"].tolist(), w["bias"].tolist(), op.shifts.tolist(), op.y.bits, op.y.signed)
        assert codes == want


def test_the_accumulator_limit_is_reached_and_not_passed() -> None:
    op = Linear(3, 1, Int(8), Int(8), Int(8, -7))
    weight, bias = np.array([[-128, 127, -5]]), np.array([1000])
    reach = 128 * (128 + 127 + 5) + 1000 + 64
    assert op.accumulator_limit(weight, bias) == reach
    op.check(Int(reach.bit_length() + 1), weight=weight, bias=bias)
    with pytest.raises(ValueError, match=f"can reach {reach}: set accumulator to {reach.bit_length() + 1} "):
        op.check(Int(reach.bit_length()), weight=weight, bias=bias)


def test_one_weight_fraction_per_output_is_demanded() -> None:
    with pytest.raises(ValueError, match="one entry per output"):
        Linear(3, 2, Int(8), Int(8), Int(8), (1,))
