"""The engine's position: the position rows, driven by one-op Programs."""

from needs import needs
from op_engine import cases, check, position_case, rejects

EXAMPLES = 200


def test_the_engine_equals_the_position_of_the_program() -> None:
    needs("verilator")
    assert check(cases(position_case, EXAMPLES)).codes > EXAMPLES


def test_the_bench_rejects_a_row_that_never_moves() -> None:
    needs("verilator")
    assert rejects(
        cases(position_case, EXAMPLES), "pos_off_o <= pos_off_o + cfg_q.pos_stride;", "pos_off_o <= pos_off_o;"
    )
