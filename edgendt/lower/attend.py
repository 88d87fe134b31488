"""Attention as a graph spells it, from q k^T to what the probabilities weight: one Attention op at its Quant."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgendt.fixed import Int
from edgendt.lower.calls import Call, broadcast
from edgendt.lower.folding import LARGEST
from edgendt.lower.quants import FEWEST_BITS, settled
from edgendt.lower.values import Attended, CodesOf, Constant, Scores, View
from edgendt.lower.views import columns, extent, select, view
from edgendt.ops import Attention
from edgendt.ops.attention import ALL

NEVER = -1000.0  # a mask that adds this or less hides a key


def product(call: Call) -> View:
    """The product of two activations: scores, or weighted values."""
    left, right = (view(call.lowering, value) for value in call.inputs)
    if isinstance(left.source, Scores):
        return weighted(call, left, left.source, right)
    if isinstance(right.source, Scores):
        raise ValueError("probabilities must stand on the left of the values")
    if left.index.ndim < 2 or right.index.ndim < 2 or left.index.shape[-1] != right.index.shape[-2]:
        raise ValueError(f"its shapes do not fit: {list(left.index.shape)} and {list(right.index.shape)}")
    lead = broadcast(left.index.shape[:-2], right.index.shape[:-2])
    q = np.broadcast_to(left.index, lead + left.index.shape[-2:]).reshape(-1, *left.index.shape[-2:])
    k = np.broadcast_to(right.index, lead + right.index.shape[-2:]).reshape(-1, *right.index.shape[-2:])
    of = (settled(call, 0, left.source, 8), settled(call, 1, right.source, 8))
    shape = (*lead, q.shape[1], k.shape[2])
    if np.prod(shape, dtype=float) > LARGEST:
        raise ValueError(f"a tensor must have at most {LARGEST} elements, got {list(shape)}")
    source = Scores(of, q, k.swapaxes(1, 2), left.factor * right.factor)
    return View(source, np.arange(np.prod(shape, dtype=int)).reshape(shape))


def weighted(call: Call, left: View, source: Scores, right: View) -> View:
    """Probabilities times values."""
    if source.kind != "probabilities":
        raise ValueError(f"values must be weighted by probabilities, got {source.kind}")
    rows_are_keys(left, source)
    heads, queries, d_h = source.q.shape
    if right.index.shape[-2:] != (source.k.shape[1], d_h):
        raise ValueError(f"its values must be [..., {source.k.shape[1]}, {d_h}], got {list(right.index.shape)}")
    lead = broadcast(left.index.shape[:-2], right.index.shape[:-2])
    v = np.broadcast_to(right.index, lead + right.index.shape[-2:]).reshape(-1, *right.index.shape[-2:])
    if len(v) != heads or right.factor != 1:
        raise ValueError(f"its values must have {heads} heads and no factor, got {len(v)} and {right.factor:g}")
    made = Attended(source, settled(call, 1, right.source, 8), v)
    index = np.arange(heads * queries * d_h).reshape(queries, heads, d_h).swapaxes(0, 1)
    return View(made, index.reshape(*lead, queries, d_h))


def rows_are_keys(seen: View, source: Scores) -> None:
    """ValueError unless the last axis of the tensor is the keys of one query, and the rows are in order."""
    if not np.array_equal(seen.index.reshape(-1), np.arange(source.q.shape[0] * source.q.shape[1] * source.k.shape[1])):
        raise ValueError("the axes of the scores must be heads, queries, keys")


def scale(seen: View, source: Scores, factor: float) -> View:
    """Scores times a number."""
    if source.kind != "scores" or not factor > 0:
        raise ValueError(f"only scores can be scaled, by a positive number; got {source.kind} times {factor:g}")
    return replace(seen, source=replace(source, scale=source.scale * factor))


def add_mask(seen: View, source: Scores, mask: NDArray[np.float64]) -> View:
    """Scores plus 0 or a large negative number."""
    if not ((mask == 0) | (mask <= NEVER)).all():
        raise ValueError(f"a mask must add 0, or {NEVER:g} or less, to a score")
    return hide(seen, source, mask == 0)


def hide(seen: View, source: Scores, allowed: NDArray[np.bool_]) -> View:
    """Scores of which only some are looked at."""
    if source.kind != "scores":
        raise ValueError(f"a mask belongs to scores, got {source.kind}")
    shape = broadcast(seen.index.shape, allowed.shape)
    if np.prod(shape, dtype=int) != seen.index.size:
        raise ValueError(f"a mask must be one for every trial, got {list(allowed.shape)}")
    index = seen.index.reshape(shape)
    heads, queries, _ = source.q.shape
    laid_out = np.empty(index.size, np.bool_)
    laid_out[index.reshape(-1)] = np.broadcast_to(allowed, shape).reshape(-1)
    by_head = laid_out.reshape(heads, queries, -1)
    if (by_head != by_head[:1]).any():
        raise ValueError("all heads must have one mask")
    both = by_head[0] if source.allowed is None else by_head[0] & source.allowed
    return replace(seen, index=index, source=replace(source, allowed=both))


def softmax(call: Call) -> View:
    """Softmax over the keys."""
    call.arity(1)
    seen = call.inputs[0]
    if not isinstance(seen, View) or not isinstance(seen.source, Scores) or seen.source.kind != "scores":
        raise ValueError("a Softmax is held only behind the scores q k^T of an attention")
    last_axis(call, seen.index.ndim, -1 if call.lowering.opset >= 13 else 1)
    rows_are_keys(seen, seen.source)
    return becomes(seen, seen.source, "probabilities")


def last_axis(call: Call, dimensions: int, default: int) -> None:
    """ValueError unless the node works along the last axis."""
    axis = call.attributes.get("axis", default)
    if axis not in (-1, dimensions - 1):
        raise ValueError(f"its axis must be the last, got {axis} of {dimensions}")


def becomes(seen: View, source: Scores, kind: str) -> View:
    """The next step of a softmax."""
    return replace(seen, source=replace(source, kind=kind))


def reduced(call: Call, seen: View, source: Scores) -> View:
    """The largest score, or the sum of the exponentials, of every query."""
    steps = {("ReduceMax", "scores"): "largest", ("ReduceSum", "exponentials"): "total"}
    kind = steps.get((call.node.op_type, source.kind))
    if kind is None:
        raise ValueError(f"it is held as part of a softmax over the keys only, got {source.kind}")
    rows_are_keys(seen, source)
    return replace(becomes(seen, source, kind), index=seen.index[..., :1])


def same(a: Scores, b: Scores) -> bool:
    """True for two steps of one softmax."""
    return a.q is b.q and a.k is b.k and a.scale == b.scale and a.allowed is b.allowed


def left_out(call: Call, seen: View, source: Scores, bits: int) -> View:
    """Scores or probabilities behind a Quant, which Attention has none of."""
    if bits < FEWEST_BITS:
        raise ValueError(
            f"{source.kind} of {bits} bits are not held: Attention has {FEWEST_BITS} bits and more inside; "
            f"quantize them to {FEWEST_BITS} bits or not at all"
        )
    call.lowering.note(call.name, f"Quant of {source.kind} left out: Attention narrows only its output")
    return seen


def attention(call: Call, source: Attended, y: Int) -> CodesOf:
    """The Attention op. ValueError for what it does not do."""
    scores, lowering = source.scores, call.lowering
    heads, queries, d_h = scores.q.shape
    ratio = scores.scale * d_h**0.5
    halvings = -round(np.log2(ratio))
    if abs(ratio * 2.0**halvings - 1) > 1e-5:
        raise ValueError(f"scores must be scaled by 1/sqrt({d_h}) times a power of two, got {scores.scale:.6g}")
    reach = reach_of(scores.allowed, queries)
    q = channels(call, scores.of[0], scores.q, halvings)
    k = channels(call, scores.of[1], scores.k)
    v = channels(call, source.of, source.v)
    op = Attention(heads * d_h, heads, q=q.y, k=k.y, v=v.y, y=lowering.format_of(call.name, y), **reach)
    return lowering.finish(call.name, op, (q.node, k.node, v.node), {})


def channels(call: Call, of: CodesOf, index: NDArray[np.int64], halvings: int = 0) -> CodesOf:
    """Elements [heads, rows, d_h] as codes [rows, heads * d_h]."""
    rows = index.swapaxes(0, 1).reshape(index.shape[1], -1)
    chosen = columns(rows, of.size)
    if len(rows) != extent(call.lowering, of)[0] or chosen is None:
        raise ValueError("attention is held over all bins, each head over channels of its own")
    return select(call.lowering, of, chosen, halvings)


def reach_of(allowed: NDArray[np.bool_] | None, bins: int) -> dict[str, Any]:
    """window, causal, back and ahead of a mask [queries, keys]. ValueError for one that they do not say."""
    if allowed is None or allowed.all():
        return {"window": bins, "causal": False}
    i = np.arange(bins)
    behind = i[:, None] - i
    back, ahead = int(allowed[-1].sum()) - 1, int(allowed[0].sum()) - 1
    if min(back, ahead) < 0 or not np.array_equal(allowed, (behind <= back) & (behind >= -ahead)):
        raise ValueError("a mask must let bin i see i - back..i + ahead: none, causal, or a window around the bin")
    if not ahead:
        return {"window": back + 1, "causal": True}
    limits = [ALL if reach == bins - 1 else reach for reach in (back, ahead)]
    return {"window": bins, "causal": False, "back": limits[0], "ahead": limits[1]}


def constant_bool(value: object) -> NDArray[np.bool_]:
    """A known condition."""
    if not isinstance(value, Constant):
        raise ValueError("its condition must be constant")
    return np.asarray(value.values).astype(np.bool_)
