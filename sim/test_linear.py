"""The engine's linear: the array and the narrowing pipes, driven by one-op Programs."""

from needs import needs
from op_engine import cases, check, linear_case, rejects

EXAMPLES = 200


def test_the_engine_equals_the_linear_of_the_program() -> None:
    needs("verilator")
    assert check(cases(linear_case, EXAMPLES)).codes > EXAMPLES


def test_the_bench_rejects_half_up_rounding() -> None:
    needs("verilator")
    assert rejects(cases(linear_case, EXAMPLES), "(rest || fine_d[2])", "(rest || 1'b1)")
