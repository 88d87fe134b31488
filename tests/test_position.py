"""Position adds the row of its bin and saturates; there is no row beyond the last."""

from __future__ import annotations

import numpy as np
import obvious
import pytest
from hypothesis import given, settings
from strategies import Example, positions

from edgendt.fixed import Int
from edgendt.ops import Position


@settings(max_examples=200, deadline=None)
@given(positions())
def test_equals_its_formula(example: Example) -> None:
    x, table = example.inputs[0].tolist(), example.constants["table"].tolist()
    bits = example.op.y.bits
    for row, position, got in zip(x, table, example.run().tolist(), strict=False):  # more rows than bins is allowed
        assert got == [obvious.saturate(a + b, bits) for a, b in zip(row, position, strict=True)]


def test_a_bin_beyond_the_last_row_is_refused() -> None:
    op, table = Position(1, 2, Int(12)), np.zeros((2, 1), dtype=np.int64)
    op.run(np.zeros((1, 1), dtype=np.int64), table=table, first=1)
    with pytest.raises(ValueError, match="bin must be below 2"):
        op.run(np.zeros((1, 1), dtype=np.int64), table=table, first=2)
