"""SpatialMix equals its formula in Python integers."""

from __future__ import annotations

import numpy as np
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


def test_each_bin_may_have_weights_of_its_own() -> None:
    op, rng = SpatialMix(5, Int(8, 8, False), Int(8, 5), Int(12, 6)), np.random.default_rng(0)
    a, z = rng.integers(0, 256, (3, 5, 5)), rng.integers(-128, 128, (3, 5))
    alone = [op.run(a[bin], z[bin : bin + 1])[0] for bin in range(3)]
    np.testing.assert_array_equal(op.run(a.reshape(15, 5), z), alone)


def test_a_sum_beyond_the_accumulator_is_refused() -> None:
    with pytest.raises(ValueError, match="can reach 9139264 with 280 channels"):
        SpatialMix(280, Int(8, 8, False), Int(8, 5), Int(12, 6)).check(Int(24))
