"""The engine's rotary position: turned codes, and attention over them, driven by one-op Programs; for 100,000 bins."""

import numpy as np
import pytest
from needs import needs
from networks import random_ndt
from op_engine import TOKENS, Case, cases, check, engine, examples, looked_up, rejects, rotary_case, run, token_cases
from op_examples import WHOLE, example
from rounding import FIRST, ROUND
from strategies import Example

EXAMPLES, TIES = 200, 60
TIMED = {
    "nothing turns back": ("Tokens != 0 && negate_i ?", "1'b0 ?"),
    "a row turns by the bin": ("if (timed) time_q", "if (1'b0) time_q"),
}
FAULTS = {
    "the clock stands still": ("assign given_time = bin_o", "assign given_time = 16'd1"),
    "a phase is cut, not rounded": ("phase4[15:0] + 16'd32", "phase4[15:0]"),
    "even channels turn backwards": ("sine4 && odd_q[4], sine4", "sine4, sine4"),
    "a code is its own partner": ("pick2 ^ PipeBits'(sfu_ins.xbase)", "pick2"),
    "nobody waits for the angles": ("written && (is_exp || angles_ok_i || is_gate)", "written"),
    "nobody waits for the codes": ("is_exp || is_turn ? written &&", "is_exp ? written && is_exp : is_turn ?"),
    "the sine's product is too large": (": 44'(high8));", ": {high8[26:0], 17'd0});"),
    "a negative code is a large one": ("turn6_i && a6_q[16]", "1'b0"),
    "a turned key is announced before its column": ("!(Rotary != 0 && s_q[18].op == SfuTurn", "!(Rotary == 0"),
    **ROUND,
    **FIRST,
}


def test_the_engine_equals_the_rotary_of_the_program() -> None:
    needs("verilator")
    assert check(cases(rotary_case, EXAMPLES)).codes > EXAMPLES


def test_ties_and_limits_are_exact() -> None:
    needs("verilator")
    assert check([*examples("rotary", TIES), *examples("rotary", TIES, tied=True)]).codes > TIES


def test_a_network_streams_for_100_000_bins_without_a_reset() -> None:
    """Over the wrap of the engine's clock; every output of every bin."""
    needs("verilator")
    program = random_ndt(11, 3, 4, 1, 1, 4, 5, 3, rotary=True)
    counts = np.random.default_rng(0).integers(0, 16, (100_000, 3))
    tally = run((program, counts), engine(), taps=False)
    assert tally.mismatches == 0, tally.first
    assert tally.codes > 3 * len(counts)


def timed_case(seed: int) -> Case:
    """Rows that turn by times given, or back by them; ties and limits among them."""
    op = WHOLE["rotary"][seed % 3]
    given = example(op, np.random.default_rng(seed))
    codes, times = given.inputs
    return looked_up(f"timed{seed}", Example(op, (codes,), {}), ["queries"], times)


def test_by_times_given_and_back_the_engine_is_exact() -> None:
    needs("verilator")
    assert check(token_cases(timed_case, TIES), size=TOKENS).codes > TIES


@pytest.mark.parametrize("fault", TIMED)
def test_the_bench_rejects_with_times(fault: str) -> None:
    needs("verilator")
    assert rejects(token_cases(timed_case, TIES), *TIMED[fault], size=TOKENS)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_bench_rejects(fault: str) -> None:
    needs("verilator")
    assert rejects([*examples("rotary", TIES, tied=True), *cases(rotary_case, EXAMPLES)], *FAULTS[fault])
