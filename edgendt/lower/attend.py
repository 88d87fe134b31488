"""Attention as a graph spells it, from q k^T to what the probabilities weight."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgendt.fixed import Int
from edgendt.lower.calls import Call, Place, broadcast
from edgendt.lower.folding import LARGEST
from edgendt.lower.quants import FEWEST_BITS, calibrated, ended
from edgendt.lower.values import Attended, CodesOf, Constant, Product, Scores, Value, View
from edgendt.lower.views import extent, normal, picked, view

NEVER = -1000.0  # a mask that adds this or less hides a key
NO_SCORES = "a Softmax is held only behind the scores q k^T of an attention"


def product(call: Call) -> View:
    """The product of two activations: scores, or weighted values."""
    left, right = (codes_view(call, at) for at in (0, 1))
    if isinstance(left.source, Scores):
        return weighted(call, left, left.source, right)
    if isinstance(right.source, Scores):
        raise ValueError("probabilities must stand on the left of the values")
    if left.index.ndim < 2 or right.index.ndim < 2 or left.index.shape[-1] != right.index.shape[-2]:
        raise ValueError(f"its shapes do not fit: {list(left.index.shape)} and {list(right.index.shape)}")
    lead = broadcast(left.index.shape[:-2], right.index.shape[:-2])
    q = np.broadcast_to(left.index, lead + left.index.shape[-2:]).reshape(-1, *left.index.shape[-2:])
    k = np.broadcast_to(right.index, lead + right.index.shape[-2:]).reshape(-1, *right.index.shape[-2:])
    assert isinstance(left.source, CodesOf) and isinstance(right.source, CodesOf)
    of = (left.source, right.source)
    shape = (*lead, q.shape[1], k.shape[2])
    if np.prod(shape, dtype=float) > LARGEST:
        raise ValueError(f"a tensor must have at most {LARGEST} elements, got {list(shape)}")
    source = Scores(of, q, k.swapaxes(1, 2), left.factor * right.factor)
    return View(source, np.arange(np.prod(shape, dtype=int)).reshape(shape))


def codes_view(call: Call, at: int) -> View:
    """Input `at` as a view of codes or scores; one that no Quant ended gets its format from calibration."""
    seen = view(call.lowering, call.inputs[at])
    if isinstance(seen.source, CodesOf | Scores):
        return seen
    y = calibrated(call, at, seen.source, FEWEST_BITS)
    return view(call.lowering, quant_view(replace(call, name=call.tensors[at]), seen, y))


def quant_view(call: Call, seen: View, y: Int) -> Value:
    """Quant of a tensor that shows its source in another order: the source's op, and the same order of its codes."""
    source, index = seen.source, seen.index
    if seen.factor != 1:
        if y.bits < FEWEST_BITS:
            raise ValueError(f"an activation times a number in {y.bits} bits is not held: fold it into the weights")
        call.lowering.note(call.name, f"Quant left out: times {seen.factor:.4g}, its input goes on as it is")
        return seen
    size = extent(call.lowering, source)[1]
    kept = np.unique(index % size)
    if isinstance(source, Product) and len(kept) < size:
        source = picked(source, tuple(int(column) for column in kept))
        index = index // size * len(kept) + np.searchsorted(kept, index % size)
    made = ended(call, source, y)
    assert isinstance(made, CodesOf)
    if made != source:
        rows, size = extent(call.lowering, made)
        if index.size != rows * size or len(np.unique(index)) != index.size:
            raise ValueError("some of what a Quant ends is cut off or repeated: put the Quant before that")
        at = np.empty(index.size, np.int64)
        at[index.reshape(-1)] = np.arange(index.size)
        call.lowering.places[made.node] = Place(call.name, at.reshape(rows, size))
    return normal(call.lowering, View(made, index))


def weighted(call: Call, left: View, source: Scores, right: View) -> View:
    """Probabilities times values."""
    if source.kind != "probabilities":
        raise ValueError(f"values must be weighted by probabilities, got {source.kind}")
    rows_are_keys(left, source)
    heads, queries, d_h = source.q.shape
    if left.index.shape[-2:-1] != (queries,):
        raise ValueError(
            f"its probabilities must be [..., {queries}, {source.k.shape[1]}], got {list(left.index.shape)}"
        )
    if right.index.shape[-2:] != (source.k.shape[1], d_h):
        raise ValueError(f"its values must be [..., {source.k.shape[1]}, {d_h}], got {list(right.index.shape)}")
    lead = broadcast(left.index.shape[:-2], right.index.shape[:-2])
    v = np.broadcast_to(right.index, lead + right.index.shape[-2:]).reshape(-1, *right.index.shape[-2:])
    if len(v) != heads or right.factor != 1:
        raise ValueError(f"its values must have {heads} heads and no factor, got {len(v)} and {right.factor:g}")
    assert isinstance(right.source, CodesOf)
    made = Attended(source, right.source, v)
    index = np.arange(heads * queries * d_h).reshape(queries, heads, d_h).swapaxes(0, 1)
    return View(made, index.reshape(*lead, queries, d_h))


def rows_are_keys(seen: View, source: Scores) -> None:
    """ValueError unless the last axis of the tensor is the keys of one query, and the rows are in order."""
    heads, queries, keys = *source.q.shape[:2], source.k.shape[1]
    whole = seen.index.shape[-1:] == (keys,)
    if not whole or not np.array_equal(seen.index.reshape(-1), np.arange(heads * queries * keys)):
        raise ValueError("the axes of the scores must be heads, queries, keys")


def scale(seen: View, source: Scores, factor: float) -> View:
    """Scores times a number."""
    if source.kind != "scores" or not factor > 0:
        raise ValueError(f"only scores can be scaled, by a positive number; got {source.kind} times {factor:g}")
    hidden = source.hidden * factor
    if hidden > NEVER:
        raise ValueError(f"a mask must add {NEVER:g} or less to a score, times {factor:g} it adds {hidden:g}")
    return replace(seen, source=replace(source, scale=source.scale * factor, hidden=hidden))


def add_mask(seen: View, source: Scores, mask: NDArray[np.float64]) -> View:
    """Scores plus 0 or a large negative number."""
    if not ((mask == 0) | (mask <= NEVER)).all():
        raise ValueError(f"a mask must add 0, or {NEVER:g} or less, to a score")
    return hide(seen, source, mask == 0, mask)


def hide(seen: View, source: Scores, allowed: NDArray[np.bool_], mask: NDArray[np.float64]) -> View:
    """Scores of which only some are looked at; in or on the others is what the mask has."""
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
    hidden = max(source.hidden, float(mask.max(initial=-np.inf, where=mask <= NEVER)))
    return replace(seen, index=index, source=replace(source, allowed=both, hidden=hidden))


def softmax(call: Call, kind: str = "probabilities") -> View:
    """Softmax over the keys, or LogSoftmax (kind: logs)."""
    call.arity(1)
    seen = call.inputs[0]
    if not isinstance(seen, View) or not isinstance(seen.source, Scores) or seen.source.kind != "scores":
        raise ValueError(NO_SCORES)
    softmax_axis(call, seen.index.ndim)
    rows_are_keys(seen, seen.source)
    return becomes(seen, seen.source, kind)


def softmax_axis(call: Call, dimensions: int = 0) -> None:
    """ValueError unless a Softmax goes over the last axis."""
    last_axis(call, dimensions, -1 if call.lowering.opset >= 13 else 1)


def last_axis(call: Call, dimensions: int, default: int) -> None:
    """ValueError unless the node works along the last axis. dimensions: 0 where they are not known, but 2 at least."""
    axis = call.attributes.get("axis", default)
    if axis != -1 and (axis != dimensions - 1 if dimensions else axis < 1):
        raise ValueError(f"its axis must be the last, got {axis}{f' of {dimensions}' if dimensions else ''}")


def becomes(seen: View, source: Scores, kind: str) -> View:
    """The next step of a softmax."""
    return replace(seen, source=replace(source, kind=kind))


def reduced(call: Call, seen: View, source: Scores) -> View:
    """The largest score, or the sum of the exponentials or its logarithm, of every query."""
    steps = {("ReduceMax", "scores"): "largest", ("ReduceSum", "exponentials"): "total"}
    steps |= {("ReduceLogSumExp", "scores"): "logsum"}
    kind = steps.get((call.node.op_type, source.kind))
    if kind is None:
        raise ValueError(f"it is held as part of a softmax over the keys only, got {source.kind}")
    rows_are_keys(seen, source)
    return replace(becomes(seen, source, kind), index=seen.index[..., :1])


def check_same(seen: View, of: View) -> None:
    """ValueError unless these are two steps of one softmax, `of` with one element for every row of `seen`."""
    a, b = seen.source, of.source
    assert isinstance(a, Scores) and isinstance(b, Scores)
    alike = a.q is b.q and a.k is b.k and a.allowed is b.allowed
    if not alike or (a.scale, a.shifted) != (b.scale, b.shifted):
        raise ValueError(f"the {b.kind} is of other scores than those that it goes with")
    rows = (*seen.index.shape[:-1], 1)
    if broadcast(of.index.shape, rows) != rows or (of.index != seen.index[..., :1]).any():
        raise ValueError(f"the {b.kind} of a query must go with the scores of that query, along the keys")


def left_out(call: Call, seen: View, source: Scores, bits: int) -> View:
    """Scores or probabilities behind a Quant, which Attention has none of."""
    if bits < FEWEST_BITS:
        raise ValueError(f"{source.kind} of {bits} bits are not held: Attention has {FEWEST_BITS} bits and more inside")
    call.lowering.note(call.name, f"Quant of {source.kind} left out: Attention narrows only its output")
    return seen


def constant_bool(value: object) -> NDArray[np.bool_]:
    """A known condition."""
    if not isinstance(value, Constant):
        raise ValueError("its condition must be constant")
    return np.asarray(value.values).astype(np.bool_)
