"""The engine's add: the residual add, driven by one-op Programs."""

from needs import needs
from op_engine import add_case, cases, check, rejects

EXAMPLES = 200


def test_the_engine_equals_the_add_of_the_program() -> None:
    needs("verilator")
    assert check(cases(add_case, EXAMPLES)).codes > EXAMPLES


def test_the_bench_rejects_an_add_that_wraps() -> None:
    needs("verilator")
    assert rejects(
        cases(add_case, EXAMPLES),
        "else if (total_q < lo_q) y_o <= lo_q;",
        "else if (total_q < lo_q) y_o <= hi_q;",
    )
