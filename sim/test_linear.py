"""The engine's linear: the array and the narrowing pipes, driven by one-op Programs."""

import pytest
from needs import needs
from op_engine import cases, check, linear_case, rejects

EXAMPLES = 200


def test_the_engine_equals_the_linear_of_the_program() -> None:
    needs("verilator")
    assert check(cases(linear_case, EXAMPLES)).codes > EXAMPLES


def test_the_bench_rejects_half_up_rounding() -> None:
    needs("verilator")
    assert rejects(cases(linear_case, EXAMPLES), "(rest || fine_d[2])", "(rest || 1'b1)")


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
