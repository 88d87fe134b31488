"""GEGLU equals its formula in Python integers, its table GELU to half a step, and its torch sibling equals it."""

from __future__ import annotations

import math

import numpy as np
import obvious
import pytest
from hypothesis import given, settings
from needs import needs_package
from token_ops import geglus, torch_run

from edgendt.fixed import Int
from edgendt.ops.geglu import GEGLU


def gelu(x: float) -> float:
    """From the normal distribution's other tail, where the op takes erf."""
    return x * math.erfc(-x / math.sqrt(2)) / 2


@settings(max_examples=200, deadline=None)
@given(geglus())
def test_equals_its_formula(example) -> None:  # type: ignore[no-untyped-def]
    op, a, gate = example
    table = [round(gelu(code / 2**op.gate.frac) * 2 ** (op.gate.frac + 8)) for code in range(-128, 128)]
    shift = op.a.frac + op.gate.frac + 8 - op.y.frac
    expected = [
        [
            obvious.saturate(obvious.rne(x * table[g + 128], shift), op.y.bits, op.y.signed)
            for x, g in zip(*rows, strict=True)
        ]
        for rows in zip(a.tolist(), gate.tolist(), strict=True)
    ]
    op.check(Int(24))
    assert op.table.tolist() == table
    assert op.run(a, gate).tolist() == expected


def test_a_tie_goes_to_the_even_code() -> None:
    op = GEGLU(1, Int(8, 0), Int(8, 0), Int(8, -1))
    assert op.table[128 + 100] == 100 << 8 and op.shift == 9  # GELU(100) is 100
    assert op.run(np.array([[1], [3]]), np.array([[101], [101]])).tolist() == [[50], [127]]
    assert op.run(np.array([[1], [-1]]), np.array([[103], [103]])).tolist() == [[52], [-52]]


@settings(max_examples=100, deadline=None)
@given(geglus())
def test_every_entry_is_within_its_format_and_half_a_step_of_gelu(example) -> None:  # type: ignore[no-untyped-def]
    op = example[0]
    assert op.entry.holds(op.table)
    real = np.array([gelu(code * op.gate.scale) for code in range(-128, 128)])
    assert (np.abs(op.table * op.entry.scale - real) <= op.entry.scale / 2 + 1e-12).all()


@pytest.mark.parametrize("grad", [False, True], ids=["eval", "train"])
@settings(max_examples=150, deadline=None)
@given(example=geglus())
def test_the_torch_sibling_equals_it(grad: bool, example) -> None:  # type: ignore[no-untyped-def]
    needs_package("torch")
    from edgendt.qat.geglu import GEGLU as Sibling

    op, a, gate = example
    np.testing.assert_array_equal(torch_run(Sibling(op), (op.a, op.gate), (a, gate), grad), op.run(a, gate))


def test_its_gradient_is_that_of_the_float_surrogate() -> None:
    torch = needs_package("torch")
    from edgendt.qat.geglu import GEGLU as Sibling

    module, grads = Sibling(GEGLU(4, Int(8, 4), Int(8, 4), Int(8, 3))), []
    for surrogate in (False, True):
        inputs = [torch.tensor([1.0, -2.0, 0.5, 3.0], requires_grad=True) for _ in range(2)]
        module(*inputs, surrogate=surrogate).sum().backward()
        grads.append([part.grad for part in inputs])
    assert all(torch.equal(mine, theirs) and mine.abs().sum() > 0 for mine, theirs in zip(*grads, strict=True))


def test_what_the_hardware_could_not_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="gate must be signed and have 8 bits"):
        GEGLU(4, Int(8), Int(12), Int(8))
    with pytest.raises(ValueError, match="accumulator must stay within 24 bits, can reach 1065353216"):
        GEGLU(4, Int(16), Int(8), Int(8)).check(Int(24))
