"""Starts the bench of edt_issue."""

import pytest
from bench import build, mutate, rejects, rtl, simulate
from needs import needs

SOURCES = rtl("edt_pkg", "edt_issue")
PARAMETERS = {"Pipes": 4, "Sfus": 2, "Folds": 1}
FAR = {"XBits": 17}  # more than 2^15 bytes
CASE = {"pipes": 4, "sfus": 2}


@pytest.mark.parametrize("far", [{}, FAR])
def test_equals_the_reference(far):
    needs("verilator")
    built = build("edt_issue", SOURCES, PARAMETERS | far)
    simulate("issue_bench", "edt_issue", built, CASE | {"far": 1 << 16 if far else 0})


@pytest.mark.parametrize(
    "old, new",
    [
        ("< known_q.count", "<= known_q.count"),
        ("!(last_q && pend_i)", "1'b1"),
        ("known_q <= take_o ?", "known_q <= 1'b0 ?"),
        ("known_q <= take_o ?", "known_q <= 1'b1 ?"),
        ("(known_q.bar || !cur_q.bar_use || (late && !near))", "1'b1"),
        ("(late && !near)", "late"),
        ("else if (go_o) near = aged ?", "else if (go_o) near = 1'b0 ?"),
        ("9'(length_q - 11'd1)", "9'(length_q)"),
        ("(KeyBits+1)'((1 << s) - 1)", "(KeyBits+1)'(0)"),
        ("(begun && begun_i[barrier])", "begun_i[barrier]"),
        ("<= turn ? base_q", "<= turn ? tile_q"),
        ("at_q         <= begin_q;", "at_q         <= xbase_q;"),
        ("at_q         <= xbase_i + from;", "at_q         <= XBits'(ins_i.xbase) + from;"),
        ("tile_last_q  <= tiles_q == 9'd2", "tile_last_q  <= tiles_q == 9'd3"),
    ],
)
def test_the_bench_rejects_a_fault(old, new):
    needs("verilator")
    case = CASE | {"far": 1 << 16}
    assert rejects("issue_bench", "edt_issue", mutate(SOURCES, old, new), PARAMETERS | FAR, case)
