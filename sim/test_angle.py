"""Starts the bench of edt_angle."""

import pytest
from bench import build, mutate, rejects, rtl, simulate
from needs import needs

SOURCES = rtl("edt_pkg", "edt_ram", "edt_mul", "edt_angle")


@pytest.mark.parametrize("sfus", [1, 4])
def test_equals_the_reference(sfus):
    needs("verilator")
    simulate("angle_bench", "edt_angle", build("edt_angle", SOURCES, {"Sfus": sfus}), {"sfus": sfus})


@pytest.mark.parametrize(
    "old, new",
    [
        ("{half_d_q[4] && odd_q[4], half_d_q[4], 8'd0}", "{half_d_q[4], half_d_q[4], 8'd0}"),
        ("phase4[15:0] + 16'd32", "phase4[15:0] + 16'd31"),
        ("{last_q[6:3], step2[17]}", "{last_q[6:3], valid_q[2]}"),
        ("valid_q[7] && half_d_q[7] && last_q[7]", "valid_q[7] && last_q[7]"),
        ("channel_d_q[7] >> UnitBits", "channel_d_q[6] >> UnitBits"),
        ("load_mem_i == MemStep", "1'b1"),
    ],
)
def test_the_bench_rejects_a_fault(old, new):
    needs("verilator")
    assert rejects("angle_bench", "edt_angle", mutate(SOURCES, old, new), {"Sfus": 2}, {"sfus": 2})
