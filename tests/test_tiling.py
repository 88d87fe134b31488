"""Pairs of weights and shares of a reduction: what the lanes do, in Python, on the words that the compiler lays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgendt.engine.config import Engine
from edgendt.engine.tiling import Tiling, best, both, pair

ENGINE = Engine(segments=4, lanes=6, pipes=2, packed=1, splits=2)


def products(word: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a lane makes of a nine-bit word and an activation: (low, high), bit by bit as the RTL."""
    word = word & 0x1FF
    sign, stored = word >> 3 & 1, word >> 4
    factor = (word & 15) | sign * 0xFF0 | (stored - (stored >> 4 << 5)) << 12
    product = factor * x
    low = product & 0xFFF
    return low - (low >> 11 << 12), (product >> 12) + (product >> 11 & 1)


def test_both_products_are_exact_for_every_pair_and_every_activation() -> None:
    low, high, x = np.meshgrid(np.arange(-8, 8), np.arange(-8, 8), np.arange(-128, 256), indexing="ij")
    got = products(pair(low, high), x)
    assert np.array_equal(got[0], low * x) and np.array_equal(got[1], high * x)
    assert pair(low, high).min() >= -256 and pair(low, high).max() <= 255
    assert np.array_equal(both(pair(low, high)) & 0xFF, (high & 15) << 4 | low & 15)


def reduced(tiling: Tiling, rows: np.ndarray, x: np.ndarray, outputs: int) -> np.ndarray:
    """Outputs in the order in which the drain gives them: lanes of a group, low then high, summed over groups."""
    share, elements = 1 << tiling.split, tiling.elements(len(x))
    inputs = np.append(x, np.full(elements * share - len(x), 99)).reshape(
        elements, share
    )  # what lies behind is anything
    tiles = rows.reshape(-1, elements, share, tiling.engine.lane_count // share)
    if tiling.paired:
        parts = [part.sum(axis=(1, 2)) for part in products(tiles, inputs[..., None])]
    else:
        parts = [(tiles * inputs[..., None]).sum(axis=(1, 2))]
    return np.stack(parts, axis=1).reshape(-1)[:outputs]


@given(st.integers(1, 40), st.integers(1, 120), st.booleans(), st.integers(0, 1), st.integers(0, 99))
def test_laid_words_give_the_product_in_flat_order(
    inputs: int, outputs: int, paired: bool, split: int, seed: int
) -> None:
    rng, tiling = np.random.default_rng(seed), Tiling(ENGINE, paired, split)
    weight, x = rng.integers(-8, 8, (outputs, inputs)), rng.integers(-128, 256, inputs)
    rows = tiling.codes(weight)
    assert rows.shape == (tiling.rows(inputs, outputs), ENGINE.lane_count)
    assert np.array_equal(reduced(tiling, rows, x, outputs), weight @ x)


@pytest.mark.parametrize(
    "bits, inputs, outputs, rate, paired, split",
    [
        (4, 100, 48, 100, True, 1),  # two tiles of half the length: the last one leaves sooner
        (4, 100, 48, 1, True, 0),  # a slow source holds the first of two up
        (4, 100, 24, 1, True, 1),  # but not one alone
        (5, 100, 12, 100, False, 1),
        (8, 3, 24, 1, False, 0),  # no cycle between them: the fewer words
    ],
)
def test_the_tiling_of_fewest_cycles_is_chosen(
    bits: int, inputs: int, outputs: int, rate: int, paired: bool, split: int
) -> None:
    chosen = best(ENGINE, bits, inputs, outputs, rate)
    assert (chosen.paired, chosen.split) == (paired, split)


def test_an_engine_without_pairs_and_splits_has_one_tiling() -> None:
    assert best(Engine(), 2, 100, 5, 1) == Tiling(Engine())
