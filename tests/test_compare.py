"""Comparison: exact, and able to fail."""

from __future__ import annotations

import numpy as np
import pytest

from edgendt.compare import Tally, compare


def codes(bins: int = 4, size: int = 3) -> np.ndarray:
    return np.arange(bins * size, dtype=np.int64).reshape(bins, size)


def test_equal_codes_are_counted_and_pass() -> None:
    assert compare("x", {"a": codes(), "b": codes()}, {"a": codes(), "b": codes()}) == Tally(2, 24, 0, None, 4)


def test_one_code_off_by_one_is_named_with_link_op_bin_and_index() -> None:
    wrong = codes()
    wrong[2, 1] += 1
    tally = compare("engine", {"a": codes(), "b": codes()}, {"a": codes(), "b": wrong})
    assert tally.mismatches == 1
    assert str(tally.first) == "engine: op b, bin 2, index 1: expected 7, got 8"


@pytest.mark.parametrize("got", [{}, {"a": codes()[:3]}, {"a": codes()[:, :2]}, {"a": codes(5)}, {"a": codes(4, 4)}])
def test_missing_or_surplus_codes_are_mismatches(got: dict[str, np.ndarray]) -> None:
    tally = compare("x", {"a": codes()}, got)
    assert tally.mismatches > 0 and tally.first is not None


def test_the_earliest_bin_is_reported_first() -> None:
    late, early = codes(), codes()
    late[3, 0] = early[1, 2] = 99
    tally = compare("x", {"a": codes(), "b": codes()}, {"a": late, "b": early})
    assert tally.first is not None and (tally.first.op, tally.first.bin) == ("b", 1)
