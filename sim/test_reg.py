"""Starts the bench of edt_reg."""

import pytest
from bench import build, mutate, rejects, rtl, simulate
from needs import needs

SOURCES = rtl("edt_reg")


@pytest.mark.parametrize("width", [1, 25])
def test_equals_what_went_in(width):
    needs("verilator")
    simulate("reg_bench", "edt_reg", build("edt_reg", SOURCES, {"Width": width}), {"width": width})


@pytest.mark.parametrize(
    "old, new", [("q_o <= d_i", "q_o <= Width'(d_i[0])"), ("always_ff @(posedge clk_i) q_o <= d_i", "assign q_o = d_i")]
)
def test_the_bench_rejects_a_fault(old, new):
    needs("verilator")
    assert rejects("reg_bench", "edt_reg", mutate(SOURCES, old, new), {"Width": 25}, {"width": 25})
