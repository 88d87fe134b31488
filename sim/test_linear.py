"""The engine's linear: the array and the narrowing pipes, driven by one-op Programs."""

import pytest
from needs import needs
from op_engine import cases, check, examples, linear_case, rejects
from rounding import ROUND

EXAMPLES, TIES = 200, 60


def test_the_engine_equals_the_linear_of_the_program() -> None:
    needs("verilator")
    assert check(cases(linear_case, EXAMPLES)).codes > EXAMPLES


def test_ties_and_limits_are_exact() -> None:
    needs("verilator")
    assert check(examples("linear", TIES)).codes > TIES


@pytest.mark.parametrize("fault", ROUND)
def test_the_bench_rejects(fault: str) -> None:
    needs("verilator")
    assert rejects(examples("linear", TIES), *ROUND[fault])


@pytest.mark.parametrize(
    "old, new",
    [
        ("full = 9'(2 * Words)", "full = 9'(Words)"),
        ("full = full >> next_q.ins.split", "full = full"),
        ("assign split_o   = cur_q.split", "assign split_o   = 2'd0"),
        ("assign paired_o  = cur_q.paired", "assign paired_o  = 1'b0"),
        (".chain_split_i(drain_split)", ".chain_split_i(2'd0)"),
        (".head_split_i(early_q[0].split)", ".head_split_i(2'd0)"),
        (".acc_i(head[p*AccBits+:AccBits])", ".acc_i(drained[p*AccBits+:AccBits])"),
    ],
)
def test_the_bench_rejects_a_fault_in_pairs_and_splits(old: str, new: str) -> None:
    needs("verilator")
    assert rejects(cases(linear_case, EXAMPLES), old, new)
