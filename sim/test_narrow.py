"""Starts the bench of edt_narrow, and with it edt_round."""

import pytest
from bench import build, mutate, rejects, rtl, simulate
from golden_cases import FILE
from needs import needs

SOURCES = rtl("edt_pkg", "edt_round", "edt_narrow")


@pytest.mark.parametrize("acc_bits", [24, 28])
def test_equals_the_reference(acc_bits):
    needs("verilator")
    folder = build("edt_narrow", SOURCES, {"AccBits": acc_bits})
    simulate("narrow_bench", "edt_narrow", folder, {"acc_bits": acc_bits, "golden": str(FILE)})


@pytest.mark.parametrize(
    "old, new",
    [
        ("(rest || fine_d[2])", "(rest || 1'b1)"),
        ("any_q | (|lost)", "(|lost)"),
        ("b < 8 * int'(shift_i[5:3])", "b < 8 * int'(shift_i[5:3]) - 1"),
        ("else if (under2_q || sum_q < (OutW+1)'(lo_q))", "else if (under2_q)"),
        ("else if (under) y_o <= lo_q;", "else if (0) y_o <= '0;"),
        ("!(lo_q[OutW-1] && &(total_q | hi_q))", "!(&(total_q | hi_q))"),  # below zero, unsigned
        ("|(total_q & ~hi_q)", "|(total_q[OutW-2:8] & ~hi_q[OutW-2:8])"),
    ],
)
def test_the_bench_rejects_a_fault(old, new):
    needs("verilator")
    sources = mutate(SOURCES, old, new)
    assert rejects("narrow_bench", "edt_narrow", sources, {"AccBits": 24}, {"acc_bits": 24})
