"""Starts the bench of edt_scores."""

import pytest
from bench import build, mutate, rejects, rtl, simulate
from needs import needs

SOURCES = rtl("edt_reg", "edt_ram", "edt_scores")


@pytest.mark.parametrize("pipes", [2, 8])
def test_equals_the_reference(pipes):
    needs("verilator")
    simulate("scores_bench", "edt_scores", build("edt_scores", SOURCES, {"Pipes": pipes}), {"pipes": pipes})


@pytest.mark.parametrize(
    "old, new",
    [
        ("< 14'(stop_i)", "<= 14'(stop_i)"),
        (">= 14'(first_i)", "> 14'(first_i)"),
        (">= 14'(first_i)", "+ 14'd1 >= 14'(first_i)"),
        ("<= valid2_q[p] ?", "<= 1'b1 ?"),
        ("group_q[Levels] == 3'(g)", "group_q[Levels-1] == 3'(g)"),
        ("? acc2_q", "? ~acc2_q"),
    ],
)
def test_the_bench_rejects_a_fault(old, new):
    needs("verilator")
    assert rejects("scores_bench", "edt_scores", mutate(SOURCES, old, new), {"Pipes": 2}, {"pipes": 2})
