"""Starts the bench of edt_tags."""

import pytest
from bench import build, mutate, rejects, rtl, simulate
from needs import needs

SOURCES = rtl("edt_tags")


def test_equals_the_reference():
    needs("verilator")
    simulate("tags_bench", "edt_tags", build("edt_tags", SOURCES))


@pytest.mark.parametrize(
    "old, new",
    [
        ("count_o[t*13+:13] <= clear_sfu_base_i", "count_o[t*13+:13] <= '0"),
        ("done_o[t] <= 1'b1", "done_o[t] <= 1'b0"),
        ("begun_o[t] <= 1'b1", "begun_o[t] <= 1'b0"),
    ],
)
def test_the_bench_rejects_a_fault(old, new):
    needs("verilator")
    assert rejects("tags_bench", "edt_tags", mutate(SOURCES, old, new))
