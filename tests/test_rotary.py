"""Rotary turns pairs by time; the clock may wrap; attention then sees distances alone, within a bound in integers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import obvious
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from needs import needs
from op_harness import compile_ops
from strategies import Example, rotaries

from edgendt.errors import UnsupportedOp
from edgendt.fixed import Codes, Int
from edgendt.models.rotary import Rotary as FloatRotary
from edgendt.ops import Rotary
from edgendt.ops.rotary import ANGLES, COS, SIN, TURN, geometric
from edgendt.program import INPUT, Node, Program
from edgendt.qat.fixed import to_codes
from edgendt.qat.rotary import Rotary as Sibling
from edgendt.tools import cache_folder

ACT = Int(8, 5)
TIMES = st.integers(-(2**40), 2**40)


@settings(max_examples=200, deadline=None)
@given(rotaries(), TIMES)
def test_equals_its_formula(example: Example, first: int) -> None:
    op, x = example.op, example.inputs[0]
    assert isinstance(op, Rotary)
    times = first + np.arange(len(x))
    for row, time, got in zip(x.tolist(), times.tolist(), op.run(x, times).tolist(), strict=True):
        assert got == obvious.rotary(row, time, list(op.steps), op.shift, op.y.bits)


@settings(max_examples=100, deadline=None)
@given(rotaries(), TIMES)
def test_a_clock_of_16_bits_loses_nothing(example: Example, first: int) -> None:
    op, x = example.op, example.inputs[0]
    assert isinstance(op, Rotary)
    times = first + np.arange(len(x))
    np.testing.assert_array_equal(op.run(x, times), op.run(x, times % TURN))


@settings(max_examples=100, deadline=None)
@given(rotaries(), TIMES)
def test_the_inverse_is_the_formula_with_the_sine_negated(example: Example, first: int) -> None:
    op, x = example.op, example.inputs[0]
    assert isinstance(op, Rotary)
    times = first + np.arange(len(x))
    # Channels swapped within their pairs turn the other way.
    swapped = x.reshape(len(x), -1, 2)[..., ::-1].reshape(x.shape)
    expected = op.run(swapped, times).reshape(len(x), -1, 2)[..., ::-1].reshape(x.shape)
    back = replace(op, inverse=True)
    np.testing.assert_array_equal(back.run(x, times), expected)
    real = [torch.from_numpy(np.ldexp(codes, -op.x.frac)).float() for codes in (x, np.stack([x, x]))]
    for values in (
        Sibling(back)(real[0], times),
        Sibling(back)(real[1], torch.from_numpy(np.stack([times, times])))[1],
    ):
        np.testing.assert_array_equal(to_codes(values * 2.0**op.y.frac), expected)


def test_a_pair_whose_step_is_zero_stands_still() -> None:
    x = np.arange(-4, 4)[None].repeat(3, 0) * 17
    got = Rotary(8, (0, 4096), ACT, ACT).run(x, np.array([0, 1, 77]))
    np.testing.assert_array_equal(got[:, [0, 1, 4, 5]], x[:, [0, 1, 4, 5]])
    assert (got[2] != x[2]).any()


def test_time_zero_turns_by_nothing() -> None:
    op = Rotary(8, (3, 4096), ACT, ACT)
    x = np.arange(-4, 4)[None] * 17
    np.testing.assert_array_equal(op.run(x), x)


def test_the_table_is_a_quarter_wave() -> None:
    angles = np.arange(ANGLES)
    np.testing.assert_array_equal(COS, COS[-angles % ANGLES])
    np.testing.assert_array_equal(COS, -COS[(angles + ANGLES // 2) % ANGLES])
    np.testing.assert_array_equal(SIN, [round(1024 * math.sin(2 * math.pi * a / ANGLES)) for a in angles])


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 2**20), st.integers(0, 2**20), st.integers(0, 2**20))
def test_real_products_depend_on_the_distance_in_time_alone(seed: int, query: int, key: int, later: int) -> None:
    rng = np.random.default_rng(seed)
    turn = FloatRotary(geometric(4, 32)).double()
    q, k = torch.from_numpy(rng.normal(size=(2, 1, 8)))
    products = [
        float((turn(q, torch.tensor([query + shift])) * turn(k, torch.tensor([key + shift]))).sum())
        for shift in (0, later)
    ]
    assert products[0] == pytest.approx(products[1], abs=1e-9)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 2**20), st.integers(0, 2**20))
def test_integer_products_keep_to_the_real_ones_within_their_roundings(seed: int, query: int, key: int) -> None:
    """Each pair, a point of length r, is off by r * (half a step of angle + entries) + half a code per coordinate."""
    rng = np.random.default_rng(seed)
    steps = geometric(4, 32)
    op, turn = Rotary(8, steps, ACT, Int(12, 8)), FloatRotary(steps).double()
    codes = [rng.integers(ACT.lo, ACT.hi, (1, 8)) for _ in range(2)]
    pairs = list(zip(codes, (query, key), strict=True))
    integer = [op.run(x, np.array([time])) * op.y.scale for x, time in pairs]
    real = [turn(torch.from_numpy(x * ACT.scale), torch.tensor([time])).numpy() for x, time in pairs]
    lengths = [np.hypot(*(x[0] * ACT.scale).reshape(4, 2).T) for x in codes]
    off = [length * (math.pi / ANGLES + 2**-11 * 2**0.5) + op.y.scale / 2 * 2**0.5 for length in lengths]
    bound = (off[0] * lengths[1] + off[1] * lengths[0] + off[0] * off[1]).sum()
    assert abs(float((integer[0] * integer[1]).sum() - (real[0] * real[1]).sum())) <= bound


@pytest.mark.parametrize("window", [1, 2, 32, 256])
@pytest.mark.parametrize("pairs", [1, 2, 32])
def test_default_turns_reach_from_4_bins_to_four_windows(pairs: int, window: int) -> None:
    steps = geometric(pairs, window)
    assert len(steps) == pairs and list(steps) == sorted(steps, reverse=True)
    assert TURN / steps[-1] == pytest.approx(4 * window, rel=0.01)
    assert pairs == 1 or steps[0] == TURN // 4


@pytest.mark.parametrize(
    "wrong, says",
    [
        ({"size": 6}, "steps must be one per pair of a head of 6 channels, got 2"),
        ({"steps": ()}, "steps must be one per pair"),
        ({"steps": (-1, 4)}, "steps must be 0..32768, got -1..4"),
        ({"steps": (1, 32769)}, "steps must be 0..32768"),
    ],
)
def test_what_it_refuses(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Rotary(**{"size": 8, "steps": (5, 6), "x": ACT, "y": ACT} | wrong)  # type: ignore[arg-type]


def test_a_program_refuses_codes_too_wide_for_its_accumulator() -> None:
    x = Int(13, 0, False)
    with pytest.raises(UnsupportedOp, match="accumulator must stay within 24 bits"):
        Program("wide", 2, x, (Node("y", Rotary(2, (1,), x, ACT), (INPUT,)),))


def test_the_firmware_is_exact_across_the_wrap_of_its_clock() -> None:
    needs("g++")
    op = Rotary(4, (12345,), ACT, ACT)
    x: Codes = np.random.default_rng(0).integers(ACT.lo, ACT.hi, (TURN + 300, 4), endpoint=True)
    got = compile_ops([op], cache_folder("firmware-ops")).run(op, [x], {})
    np.testing.assert_array_equal(got, op.run(x))
