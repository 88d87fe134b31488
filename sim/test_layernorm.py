"""The engine's layernorm: statistics, reciprocal root and LayerNorm beats, driven by one-op Programs."""

import pytest
from needs import needs
from op_engine import Case, carried, cases, check, examples, layernorm_case, rejects
from rounding import FIRST, SECOND
from ties import layernorm_ties

EXAMPLES = 200
FAULTS = {"a partial product is misplaced": ("(50'(product) <<< 13)", "(50'(product) <<< 12)"), **FIRST, **SECOND}


def ties() -> list[Case]:
    """Both roundings of a LayerNorm on ties."""
    return [carried(f"layernorm tie {index}", one) for index, one in enumerate(layernorm_ties())]


def test_the_engine_equals_the_layernorm_of_the_program() -> None:
    needs("verilator")
    assert check(cases(layernorm_case, EXAMPLES)).codes > EXAMPLES


def test_ties_and_limits_are_exact() -> None:
    needs("verilator")
    assert check([*ties(), *examples("layernorm", 60)]).codes > EXAMPLES


@pytest.mark.parametrize("fault", FAULTS)
def test_the_bench_rejects(fault: str) -> None:
    needs("verilator")
    assert rejects([*ties(), *cases(layernorm_case, EXAMPLES)], *FAULTS[fault])
