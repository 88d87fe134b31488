"""LayerNorm equals its formula in Python integers, and float LayerNorm to within one step."""

from __future__ import annotations

import numpy as np
import obvious
from hypothesis import given, settings
from strategies import Example, layernorms

from edgendt.fixed import Int
from edgendt.ops import LayerNorm
from edgendt.ops.layernorm import RSQRT, eps_code


@settings(max_examples=200, deadline=None)
@given(layernorms())
def test_equals_its_formula(example: Example) -> None:
    op, (x,), w = example.op, example.inputs, example.constants
    assert isinstance(op, LayerNorm)
    for row, codes in zip(x.tolist(), example.run().tolist(), strict=True):
        gamma, beta = w["gamma"].tolist(), w["beta"].tolist()
        assert codes == obvious.layernorm(row, gamma, beta, op.eps_code, op.gamma.frac, op.y.frac, op.y.bits)


def test_the_table_holds_its_formula_where_it_is_addressed() -> None:
    assert [int(v) for v in RSQRT[256:]] == [obvious.rsqrt(i) for i in range(256, 1024)]
    assert not RSQRT[:256].any()


def test_is_never_more_than_one_step_from_float_layernorm() -> None:
    rng = np.random.default_rng(0)
    d, x = 64, Int(12, 7)
    op = LayerNorm(d, x, Int(8, 6), Int(8, 5), eps_code(d, x))
    codes = rng.integers(-1500, 1500, (500, d))
    gamma, beta = rng.integers(20, 90, d), rng.integers(-(2**16), 2**16, d)
    value = codes * x.scale
    norm = (value - value.mean(1, keepdims=True)) / np.sqrt(value.var(1, keepdims=True) + 1e-5)
    real = norm * gamma * op.gamma.scale + beta * 2.0**-18
    exact = np.clip(np.round(real / op.y.scale), -128, 127)
    off = np.abs(op.run(codes, gamma=gamma, beta=beta) - exact)
    assert off.max() <= 1 and (off == 0).mean() > 0.97
