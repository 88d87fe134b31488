"""Starts the bench of edt_mul: as any synthesis infers it, and as the ECP5's own cell."""

import pytest
from bench import build, mutate, rejects, rtl, simulate
from needs import needs

from edgendt.tools import share

PLAIN = (rtl("edt_mul"), {})
ECP5 = ([*rtl("edt_mul", "edt_mul18_ecp5"), share("sim") / "models" / "MULT18X18D.sv"], {"EDT_ECP5": 1})


@pytest.mark.parametrize("a_bits, b_bits", [(9, 9), (17, 9), (18, 16), (16, 10), (18, 18)])
@pytest.mark.parametrize("sources, defines", [PLAIN, ECP5], ids=["plain", "ecp5"])
def test_equals_the_product(sources, defines, a_bits, b_bits):
    needs("verilator")
    folder = build("edt_mul", sources, {"ABits": a_bits, "BBits": b_bits}, defines)
    simulate("mul_bench", "edt_mul", folder, {"a_bits": a_bits, "b_bits": b_bits})


@pytest.mark.parametrize(
    "sources, defines, old, new",
    [
        (*PLAIN, "p_o <= a_q * b_q;", "p_o <= a_q * $signed({1'b0, b_q});"),
        (*ECP5, ".b_i(18'(b_i))", ".b_i(18'($unsigned(b_i)))"),
        (*ECP5, ".A8(a_i[8])", ".A8(a_i[7])"),
    ],
)
def test_the_bench_rejects_a_fault(sources, defines, old, new):
    needs("verilator")
    parameters, case = {"ABits": 9, "BBits": 9}, {"a_bits": 9, "b_bits": 9}
    assert rejects("mul_bench", "edt_mul", mutate(sources, old, new), parameters, case, defines=defines)
