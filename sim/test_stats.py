"""Starts the bench of edt_stats."""

import pytest
from bench import build, mutate, rejects, rtl, simulate
from needs import needs

SOURCES = rtl("edt_mul", "edt_stats")


@pytest.mark.parametrize("pipes", [2, 8])
def test_equals_the_reference(pipes):
    needs("verilator")
    simulate("stats_bench", "edt_stats", build("edt_stats", SOURCES, {"Pipes": pipes}), {"pipes": pipes})


@pytest.mark.parametrize(
    "old, new",
    [
        ("last_i && 5'(p) >= last_mask_i", "1'b0"),
        ("s2_q[38:34]", "s2_q[37:33]"),
        ("(50'(product) <<< 24)", "(50'(product) <<< 23)"),
        ("+ 50'(eps_i)", ""),
    ],
)
def test_the_bench_rejects_a_fault(old, new):
    needs("verilator")
    assert rejects("stats_bench", "edt_stats", mutate(SOURCES, old, new), {"Pipes": 2}, {"pipes": 2})
