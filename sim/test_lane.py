"""Starts the bench of edt_lane: pairs of weights, exhaustively."""

import pytest
from bench import build, mutate, rejects, rtl, simulate
from needs import needs

SOURCES = rtl("edt_reg", "edt_mul", "edt_lane")
PARAMETERS = {"Packed": 1}


def test_every_pair_is_exact():
    needs("verilator")
    simulate("lane_bench", "edt_lane", build("edt_lane", SOURCES, PARAMETERS))


@pytest.mark.parametrize(
    "old, new",
    [
        ("{product[24:12], product[11]}", "{product[24:12], 1'b0}"),
        ("{8{stat[3]}}", "{8{stat[2]}}"),
        ("kv_q ? kv_i : weight_i", "next_kv_i ? kv_i : weight_i"),
        ("{6{product[11]}}", "6'd0"),
    ],
)
def test_the_bench_rejects_a_fault(old, new):
    needs("verilator")
    assert rejects("lane_bench", "edt_lane", mutate(SOURCES, old, new), PARAMETERS)
