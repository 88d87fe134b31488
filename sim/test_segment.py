"""Starts the bench of edt_segment, and with it edt_lane, edt_mul and edt_ram."""

import pytest
from bench import build, mutate, rejects, rtl, simulate
from needs import needs

SOURCES = rtl("edt_pkg", "edt_ram", "edt_mul", "edt_lane", "edt_segment")


def geometry(lanes, pipes, index, gshift):
    parameters = {"Index": index, "Lanes": lanes, "Pipes": pipes, "WgtDepth": 64, "KvDepth": 64}
    return parameters, {"lanes": lanes, "pipes": pipes, "index": index, "gshift": gshift, "depth": 64}


@pytest.mark.parametrize("shape", [(8, 4, 3, 1), (5, 4, 1, 0)])
def test_equals_the_reference(shape):
    needs("verilator")
    parameters, case = geometry(*shape)
    simulate("segment_bench", "edt_segment", build("edt_segment", SOURCES, parameters), case)


@pytest.mark.parametrize(
    "old, new",
    [
        ("xsigned2_q & x2[7]", "x2[7]"),
        ("(grouped2_q ? group_q", "(1'b1 ? group_q"),
        ("(first_i ? '0 : acc_q)", "acc_q"),
        ("&& (place_q == col_seg_i)", ""),
        ("(Lane / Pipes)", "(Lane / Pipes + 1)"),
    ],
)
def test_the_bench_rejects_a_fault(old, new):
    needs("verilator")
    parameters, case = geometry(8, 4, 3, 1)
    assert rejects("segment_bench", "edt_segment", mutate(SOURCES, old, new), parameters, case)
