"""The size formula against engines that yosys and nextpnr have seen (recorded; `tests/test_synth_real.py` runs one)."""

from dataclasses import replace

import pytest

from edgendt.blocks import Memory, blocks
from edgendt.boards import DEFAULT, Board, known
from edgendt.engine.config import ENGINES, Engine
from edgendt.errors import DoesNotFit
from edgendt.synth.size import SCALE, cells, deviation, part

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
# edt_top_uart after synthesis and packing (nextpnr --pack-only): DP16KD, MULT18X18D, TRELLIS_COMB, TRELLIS_FF.
SEEN = [
    (Engine(segments=1, **TINY), (23, 11, 9246, 6282)),
    (Engine(segments=2, **TINY), (26, 15, 9547, 6762)),
    (Engine(segments=2, lanes=4, pipes=2), (42, 15, 9455, 6937)),
    (Engine(segments=1, rotary=1, **TINY), (26, 12, 10064, 6627)),
    (Engine.named("small"), (106, 41, 13806, 10006)),
    (Engine(segments=4, lanes=8, pipes=8, sfus=2), (124, 49, 19005, 12512)),
    (Engine.named("tokens"), (183, 46, 24208, 14301)),
]


@pytest.mark.parametrize("engine, counts", SEEN)
def test_blocks_and_multipliers_are_exact_and_logic_within_fifteen_percent(engine, counts):
    kinds = ("DP16KD", "MULT18X18D", "TRELLIS_COMB", "TRELLIS_FF")
    used = {kind: {"used": count} for kind, count in zip(kinds, counts, strict=True)}
    off = deviation(used, cells(engine))
    assert off["DP16KD"] == off["MULT18X18D"] == 0
    assert all(abs(value) <= 0.15 for value in off.values()), off


# Packed and split ones after synthesis alone, LUT4 + 2 x CCU2C in the third place.
SYNTHESISED = [
    (Engine(segments=2, packed=1, **TINY), (26, 15, 9838, 7289)),
    (Engine(segments=2, splits=2, **TINY), (26, 15, 9176, 6964)),
    (Engine(packed=1, splits=2), (106, 41, 16680, 11828)),
    (Engine(segments=4, lanes=8, pipes=8, sfus=2, packed=1, splits=4), (124, 49, 23010, 15119)),
    (Engine.named("window"), (127, 41, 17629, 12239)),
]


@pytest.mark.parametrize("engine, counts", SYNTHESISED)
def test_pairs_and_splits_are_counted(engine, counts):
    expected = cells(engine)
    assert (expected["DP16KD"], expected["MULT18X18D"]) == counts[:2]
    assert counts[2] == pytest.approx(expected["TRELLIS_COMB"] / SCALE["ecp5"][0], rel=0.15)
    assert counts[3] == pytest.approx(expected["TRELLIS_FF"], rel=0.15)


WIDE = Engine(
    *(16, 8, 8, 2),
    **{"weight_depth": 2048, "act_depth": 512, "res_depth": 32, "score_depth": 32, "gamma_depth": 1024},
    **{"prog_depth": 256, "packed": 1, "splits": 4},
)
# edt_axi_engine after yosys' synth_xilinx for series 7: RAMB18 (a RAMB36 is two), DSP48, LUT (also as memory), FF.
# LUT and FF of all but the first are from before four lanes shared a weight memory.
AMD = [
    (Engine(segments=2, **TINY), (16, 15, 6030, 5073)),
    (Engine.named("small"), (102, 41, 7325, 6846)),
    (Engine(segments=4, lanes=8, pipes=8, sfus=2, packed=1, splits=4), (123, 49, 14846, 11957)),
    (WIDE, (201, 145, 30216, 23951)),
]


@pytest.mark.parametrize("engine, counts", AMD)
def test_parts_with_other_cells_are_counted(engine, counts):
    expected = cells(engine, "xilinx")
    assert (expected["RAMB18"], expected["DSP48"]) == counts[:2]
    assert counts[2] == pytest.approx(expected["LUT"], rel=0.15)
    assert counts[3] == pytest.approx(expected["FF"], rel=0.15)


@pytest.mark.parametrize(
    "name, board",
    [
        ("small", DEFAULT),
        ("full", DEFAULT),
        ("large", "zcu104"),
        ("window", DEFAULT),
        ("kria", "kv260"),
        ("kria", "zcu104"),
        ("kria-window", "kv260"),
        ("kria-wide", "kv260"),
    ],
)
def test_every_named_engine_fits_its_board(name, board):
    assert name in ENGINES
    part(Board.named(board), Engine.named(name))


def test_ultra_ram_holds_a_segments_weights_and_its_cache():
    engine = Engine.named("kria")
    deeper, wide = replace(engine, weight_depth=4097), Engine.named("kria-wide")
    assert cells(engine, "xilinx")["URAM"] == 2 * engine.segments  # 4,096 x 72 bits each
    assert cells(deeper, "xilinx")["URAM"] == 3 * engine.segments
    assert cells(wide, "xilinx")["URAM"] == 2 * wide.segments
    assert "URAM" not in cells(Engine.named("large"), "xilinx")
    for board, said in [("zcu102", "needs 64 URAM and xczu9eg"), ("ulx3s-85f", "needs 306 MULT18X18D")]:
        with pytest.raises(DoesNotFit, match=said):
            part(Board.named(board), engine)


@pytest.mark.parametrize("name", [name for name in known() if Board.named(name).engine])
def test_every_board_holds_its_own_engine(name):
    board = Board.named(name)
    needs = part(board, Engine.named(board.engine))
    assert all(0 < count["used"] <= count["available"] for count in needs.values())


@pytest.mark.parametrize(
    "words, bits, expected",
    [(512, 36, 1), (513, 36, 2), (1024, 18, 1), (2048, 9, 1), (4096, 9, 2), (512, 34, 1), (32, 128, 0), (64, 64, 2)],
)
def test_a_memory_takes_the_cheapest_shape_or_none(words, bits, expected):
    assert blocks(Memory("m", 1, words, bits)) == expected
