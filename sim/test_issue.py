"""Starts the bench of edt_issue."""

import pytest
from bench import build, mutate, rejects, rtl, simulate
from needs import needs

SOURCES = rtl("edt_pkg", "edt_issue")


def test_equals_the_reference():
    needs("verilator")
    simulate(
        "issue_bench",
        "edt_issue",
        build("edt_issue", SOURCES, {"Pipes": 4, "Sfus": 2, "Folds": 1}),
        {"pipes": 4, "sfus": 2},
    )


@pytest.mark.parametrize(
    "old, new",
    [
        ("< count_q", "<= count_q"),
        ("!(last_q && pend_i)", "1'b1"),
        ("(bar_q || !cur_q.bar_use || (late && !near))", "1'b1"),
        ("(late && !near)", "late"),
        ("else if (go_o) near = aged ?", "else if (go_o) near = 1'b0 ?"),
        ("9'(length_q - 11'd1)", "9'(length_q)"),
        ("(KeyBits+1)'((1 << s) - 1)", "(KeyBits+1)'(0)"),
        ("? ins_i.bar_begun : cur_q.bar_begun) &&", "? 1'b1 : 1'b1) &&"),
        ("<= turn ? base_q", "<= turn ? tile_q"),
        ("at_q         <= begin_q;", "at_q         <= cur_q.xbase;"),
        ("tile_last_q  <= tiles_q == 9'd2", "tile_last_q  <= tiles_q == 9'd3"),
    ],
)
def test_the_bench_rejects_a_fault(old, new):
    needs("verilator")
    assert rejects(
        "issue_bench",
        "edt_issue",
        mutate(SOURCES, old, new),
        {"Pipes": 4, "Sfus": 2, "Folds": 1},
        {"pipes": 4, "sfus": 2},
    )
