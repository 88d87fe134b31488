"""The engine's layernorm: statistics, reciprocal root and LayerNorm beats, driven by one-op Programs."""

from needs import needs
from op_engine import cases, check, layernorm_case, rejects

EXAMPLES = 200


def test_the_engine_equals_the_layernorm_of_the_program() -> None:
    needs("verilator")
    assert check(cases(layernorm_case, EXAMPLES)).codes > EXAMPLES


def test_the_bench_rejects_a_wrong_partial_product() -> None:
    needs("verilator")
    assert rejects(cases(layernorm_case, EXAMPLES), "(50'(product) <<< 13)", "(50'(product) <<< 12)")
