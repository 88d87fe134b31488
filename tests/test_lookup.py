"""Lookup equals its formula in Python integers, and its torch sibling equals it."""

from __future__ import annotations

import numpy as np
import obvious
import pytest
from hypothesis import given, settings
from needs import needs_package
from token_ops import lookups

from edgendt.fixed import Int
from edgendt.ops.lookup import Lookup

OP = Lookup(size=2, rows=3, which=2, y=Int(8))
TABLES = {"table": np.array([[1, 2], [100, -100], [7, 7]]), "kinds": np.array([[0, 0], [50, -50]])}


@settings(max_examples=200, deadline=None)
@given(lookups())
def test_equals_its_formula(example) -> None:  # type: ignore[no-untyped-def]
    op, tokens, tables = example
    table, kinds = tables["table"].tolist(), tables["kinds"].tolist()
    expected = [
        [obvious.saturate(a + b, op.y.bits, op.y.signed) for a, b in zip(table[entry], kinds[which], strict=True)]
        for which, entry in ((which, row * op.which + which if op.pairs else row) for row, which in tokens.tolist())
    ]
    op.check(Int(24), **tables)
    assert op.run(tokens, **tables).tolist() == expected


@settings(max_examples=100, deadline=None)
@given(lookups())
def test_the_torch_sibling_equals_it(example) -> None:  # type: ignore[no-untyped-def]
    torch = needs_package("torch")
    from torch_siblings import values

    from edgendt.qat.fixed import to_codes
    from edgendt.qat.lookup import Lookup as Sibling

    op, tokens, tables = example
    module = Sibling(op, *(values(tables[name], op.y.frac) for name in op.constants))
    out = to_codes(module(torch.from_numpy(tokens)).double() * 2.0**op.y.frac)
    np.testing.assert_array_equal(out, op.run(tokens, **tables))
    assert all(np.array_equal(tables[name], codes) for name, codes in module.constants().items())


def test_only_the_rows_that_were_read_are_trained() -> None:
    torch = needs_package("torch")
    from edgendt.qat.lookup import Lookup as Sibling

    module = Sibling(OP, torch.zeros(3, 2), torch.zeros(2, 2))
    module(torch.tensor([[0, 1], [2, 1]])).sum().backward()
    assert module.table.grad is not None and module.kinds.grad is not None
    assert module.table.grad.tolist() == [[1, 1], [0, 0], [1, 1]] and module.kinds.grad.tolist() == [[0, 0], [2, 2]]


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ([3, 0], r"row of a token must be 0\.\.2, got 3"),
        ([-1, 0], r"got -1"),
        ([0, 2], r"kind of a token must be 0\.\.1"),
    ],
)
def test_a_row_that_no_table_has_is_refused(token: list[int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        OP.run(np.array([token]), **TABLES)


def test_tables_of_another_shape_or_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"table must be \[3, 2\], got \[2, 2\]"):
        OP.check(Int(24), table=TABLES["table"][:2], kinds=TABLES["kinds"])
    with pytest.raises(ValueError, match=r"kinds must be -128\.\.127, got 128\.\.128"):
        OP.check(Int(24), table=TABLES["table"], kinds=np.full((2, 2), 128))


def test_no_token_is_no_row() -> None:
    assert OP.run(np.empty((0, 2), np.int64), **TABLES).shape == (0, 2)
