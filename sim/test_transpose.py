"""The engine's transpose: residual rows gathered into time courses."""

import pytest
from needs import needs
from op_engine import WINDOWS, cases, check, course_case, rejects, spatial_case

EXAMPLES = 40
FAULTS = {
    "a code goes to its neighbour's place": ("4'(row_q) & 4'(Pipes - 1)", "4'(row_q + 13'd1) & 4'(Pipes - 1)"),
    "a code is the neighbouring channel's": ("4'(slot_i) & 4'(Pipes - 1)", "4'(slot_i + 9'd1) & 4'(Pipes - 1)"),
    "a last word that is not full is forgotten": ("!n_q[9].gather || n_q[9].last ||", "!n_q[9].gather ||"),
    "statistics count a word with every code": ("written && n_q[9].stats", "n_q[9].valid && n_q[9].stats"),
}


def test_the_engine_equals_the_transpose_of_the_program() -> None:
    needs("verilator")
    assert check(cases(spatial_case, 200), size=WINDOWS).codes > 200


@pytest.mark.parametrize("fault", FAULTS)
def test_the_bench_rejects(fault: str) -> None:
    needs("verilator")
    assert rejects(cases(spatial_case, EXAMPLES), *FAULTS[fault], size=WINDOWS)


def test_time_courses_that_a_linear_reads_are_exact() -> None:
    needs("verilator")
    assert check(cases(course_case, 120), size=WINDOWS).codes > 120


def test_the_bench_rejects_a_copy_of_nothing() -> None:
    needs("verilator")
    copied = "n_q[7].add_res ? res_word", "n_q[7].add_res && n_q[7].gather ? res_word"
    assert rejects(cases(course_case, EXAMPLES), *copied, size=WINDOWS)
