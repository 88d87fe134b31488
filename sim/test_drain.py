"""Starts the bench of edt_drain."""

from typing import Any

import pytest
from bench import build, mutate, rejects, rtl, simulate
from needs import needs

SOURCES = rtl("edt_pkg", "edt_drain")
FAULTS = {
    "one word too many is kept": ("word_q < cur_q.ins.words", "word_q <= cur_q.ins.words"),
    "words of all groups count as one's": ("if (wrap) group_q <= group_q + 4'd1;", ""),
    "the next tile may end a step too early": ("left_q <= 9'd7", "left_q <= 9'd8"),
    "a tile is released by the one before": ("else if (end_q != '0) pend_o <= pend_o;", ""),
    "keys of the next tile overwrite this one's": ("if (turn) kv_q <= kv_q + 18'(cfg_i.value_rows);", ""),
    "every pass adds the bin's position": ("next_q.ins.add_pos ? pos_off_i : 13'd0", "pos_off_i"),
    "a value word moves on after its first beat": ("(beat && sub_q == 5'(Subs - 1))", "beat"),
    "value beats do not wait": ("kept && value_ok_i", "kept"),
    "only the last tile's words are scores": ("step && kept && mode == ModeScore", "step && mode == ModeScore"),
    "every word is announced as the last": ("cur_q.tile_last && last_step && cur_q", "cur_q.tile_last && cur_q"),
}


FOLDED = {
    "a tile of pairs is as short as another": ("full = 9'(2 * Words)", "full = 9'(Words)"),
    "a split tile is as long as another": ("full = full >> next_q.ins.split", "full = full"),
    "rows turn around a word late": ("step && flat_q == row_last_q", "step && flat_q == row_words"),
    "all keys go to the first group": ("flat_q + row_off_q", "flat_q"),
    "a key shares its row with nobody": ("cfg_i.value_split : 2'd0)", "2'd0 : 2'd0)"),
    "a group of a split is as wide as another": ("Splits > 1 ? next_q.ins.split : 2'd0", "2'd0"),
    "every pass starts at the first row": ("next_q.ins.dst_base[8:0]", "9'd0"),
}


GATHERED = {
    "a gathered word is written too early": ("row_q[PipeBits-1:0] == '1)", "row_q[PipeBits-1:0] == '0)"),
    "a channel is another one's": ("13'(slot_i >> PipeBits)", "13'(slot_i)"),
    "rows lie a word apart": ("(gather ? res_stride_i : 13'd1)", "13'd1"),
    "zeros have biases": ("if (!gather) bias_q", "bias_q"),
    "a ring turns a row late": ("gather && older_q == 9'd1", "gather && older_q == 9'd0"),
    "a ring has no first row": ("13'(cur_q.ins.kv_base) + channel", "add_q + res_stride_i"),
    "every pass turns": ("gather && older_q == 9'd1", "older_q == 9'd1"),
    "rows before the first bin are read": ("!(Windows != 0 && blank_q)", "1'b1"),
    "rows before the first bin never end": ("          blank_q <= 1'b0;\n", ""),
}


def build_case(
    words: int, pipes: int, sfus: int, packed: int = 0, splits: int = 1, windows: int = 0
) -> tuple[dict[str, Any], ...]:
    sizes = {"words": words, "pipes": pipes, "sfus": sfus, "packed": packed, "splits": splits, "windows": windows}
    return {name.capitalize(): size for name, size in sizes.items()} | {"Folds": int(packed or splits > 1)}, sizes


SHAPES = [
    (8, 4, 1),
    (16, 4, 4),
    (4, 8, 2),
    (8, 4, 1, 1, 4),
    (6, 8, 2, 0, 2),
    (5, 4, 1, 1, 1),
    (8, 4, 1, 0, 1, 1),
    (8, 2, 1, 1, 2, 1),
]


@pytest.mark.parametrize("shape", SHAPES)
def test_equals_the_reference(shape: tuple[int, ...]) -> None:
    needs("verilator")
    parameters, case = build_case(*shape)
    simulate("drain_bench", "edt_drain", build("edt_drain", SOURCES, parameters), case)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_bench_rejects(fault: str) -> None:
    needs("verilator")
    assert rejects("drain_bench", "edt_drain", mutate(SOURCES, *FAULTS[fault]), *build_case(16, 4, 1))


@pytest.mark.parametrize("fault", FOLDED)
def test_the_bench_of_a_packed_and_split_unit_rejects(fault: str) -> None:
    needs("verilator")
    assert rejects("drain_bench", "edt_drain", mutate(SOURCES, *FOLDED[fault]), *build_case(8, 4, 1, 1, 4))


@pytest.mark.parametrize("fault", GATHERED)
def test_the_bench_of_a_unit_that_gathers_rejects(fault: str) -> None:
    needs("verilator")
    assert rejects("drain_bench", "edt_drain", mutate(SOURCES, *GATHERED[fault]), *build_case(8, 4, 1, 0, 1, 1))
