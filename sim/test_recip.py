"""Starts the bench of edt_recip."""

import pytest
from bench import build, mutate, rejects, rtl, simulate
from needs import needs

SOURCES = rtl("edt_recip")


@pytest.mark.parametrize("sfus", [1, 4])
def test_equals_the_reference(sfus):
    needs("verilator")
    simulate("recip_bench", "edt_recip", build("edt_recip", SOURCES, {"Sfus": sfus}), {"sfus": sfus})


@pytest.mark.parametrize(
    "old, new",
    [("keys_i[n] ?", "!keys_i[n] ?"), ("5'(top5_q) + 5'd1", "5'(top5_q)"), ("up[SumBits-1-:10]", "up[SumBits-2-:10]")],
)
def test_the_bench_rejects_a_fault(old, new):
    needs("verilator")
    assert rejects("recip_bench", "edt_recip", mutate(SOURCES, old, new), {"Sfus": 4}, {"sfus": 4})
