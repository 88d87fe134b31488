"""Transpose moves codes and changes none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from strategies import Example, transposes

from edgendt.fixed import Int
from edgendt.ops import Transpose


@settings(max_examples=50, deadline=None)
@given(transposes())
def test_equals_its_formula(example: Example) -> None:
    op, rows = example.op, example.inputs[0].tolist()
    assert isinstance(op, Transpose)
    if op.causal:
        padded = [[0] * op.channels] * (op.bins - 1) + rows
        windows = [padded[bin : bin + op.bins] for bin in range(len(rows))]
    else:
        windows = [rows]
    assert example.run().tolist() == [list(course) for window in windows for course in zip(*window, strict=True)]


def test_another_number_of_bins_is_refused() -> None:
    with pytest.raises(ValueError, match="bins must be the whole window's 4, got 3"):
        Transpose(2, 4, Int(8)).run(np.zeros((3, 2), np.int64))
