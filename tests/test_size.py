"""The size formula against engines that yosys and nextpnr have seen (recorded; `tests/test_synth_real.py` runs one)."""

import pytest

from edgendt.boards import DEFAULT, Board
from edgendt.engine.config import ENGINES, Engine
from edgendt.engine.size import Memory, blocks
from edgendt.synth.engine import check_fit
from edgendt.synth.estimate import deviation, estimate

TINY = {
    "lanes": 4,
    "pipes": 2,
    "weight_depth": 1024,
    "kv_depth": 256,
    "act_depth": 256,
    "prog_depth": 64,
    "pos_depth": 256,
    "bias_depth": 128,
    "gamma_depth": 64,
    "res_depth": 64,
    "score_depth": 32,
}
# Post-synthesis counts of edt_top_ulx3s (DP16KD, MULT18X18D, TRELLIS_FF), and after packing where it was packed (COMB).
SEEN = [
    (Engine(segments=1, **TINY), (19, 11, None, 6813)),
    (Engine(segments=2, **TINY), (24, 15, None, 7274)),
    (Engine(segments=2, lanes=4, pipes=2), (46, 15, 9838, 7516)),
    (Engine.named("small"), (110, 41, 14286, 11195)),
    (Engine(segments=4, lanes=8, pipes=8, sfus=2), (128, 49, None, 14760)),
]


@pytest.mark.parametrize("engine, counts", SEEN)
def test_blocks_and_multipliers_are_exact_and_logic_within_fifteen_percent(engine, counts):
    kinds = ("DP16KD", "MULT18X18D", "TRELLIS_COMB", "TRELLIS_FF")
    used = {kind: {"used": count} for kind, count in zip(kinds, counts, strict=True) if count is not None}
    expected = {kind: count for kind, count in estimate(engine).items() if kind in used}
    off = deviation(used, expected)
    assert off["DP16KD"] == off["MULT18X18D"] == 0
    assert all(abs(value) <= 0.15 for value in off.values()), off


@pytest.mark.parametrize("name", ENGINES)
def test_every_named_engine_fits_the_default_board(name):
    check_fit(Board.named(DEFAULT), Engine.named(name))


@pytest.mark.parametrize(
    "words, bits, expected",
    [(512, 36, 1), (513, 36, 2), (1024, 18, 1), (2048, 9, 1), (4096, 9, 2), (512, 34, 1), (32, 128, 0), (64, 64, 2)],
)
def test_a_memory_takes_the_cheapest_shape_or_none(words, bits, expected):
    assert blocks(Memory("m", 1, words, bits)) == expected
