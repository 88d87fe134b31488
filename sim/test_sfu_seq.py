"""Starts the bench of edt_sfu_seq."""

import pytest
from bench import build, mutate, rejects, rtl, simulate
from needs import needs

SOURCES = rtl("edt_pkg", "edt_sfu_seq")
FAULTS = {
    "LayerNorm does not wait for the units": ("!value_busy_i && (is_share", "(!value_busy_i || !is_exp) && (is_share"),
    "exponentials wait for another tag": ("done_i[ins_q.src_tag]", "done_i[ins_q.dst_tag]"),
    "the statistics get a cycle less": ("calc_q  <= 5'd8;", "calc_q  <= 5'd7;"),
    "groups are not read apart": (
        "if (!is_share) read_q <= read_q + 13'(cfg_i.key_words);",
        "read_q  <= read_q + 13'd1;",
    ),
    "the next tile's words are missed": ("read_q  <= read_q + 13'd1;", "read_q  <= first_q + 13'd1;"),
    "a part of the last beat counts as whole": ("left_q >= 14'(Sfus) ? 5'(Sfus) : left_q[4:0]", "5'(Sfus)"),
    "a beat's last group is seen late": ("5'(group_q) + 5'd2", "5'(group_q) + 5'd1"),
    "the last beat is seen late": ("14'(2 * Sfus);", "14'(Sfus);"),
    "the last word is not announced": ("(is_exp || last_sub || last)", "(is_exp || last_sub)"),
    "the oldest key is passed over": (
        "dst_q   <= ins_i.dst_base + 13'(oldest >> BeatBits)",
        "dst_q   <= ins_i.dst_base",
    ),
    "keys by age do not turn around": ("ins_q.aged && turn_q", "1'b0 && turn_q"),
    "keys by age turn around a beat late": ("KeyBits'(2 * Sfus)", "KeyBits'(Sfus)"),
    "a turn does not wait for its angles": ("(is_exp || angles_ok_i || is_gate)", "1'b1"),
    "a turn reads its last word too early": ("if (is_turn) calc_q <= '0;", "if (is_turn) state_q <= Run;"),
    "a turn takes the statistics": ("ready && !is_exp && !is_turn", "ready && !is_exp"),
    "the next instruction is taken too early": ("calc_q  <= 5'(Stages - 1);", "calc_q  <= 5'd0;"),
}


def build_case(pipes: int, sfus: int) -> tuple[dict[str, int], dict[str, int]]:
    return {"Pipes": pipes, "Sfus": sfus, "Folds": 1, "Rotary": 1}, {"pipes": pipes, "sfus": sfus}


@pytest.mark.parametrize("pipes,sfus", [(4, 1), (8, 2), (2, 2)])
def test_equals_the_reference(pipes: int, sfus: int) -> None:
    needs("verilator")
    parameters, case = build_case(pipes, sfus)
    simulate("sfu_seq_bench", "edt_sfu_seq", build("edt_sfu_seq", SOURCES, parameters), case)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_bench_rejects(fault: str) -> None:
    needs("verilator")
    assert rejects("sfu_seq_bench", "edt_sfu_seq", mutate(SOURCES, *FAULTS[fault]), *build_case(8, 2))
