"""Examples of the ops of token networks, biased to ties and limits; their siblings in torch, codes in, codes out."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from strategies import biased, formats, generators

from edgendt.fixed import Codes, Int
from edgendt.ops.cross_attention import CrossAttention
from edgendt.ops.geglu import GEGLU
from edgendt.ops.lookup import Lookup

ACCUMULATOR = Int(28)  # of whole-window networks: 24 bits hold 257 keys


@st.composite
def lookups(draw: st.DrawFn) -> tuple[Lookup, Codes, dict[str, Codes]]:
    """A Lookup with sums beyond both limits."""
    rng, y = draw(generators), draw(formats((8, 16), (0, 9)))
    op = Lookup(draw(st.integers(1, 16)), draw(st.integers(1, 12)), draw(st.integers(1, 4)), y, draw(st.booleans()))
    tokens = np.stack([rng.integers(0, op.rows, 9), rng.integers(0, op.which, 9)], axis=1)
    tables = {"table": biased(rng, y, (op.entries, op.size)), "kinds": biased(rng, y, (op.which, op.size))}
    return op, tokens, tables


@st.composite
def geglus(draw: st.DrawFn) -> tuple[GEGLU, Codes, Codes]:
    """A GEGLU over every gate code, shifts of either sign."""
    rng, a, gate = draw(generators), draw(formats()), draw(formats(frac=(-2, 8)))
    op = GEGLU(256, a, gate, Int(8, a.frac + gate.frac + draw(st.integers(-8, 10)), draw(st.booleans())))
    return op, biased(rng, a, (3, 256)), rng.permuted(np.tile(np.arange(-128, 128), (3, 1)), axis=1)


@st.composite
def cross_attentions(draw: st.DrawFn, most: int = 40) -> tuple[CrossAttention, tuple[Codes, ...], int]:
    """A CrossAttention, its inputs and the number of rows that are keys; some scores tie, some are far apart."""
    rng, heads = draw(generators), draw(st.sampled_from([1, 2, 3, 4]))
    size, rows = heads * draw(st.integers(1, 12)), draw(st.integers(1, most))
    q, k, v = (draw(formats(frac=(2, 7))) for _ in range(3))
    op = CrossAttention(size, heads, most, q, k, v, Int(8, draw(st.integers(v.frac - 2, v.frac + 2))))
    small = int(rng.integers(0, 6))
    codes = (biased(rng, q, (draw(st.integers(1, 6)), size)) >> small, biased(rng, k, (rows, size)) >> small)
    return op, (*codes, biased(rng, v, (rows, size))), draw(st.integers(1, rows))


def crowd(op: CrossAttention, queries: int, seed: int = 0) -> tuple[Codes, Codes, Codes]:
    """As many keys as the op may have, all of nearly the largest score; odd values near their limits, for odd sums."""
    rng = np.random.default_rng(seed)
    q, k = np.full((queries, op.size), op.q.hi), np.full((op.keys, op.size), op.k.hi)
    k[rng.random(k.shape) < 0.02] -= 1
    v = np.where(rng.random((op.keys, op.size)) < 0.02, op.v.hi, op.v.lo + 1)
    return q, k, v


def torch_run(module: Any, forms: tuple[Int, ...], codes: tuple[Codes, ...], grad: bool, **options: Any) -> Codes:
    """A sibling on codes of these formats. float32 values in, codes out."""
    import torch
    from torch_siblings import values

    from edgendt.qat.fixed import to_codes

    with torch.set_grad_enabled(grad):
        out = module(*(values(part, form.frac) for part, form in zip(codes, forms, strict=True)), **options)
    return to_codes(out.double() * 2.0**module.op.y.frac)
