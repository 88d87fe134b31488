"""SpatialWeights equals its formula in exact fractions."""

from __future__ import annotations

import numpy as np
import obvious
import pytest
from hypothesis import given, settings
from strategies import Example, spatial_weights

from edgendt.fixed import Int
from edgendt.ops import SpatialWeights

WEIGHTS = Int(8, 8, False)


@settings(max_examples=200, deadline=None)
@given(spatial_weights())
def test_equals_its_formula(example: Example) -> None:
    op = example.op
    assert isinstance(op, SpatialWeights)
    fracs = {name: getattr(op, name).frac for name in "qky"}
    q, k = (codes.tolist() for codes in example.inputs)
    assert example.run().tolist() == obvious.spatial_weights(q, k, op.heads, fracs, op.y.bits)


def test_bins_are_weighed_apart() -> None:
    op, rng = SpatialWeights(5, 8, 2, Int(8, 4), Int(8, 4), WEIGHTS), np.random.default_rng(0)
    q, k = (rng.integers(-128, 128, (3, 5, 8)) for _ in "qk")
    alone = [op.run(*one) for one in zip(q, k, strict=True)]
    np.testing.assert_array_equal(op.run(q.reshape(15, 8), k.reshape(15, 8)), np.concatenate(alone))


def test_equal_channels_share_alike_and_a_row_sums_to_one() -> None:
    op = SpatialWeights(16, 8, 2, Int(8, 4), Int(8, 4), WEIGHTS)
    codes = np.ones((16, 8), np.int64)
    np.testing.assert_array_equal(op.run(codes, codes), np.full((16, 16), 16))


@pytest.mark.parametrize(
    "bins,heads,frac,y,said",
    [
        (8, 3, 4, WEIGHTS, "heads must divide bins 8, got 3"),
        (9, 3, 4, WEIGHTS, "heads must be a power of two"),
        (520, 1, 4, WEIGHTS, "can reach 8519680"),
        (4, 1, -4, WEIGHTS, "C must be below"),
        (4, 1, 4, Int(8, 7), r"y must be unsigned, got Int\(bits=8, frac=7"),
    ],
)
def test_what_the_hardware_could_not_hold_is_refused(bins: int, heads: int, frac: int, y: Int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SpatialWeights(4, bins, heads, Int(8, frac), Int(8, frac), y).check(Int(24))
