"""The engine's add: the residual add, driven by one-op Programs."""

import pytest
from needs import needs
from op_engine import add_case, cases, check, examples, rejects
from rounding import ROUND

EXAMPLES, TIES = 200, 60
FAULTS = {
    "the sum wraps": ("else if (under) y_o <= lo_q;", "else if (under) y_o <= hi_q;"),
    **ROUND,  # of the Linear that the engine fuses with it
}


def test_the_engine_equals_the_add_of_the_program() -> None:
    needs("verilator")
    assert check(cases(add_case, EXAMPLES)).codes > EXAMPLES


def test_ties_and_limits_are_exact() -> None:
    needs("verilator")
    assert check([*examples("add", TIES), *examples("add", TIES, tied=True)]).codes > TIES


@pytest.mark.parametrize("fault", FAULTS)
def test_the_bench_rejects(fault: str) -> None:
    needs("verilator")
    assert rejects([*examples("add", TIES, tied=True), *cases(add_case, EXAMPLES)], *FAULTS[fault])
