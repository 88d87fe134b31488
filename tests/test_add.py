"""Add saturates a sum of two codes of one format."""

from __future__ import annotations

import obvious
from hypothesis import given, settings
from strategies import Example, adds


@settings(max_examples=200, deadline=None)
@given(adds())
def test_equals_its_formula(example: Example) -> None:
    h, x = (codes.tolist() for codes in example.inputs)
    want = [
        [obvious.saturate(a + b, example.op.y.bits) for a, b in zip(*rows, strict=True)]
        for rows in zip(h, x, strict=True)
    ]
    assert example.run().tolist() == want
