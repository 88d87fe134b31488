"""The engine's cross-attention: queries over the keys of a window of tokens, driven by one-op Programs."""

from itertools import islice

import numpy as np
import pytest
from needs import needs
from op_engine import TOKENS, Case, check, looked_up, rejects, token_cases
from rounding import FIRST
from strategies import Example, biased
from ties import found

from edgendt.fixed import Int
from edgendt.ops import Attention, CrossAttention

EXAMPLES = 60
FAULTS = {
    "a window has a key more": ("tokens_q <= slot_o + 1'b1", "tokens_q <= slot_o + 2'd2"),
    "all keys are in one tile": ("tiles_q  <= tile_q + 9'd1", "tiles_q  <= 9'd1"),
    "keys beyond the window raise the maximum": ("14'(p) < 14'(stop_i)", "14'(p) <= 14'(stop_i)"),
    "values of the next tile of channels lie too near": ("18'(cfg_i.value_rows)", "18'd1"),
    **FIRST,
}


def cross_case(seed: int) -> Case:
    """A CrossAttention; some scores tie, some are far apart."""
    rng = np.random.default_rng(seed)
    heads, rows, small = int(rng.integers(1, 5)), int(rng.integers(1, 40)), int(rng.integers(0, 6))
    size = heads * TOKENS.pipes * int(rng.integers(1, 6))
    q, k, v = (Int(8, int(frac)) for frac in rng.integers(2, 8, 3))
    op = CrossAttention(size, heads, 40, q, k, v, Int(8, v.frac + int(rng.integers(-2, 3))))
    queries, keys = biased(rng, q, (3, size)) >> small, biased(rng, k, (rows, size)) >> small
    given = Example(op, (queries, keys, biased(rng, v, (rows, size))), {})
    return looked_up(f"cross{seed}", given, ("queries", "tokens", "tokens"))


def ties() -> list[Case]:
    """Windows of three keys whose weighted values, divided, lie halfway: those of `ties.found`, in heads of two."""
    cases, act = [], Int(8, 5)
    for reach in (-1, 0, 1, 2):
        one = Attention(2, 1, 3, act, act, act, Int(8, 5 + reach))
        op = CrossAttention(2, 1, 3, act, act, act, one.y)
        for index, tie in enumerate(islice(found(one), 6)):
            _q, k, v = tie.inputs
            inputs = (np.array([[1, 0]]), np.pad(k, ((0, 0), (0, 1))), np.repeat(v, 2, axis=1))
            name = f"cross tie {reach} {index}"
            cases.append(looked_up(name, Example(op, inputs, {}), ("queries", "tokens", "tokens")))
    return cases


def test_ties_are_exact() -> None:
    needs("verilator")
    assert len(ties()) > 10 and check(ties(), size=TOKENS).codes > 20


def test_the_engine_equals_the_cross_attention_of_the_program() -> None:
    needs("verilator")
    assert check(token_cases(cross_case, EXAMPLES), size=TOKENS).codes > EXAMPLES


@pytest.mark.parametrize("fault", FAULTS)
def test_the_bench_rejects(fault: str) -> None:
    needs("verilator")
    assert rejects([*ties(), *token_cases(cross_case, EXAMPLES)], *FAULTS[fault], size=TOKENS)
