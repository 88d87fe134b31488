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
    "keys of the next tile overwrite this one's": ("kv_q + 18'(cfg_i.window)", "kv_q"),
    "every pass adds the bin's position": ("(next_q.ins.add_pos ? pos_off_i : 13'd0)", "pos_off_i"),
    "a value word moves on after its first beat": ("(beat && sub_q == 5'(Subs - 1))", "beat"),
    "value beats do not wait": ("kept && value_ok_i", "kept"),
    "only the last tile's words are scores": ("step && kept && mode == ModeScore", "step && mode == ModeScore"),
    "every word is announced as the last": ("cur_q.tile_last && last_step && cur_q", "cur_q.tile_last && cur_q"),
}


def build_case(words: int, pipes: int, sfus: int) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"Words": words, "Pipes": pipes, "Sfus": sfus}, {"words": words, "pipes": pipes, "sfus": sfus}


@pytest.mark.parametrize("shape", [(8, 4, 1), (16, 4, 4), (4, 8, 2)])
def test_equals_the_reference(shape: tuple[int, int, int]) -> None:
    needs("verilator")
    parameters, case = build_case(*shape)
    simulate("drain_bench", "edt_drain", build("edt_drain", SOURCES, parameters), case)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_bench_rejects(fault: str) -> None:
    needs("verilator")
    assert rejects("drain_bench", "edt_drain", mutate(SOURCES, *FAULTS[fault]), *build_case(16, 4, 1))
