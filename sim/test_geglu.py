"""The engine's GEGLU: one half of a pair gated by the other's GELU, driven by one-op Programs."""

import numpy as np
import pytest
from needs import needs
from op_engine import TOKENS, Case, check, looked_up, rejects, token_cases
from rounding import FIRST, ROUND
from strategies import Example, biased

from edgendt.fixed import Int
from edgendt.ops import GEGLU

EXAMPLES = 80
FAULTS = {
    "a code gates itself": ("pick2 ^ PipeBits'(sfu_ins.xbase)", "pick2"),
    "the second word of pairs is the first one again": ("else if (!last_sub && !half)", "else if (!last_sub)"),
    "a negative entry is a large one": ("gate_i ? gelu6 : 16'($signed", "gate_i ? {1'b0, gelu6[14:0]} : 16'($signed"),
    "the gate's code is multiplied too": ("gate_i ? 16'd0 :", "gate_i ? 16'd1 :"),
    **ROUND,
    **FIRST,
}


def geglu_case(seed: int) -> Case:
    """A GEGLU over all kinds of gate codes."""
    rng = np.random.default_rng(seed)
    size, a, gate = int(rng.integers(1, 24)), Int(8, int(rng.integers(-2, 8))), Int(8, int(rng.integers(-2, 8)))
    y = Int(8, a.frac + gate.frac + int(rng.integers(-8, 9)), bool(rng.random() < 0.7))
    op = GEGLU(size, a, gate, y)
    return looked_up(
        f"geglu{seed}", Example(op, (biased(rng, a, (9, size)), biased(rng, gate, (9, size))), {}), ["queries"] * 2
    )


def test_the_engine_equals_the_geglu_of_the_program() -> None:
    needs("verilator")
    assert check(token_cases(geglu_case, EXAMPLES), size=TOKENS).codes > 9 * EXAMPLES


@pytest.mark.parametrize("fault", FAULTS)
def test_the_bench_rejects(fault: str) -> None:
    needs("verilator")
    assert rejects(token_cases(geglu_case, EXAMPLES), *FAULTS[fault], size=TOKENS)
