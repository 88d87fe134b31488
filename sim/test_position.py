"""The engine's position: the position rows, driven by one-op Programs."""

import pytest
from needs import needs
from op_engine import WINDOWS, cases, check, course_case, examples, position_case, rejects
from rounding import ROUND

EXAMPLES, TIES = 200, 60
FAULTS = {
    "the row never moves": ("pos_off_o <= again ? '0 : pos_off_o + cfg_q.pos_stride;", "pos_off_o <= pos_off_o;"),
    **ROUND,  # of the Linear that the engine fuses with it
}
OF_CHANNELS = {
    "every channel has the first one's row": ("again ? '0 : pos_off_o + cfg_q.pos_stride;", "'0;"),
    "rows of channels begin where those of bins end": ("again ? '0 : pos_off_o", "1'b0 ? '0 : pos_off_o"),
}


def test_the_engine_equals_the_position_of_the_program() -> None:
    needs("verilator")
    assert check(cases(position_case, EXAMPLES)).codes > EXAMPLES


def test_ties_and_limits_are_exact() -> None:
    needs("verilator")
    assert check([*examples("position", TIES), *examples("position", TIES, tied=True)]).codes > TIES


@pytest.mark.parametrize("fault", FAULTS)
def test_the_bench_rejects(fault: str) -> None:
    needs("verilator")
    assert rejects([*examples("position", TIES, tied=True), *cases(position_case, EXAMPLES)], *FAULTS[fault])


def test_rows_of_channels_are_exact_beside_those_of_bins() -> None:
    needs("verilator")
    assert check(cases(course_case, 60), size=WINDOWS).codes > 60


@pytest.mark.parametrize("fault", OF_CHANNELS)
def test_the_bench_of_channels_rejects(fault: str) -> None:
    needs("verilator")
    assert rejects(cases(course_case, 20), *OF_CHANNELS[fault], size=WINDOWS)
