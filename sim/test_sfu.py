"""Starts the bench of edt_sfu."""

import pytest
from bench import build, mutate, rejects, rtl, simulate
from needs import needs
from rounding import FIRST, ROUND, SECOND

SOURCES = rtl("edt_pkg", "edt_ram", "edt_mul", "edt_round", "edt_sfu")
ROTARY = {"Rotary": 1}


def test_equals_the_reference():
    needs("verilator")
    simulate("sfu_bench", "edt_sfu", build("edt_sfu", SOURCES, ROTARY))


@pytest.mark.parametrize(
    "old, new",
    [
        ("rest_q || shifted_q[8]", "rest_q"),
        ("a6_q[27:17]", "{a6_q[27], a6_q[26:17]} + 11'd1"),
        ("- ABits'(x5_q)", "+ ABits'(x5_q)"),
        ("27'(scaled15) + 27'(beta15_q)", "27'(scaled15) + 27'(beta14_q)"),
        ("partner5_q <= partner4_q", "partner5_q <= partner3_q"),
        ("turn6_i && a6_q[16]", "1'b0"),
        ("assign turn8  = turn8_i", "assign turn8  = turn6_i"),
        ("key17_i ? exp17_o : 8'd0", "exp17_o"),
        *(ROUND | FIRST | SECOND).values(),
    ],
)
def test_the_bench_rejects_a_fault(old, new):
    needs("verilator")
    assert rejects("sfu_bench", "edt_sfu", mutate(SOURCES, old, new), ROTARY)
