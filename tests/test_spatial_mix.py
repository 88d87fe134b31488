"""SpatialMix equals its formula in Python integers."""

from __future__ import annotations

import obvious
import pytest
from hypothesis import given, settings
from strategies import Example, spatial_mixes

from edgendt.fixed import Int
from edgendt.ops import SpatialMix


@settings(max_examples=200, deadline=None)
@given(spatial_mixes())
def test_equals_its_formula(example: Example) -> None:
    op = example.op
    assert isinstance(op, SpatialMix)
    a, z = (codes.tolist() for codes in example.inputs)
    assert example.run().tolist() == obvious.spatial_mix(a, z, op.shift, op.y.bits)


def test_a_sum_beyond_the_accumulator_is_refused() -> None:
    with pytest.raises(ValueError, match="can reach 9139264 with 280 channels"):
        SpatialMix(280, Int(8, 8, False), Int(8, 5), Int(12, 6)).check(Int(24))
