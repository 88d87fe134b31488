"""Starts the bench of edt_kcol."""

import pytest
from bench import build, mutate, rejects, rtl, simulate
from needs import needs

SOURCES = rtl("edt_pkg", "edt_ram", "edt_kcol")


@pytest.mark.parametrize("pipes, rotary, widest", [(2, 0, 256), (8, 0, 256), (4, 1, 512)])
def test_equals_the_reference(pipes, rotary, widest):
    needs("verilator")
    built = build("edt_kcol", SOURCES, {"Pipes": pipes, "Rotary": rotary, "Depth": widest // pipes})
    simulate("kcol_bench", "edt_kcol", built, {"pipes": pipes, "rotary": rotary, "widest": widest})


@pytest.mark.parametrize(
    "old, new",
    [
        ("index_q   <= index_q + 13'(cfg_i.heads)", "index_q   <= index_q + 13'd1"),
        ("addr_q    <= column_q + cfg_i.set_stride", "addr_q    <= addr_q + 18'd1"),
        (".we_i   (we_i)", ".we_i   ({Pipes{|we_i}})"),
        ("assign done_o  = last2_q", "assign done_o  = last1_q"),
        ("assign begun_o = en1_q &&", "assign begun_o = busy_q &&"),
    ],
)
def test_the_bench_rejects_a_fault(old, new):
    needs("verilator")
    case = {"pipes": 4, "rotary": 1}
    assert rejects("kcol_bench", "edt_kcol", mutate(SOURCES, old, new), {"Pipes": 4, "Rotary": 1}, case)
