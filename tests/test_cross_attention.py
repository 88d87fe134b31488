"""Cross-attention equals Attention's formula over an index range of keys, in any order, in one pass or two."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import obvious
import pytest
from hypothesis import given, settings
from needs import needs_package
from token_ops import ACCUMULATOR, cross_attentions, crowd, torch_run

from edgendt.fixed import Int, bit_length, narrow
from edgendt.ops.attention import RECIP, Attention
from edgendt.ops.cross_attention import CrossAttention
from edgendt.ops.layernorm import table_index

ACT = Int(8, 5)
MANY = CrossAttention(16, 2, 2000, Int(8, 7), Int(8, 7), ACT, ACT)


def heads(op: CrossAttention, codes: Any) -> list[slice]:
    size = op.size // op.heads
    return [slice(h * size, (h + 1) * size) for h in range(op.heads)]


@settings(max_examples=200, deadline=None)
@given(cross_attentions())
def test_equals_its_formula(example) -> None:  # type: ignore[no-untyped-def]
    op, (q, k, v), last = example
    fracs = {name: getattr(op, name).frac for name in "qkvy"}
    expected = []
    for query in q:
        row = []
        for part in heads(op, q):
            keys, values = k[:last, part].tolist(), v[:last, part].tolist()
            row += obvious.attend(query[part].tolist(), keys, values, fracs, 8)
        expected.append(row)
    assert op.run(q, k, v, last=last).tolist() == expected


@settings(max_examples=50, deadline=None)
@given(cross_attentions())
def test_padding_is_not_looked_at_and_order_does_not_matter(example) -> None:  # type: ignore[no-untyped-def]
    op, (q, k, v), last = example
    expected = op.run(q, k[:last], v[:last])
    np.testing.assert_array_equal(op.run(q, k, v, last=last), expected)
    np.testing.assert_array_equal(op.run(q, k[::-1], v[::-1], first=len(k) - last), expected)


@settings(max_examples=50, deadline=None)
@given(cross_attentions())
def test_two_passes_over_pieces_give_the_same_integers(example) -> None:  # type: ignore[no-untyped-def]
    """First the largest score, then exponentials and weighted values, piece by piece: what an engine may do."""
    op, (q, k, v), last = example
    core, got = op.attention, np.zeros_like(q)
    pieces = [slice(start, min(start + 7, last)) for start in range(0, last, 7)]
    for i, query in enumerate(q):
        for part in heads(op, q):
            m = max(int((k[piece, part] @ query[part]).max()) for piece in pieces)
            total, weighted = 0, np.zeros(core.head_size, np.int64)
            for piece in pieces:
                scores = np.append(k[piece, part] @ query[part], m)  # m itself: the other pieces' largest
                e = core.scale.exponentials(scores)[:-1]
                total, weighted = total + int(e.sum()), weighted + e @ v[piece, part]
            length = bit_length(total)
            g = RECIP[table_index(np.array(total), length)]
            got[i, part] = narrow(weighted * g, 14 + length + op.v.frac - op.y.frac, op.y)
    np.testing.assert_array_equal(got, op.run(q, k, v, last=last))


def test_the_newest_bin_of_attention_is_one_query_over_its_window() -> None:
    rng = np.random.default_rng(0)
    q, k, v = (rng.integers(-90, 90, (9, 12)) for _ in range(3))
    op = Attention(12, 3, 5, Int(8, 4), Int(8, 4), ACT, ACT)
    cross = CrossAttention(12, 3, 5, op.q, op.k, op.v, op.y)
    np.testing.assert_array_equal(op.run(q, k, v)[-1:], cross.run(q[-1:], k, v, first=4))


def test_two_thousand_keys_fit_28_bits_and_are_weighted_exactly() -> None:
    MANY.check(ACCUMULATOR)
    with pytest.raises(ValueError, match="accumulator must stay within 24 bits, can reach 65280000"):
        MANY.check(Int(24))
    q, k, v = crowd(MANY, 2)
    fracs = {name: getattr(MANY, name).frac for name in "qkvy"}
    for row, query in zip(MANY.run(q, k, v), q, strict=True):
        for part in heads(MANY, q):
            expected = obvious.attend(query[part].tolist(), k[:, part].tolist(), v[:, part].tolist(), fracs, 8)
            assert row[part].tolist() == expected


@pytest.mark.parametrize("grad", [False, True], ids=["eval", "train"])
@settings(max_examples=150, deadline=None)
@given(example=cross_attentions())
def test_the_torch_sibling_equals_it(grad: bool, example) -> None:  # type: ignore[no-untyped-def]
    torch = needs_package("torch")
    from edgendt.qat.cross_attention import CrossAttention as Sibling

    op, inputs, last = example
    batch = tuple(np.stack([part, part]) for part in inputs)  # two windows, the second without padding
    got = torch_run(Sibling(op), (op.q, op.k, op.v), batch, grad, length=torch.tensor([last, len(inputs[1])]))
    np.testing.assert_array_equal(got[0], op.run(*inputs, last=last))
    np.testing.assert_array_equal(got[1], op.run(*inputs))
    np.testing.assert_array_equal(torch_run(Sibling(op), (op.q, op.k, op.v), inputs, grad), op.run(*inputs))


def test_the_torch_sibling_is_exact_where_float32_is_not() -> None:
    needs_package("torch")
    from edgendt.qat.cross_attention import CrossAttention as Sibling

    op = replace(MANY, y=Int(24, ACT.frac + 15))  # fine enough to show one unit of a sum
    inputs = crowd(op, 4, seed=1)
    assert np.abs(np.full(op.keys, 255) @ inputs[2]).max() > 1 << 24
    np.testing.assert_array_equal(torch_run(Sibling(op), (op.q, op.k, op.v), inputs, False), op.run(*inputs))


def test_its_gradient_is_that_of_the_float_surrogate() -> None:
    torch = needs_package("torch")
    from edgendt.qat.cross_attention import CrossAttention as Sibling

    module, grads = Sibling(CrossAttention(8, 2, 9, ACT, ACT, ACT, ACT)), []
    for surrogate in (False, True):
        torch.manual_seed(0)
        inputs = [(torch.randn(2, rows, 8) * 32).round().div(32).requires_grad_() for rows in (3, 9, 9)]
        out = module(*inputs, length=torch.tensor([9, 4]), surrogate=surrogate)
        (out * torch.linspace(-1, 1, 8)).sum().backward()
        grads.append([part.grad for part in inputs])
    assert all(torch.equal(mine, theirs) and mine.abs().sum() > 0 for mine, theirs in zip(*grads, strict=True))
    assert not grads[0][1][1, 4:].any()  # padding has no gradient


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [(0, 0, "hold one, got 0..0"), (3, 2, "got 3..2"), (0, 7, "within 6 rows"), (0, 6, "at most 5, got 6")],
)
def test_a_range_without_a_key_or_beyond_the_rows_is_refused(first: int, last: int, said: str) -> None:
    op = CrossAttention(4, 1, 5, ACT, ACT, ACT, ACT)
    with pytest.raises(ValueError, match=said):
        op.run(np.zeros((1, 4), int), np.zeros((6, 4), int), np.zeros((6, 4), int), first=first, last=last)


def test_a_geometry_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="heads must divide size 8, got 3"):
        CrossAttention(8, 3, 4, ACT, ACT, ACT, ACT)
    with pytest.raises(ValueError, match="keys must be at least 1, got 0"):
        CrossAttention(8, 2, 0, ACT, ACT, ACT, ACT)
