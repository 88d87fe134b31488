"""The engine's attention: scores, softmax and weighted values, driven by one-op Programs."""

from needs import needs
from op_engine import attention_case, cases, check, rejects

EXAMPLES = 200


def test_the_engine_equals_the_attention_of_the_program() -> None:
    needs("verilator")
    assert check(cases(attention_case, EXAMPLES)).codes > EXAMPLES


def test_the_bench_rejects_a_mask_one_key_too_wide() -> None:
    needs("verilator")
    assert rejects(cases(attention_case, EXAMPLES), "14'(p) < 14'(n_keys_i)", "14'(p) <= 14'(n_keys_i)")
