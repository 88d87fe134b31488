"""Starts the bench of edt_issue."""

import pytest
from bench import build, mutate, rejects, rtl, simulate
from needs import needs

SOURCES = rtl("edt_pkg", "edt_issue")


def test_equals_the_reference():
    needs("verilator")
    simulate("issue_bench", "edt_issue", build("edt_issue", SOURCES, {"Pipes": 4, "Late": 1}), {"pipes": 4})


@pytest.mark.parametrize(
    "old, new",
    [
        ("< count_q", "<= count_q"),
        ("(pend_i || late_q)", "late_q"),
        ("(bar_q || !cur_q.bar_use || late)", "1'b1"),
        ("(pend_i || late_q)", "pend_i"),
        ("tile_last_q  <= tiles_q == 9'd2", "tile_last_q  <= tiles_q == 9'd3"),
    ],
)
def test_the_bench_rejects_a_fault(old, new):
    needs("verilator")
    assert rejects("issue_bench", "edt_issue", mutate(SOURCES, old, new), {"Pipes": 4, "Late": 1}, {"pipes": 4})
