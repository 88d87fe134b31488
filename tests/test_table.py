"""Table gives each code its entry; what is tabulated is within half a step; its torch sibling equals it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from needs import needs_package
from strategies import Example, formats, tables

from edgendt.fixed import Int
from edgendt.ops import Table
from edgendt.ops.table import gelu, tabulate


@settings(max_examples=200, deadline=None)
@given(tables())
def test_every_code_gets_its_entry(example: Example) -> None:
    op, table = example.op, example.constants["table"].tolist()
    op.check(Int(24), **example.constants)
    entry = dict(zip(range(op.x.lo, op.x.hi + 1), table, strict=True))
    assert example.run().tolist() == [[entry[code] for code in row] for row in example.inputs[0].tolist()]


@settings(max_examples=200, deadline=None)
@given(formats((1, 8), (-2, 8), st.booleans()), formats((2, 16), (-2, 12), st.booleans()))
def test_an_entry_of_gelu_is_the_nearest_code_or_a_limit(x: Int, y: Int) -> None:
    for code, entry in zip(range(x.lo, x.hi + 1), tabulate(gelu, x, y).tolist(), strict=True):
        real = code * x.scale
        real = real * math.erfc(-real / math.sqrt(2)) / 2 / y.scale  # from the other tail, where the op takes erf
        assert abs(entry - min(max(real, y.lo), y.hi)) <= 0.5 + 1e-9


def test_a_tie_goes_to_the_even_code() -> None:
    assert tabulate(lambda x: x / 2, Int(4), Int(4)).tolist()[8:] == [0, 0, 1, 2, 2, 2, 3, 4]


@pytest.mark.parametrize("grad", [False, True], ids=["eval", "train"])
@settings(max_examples=100, deadline=None)
@given(example=tables())
def test_the_torch_sibling_equals_it(grad: bool, example: Example) -> None:
    needs_package("torch")
    import torch_siblings as siblings

    np.testing.assert_array_equal(siblings.run(example.op, example.inputs, example.constants, grad), example.run())


def test_its_gradient_is_that_of_the_float_surrogate() -> None:
    torch = needs_package("torch")
    from edgendt.qat.table import Table as Sibling

    op, grads = Table(4, Int(8, 4), Int(8, 4)), []
    module = Sibling(op, tabulate(gelu, op.x, op.y), torch.nn.functional.gelu)
    for surrogate in (False, True):
        x = torch.tensor([1.0, -2.0, 0.5, 3.0], requires_grad=True)
        module(x, surrogate=surrogate).sum().backward()
        grads.append(x.grad)
    assert torch.equal(*grads) and grads[0].abs().min() > 0


def test_what_the_hardware_could_not_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="x must have at most 8 bits, which address the table"):
        Table(4, Int(12), Int(8))
    op = Table(4, Int(8), Int(8))
    with pytest.raises(ValueError, match=r"table must be \[256\], got \[16\]"):
        op.check(Int(24), table=np.zeros(16, np.int64))
    with pytest.raises(ValueError, match=r"table must be -128\.\.127, got 128\.\.128"):
        op.check(Int(24), table=np.full(256, 128))
