"""Starts the bench of edt_segment, and with it edt_lane, edt_mul and edt_ram."""

import pytest
from bench import build, mutate, rejects, rtl, simulate
from needs import needs

SOURCES = rtl("edt_pkg", "edt_reg", "edt_ram", "edt_mul", "edt_lane", "edt_segment")


def geometry(lanes, pipes, index, gshift, packed=0, splits=1, ultra=0):
    parameters = {"Index": index, "Lanes": lanes, "Pipes": pipes, "WgtDepth": 64, "KvDepth": 64}
    parameters |= {"Segments": 4, "Packed": packed, "Splits": splits, "Sfus": pipes // 2, "Ultra": ultra}
    case = {"lanes": lanes, "pipes": pipes, "index": index, "gshift": gshift, "depth": 64}
    return parameters, case | {"segments": 4, "packed": packed, "splits": splits, "sfus": pipes // 2}


JOINED = (8, 8, 2, 1, 1, 4, 1)


@pytest.mark.parametrize(
    "shape", [(8, 4, 3, 1), (5, 4, 1, 0), (8, 8, 2, 1, 1, 4), (5, 4, 2, 0, 1, 2), JOINED, (8, 4, 3, 1, 0, 1, 1)]
)
def test_equals_the_reference(shape):
    needs("verilator")
    parameters, case = geometry(*shape)
    simulate("segment_bench", "edt_segment", build("edt_segment", SOURCES, parameters), case)


@pytest.mark.parametrize(
    "old, new",
    [
        ("xsigned2_q & x2[7]", "x2[7]"),
        ("(grouped1_q ? group", "(1'b1 ? group"),
        ("(first_i ? '0 : acc_q)", "acc_q"),
        ("&& (place_q == col_seg_i)", ""),
        ("(Lane / Pipes)", "(Lane / Pipes + 1)"),
    ],
)
def test_the_bench_rejects_a_fault(old, new):
    needs("verilator")
    parameters, case = geometry(8, 4, 3, 1)
    assert rejects("segment_bench", "edt_segment", mutate(SOURCES, old, new), parameters, case)


@pytest.mark.parametrize(
    "old, new",
    [
        ("{product[24:12], product[11]}", "{product[24:12], 1'b0}"),
        ("product[24:12], product[11]", "product[25:13], product[11]"),
        ("{8{stat[3]}}", "8'd0"),
        ("{next_kv_i, next_paired_i}", "{next_kv_i, paired2_i}"),
        (".next_kv_i    (kv_q[2])", ".next_kv_i    (kv_q[1])"),
        ("{first_i ? '0 : high_q, 1'b1}", "{high_q, 1'b1}"),
        ("paired2_i ? {6{product[11]}} : product[17:12]", "product[17:12]"),
        ("else if (shift_i) high_o <= high_i", "else if (shift_i) high_o <= low_i"),
        (".paired2_i(paired_q[5])", ".paired2_i(paired_q[4])"),
        ("$clog2(Segments) - s", "$clog2(Segments) - s + 1"),
        ("byte1_q | share |", "byte1_q |"),
        ("if (kv_q[1]) share", "if (1'b0) share"),
        ("group = group_q[s][PipeBits-1:0];", "group = group_q[0][PipeBits-1:0];"),
    ],
)
def test_the_bench_rejects_a_fault_in_pairs_and_shares(old, new):
    needs("verilator")
    parameters, case = geometry(8, 8, 2, 1, 1, 4)
    assert rejects("segment_bench", "edt_segment", mutate(SOURCES, old, new), parameters, case)


@pytest.mark.parametrize(
    "old, new",
    [
        ("kv_written ? Addr'(WgtDepth) + ", "kv_written ? "),
        ("kv_q[1] ? Addr'(WgtDepth) + ", "kv_q[1] ? "),
        ("{kv_write[l*8+7], kv_write[l*8+:8]}", "{1'b0, kv_write[l*8+:8]}"),
        ("weight_data_q[l%4*9+:9]", "weight_data_q[8:0]"),
        ("kv_we[l] || weight_we_q[l/4]", "kv_we[l] || weight_we_q != '0"),
    ],
)
def test_the_bench_rejects_a_fault_in_a_joined_memory(old, new):
    needs("verilator")
    parameters, case = geometry(*JOINED)
    assert rejects("segment_bench", "edt_segment", mutate(SOURCES, old, new), parameters, case)
