"""The engine's attention: scores, softmax and weighted values, driven by one-op Programs."""

import pytest
from needs import needs
from op_engine import Case, attention_case, carried, cases, check, examples, rejects
from rounding import FIRST
from ties import attention_ties

from edgendt.engine.emit import Choice

EXAMPLES = 200
FAULTS = {"the mask is one key too wide": ("14'(p) < 14'(stop_i)", "14'(p) <= 14'(stop_i)"), **FIRST}


def ties() -> list[Case]:
    """Attentions whose last narrowing meets ties."""
    return [carried(f"attention tie {index}", one) for index, one in enumerate(attention_ties())]


def test_the_engine_equals_the_attention_of_the_program() -> None:
    needs("verilator")
    assert check(cases(attention_case, EXAMPLES)).codes > EXAMPLES


def test_ties_and_limits_are_exact() -> None:
    needs("verilator")
    assert check([*ties(), *examples("attention", 60)]).codes > EXAMPLES


@pytest.mark.parametrize("fault", FAULTS)
def test_the_bench_rejects(fault: str) -> None:
    needs("verilator")
    assert rejects([*ties(), *cases(attention_case, EXAMPLES)], *FAULTS[fault])


def test_v_may_be_interrupted_by_the_scores_at_any_word() -> None:
    needs("verilator")
    for words in (1, 2, 3):
        check(cases(attention_case, EXAMPLES // 2), Choice(1, words))


@pytest.mark.parametrize(
    "old, new",
    [
        ("step && flat_q == row_last_q", "step && flat_q == row_words"),
        ("next_q.ins.dst_base[8:0]", "9'd0"),
        ("if (turn) kv_q <= kv_q + 18'(cfg_i.value_rows)", "if (turn) kv_q <= kv_q + 18'd1"),
    ],
)
def test_the_bench_rejects_a_fault_in_the_rows_of_v(old: str, new: str) -> None:
    needs("verilator")
    assert rejects(cases(attention_case, EXAMPLES), old, new, Choice(1, 1))
