"""Where the elements of a tensor are: views by index, and the Program nodes that put them in rows again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgendt.lower.calls import BINS, Call, Lowering, Place
from edgendt.lower.folding import LARGEST
from edgendt.lower.values import Attended, CodesOf, Counts, Curve, Norm, Product, Scores, Source, Sum, Value, View
from edgendt.ops import Linear, SpatialMix, Transpose

OPEN = 3  # bins that stand for any number, where the file leaves them open
Index = NDArray[np.int64]


def rows_of(lowering: Lowering, node: str) -> int:
    """Rows of the codes of a node: bins, or channels."""
    made = next((item for item in lowering.nodes if item.name == node), None)
    if made is not None:
        if isinstance(made.op, Transpose):
            return made.op.channels * ((lowering.bins or OPEN) if made.op.causal else 1)
        if not isinstance(made.op, SpatialMix):
            return rows_of(lowering, made.inputs[0])
    return lowering.bins or OPEN


def extent(lowering: Lowering, source: Source) -> tuple[int, int]:
    """(rows, size) of a source as it is laid out."""
    if isinstance(source, Counts):
        return lowering.bins or OPEN, source.channels
    if isinstance(source, CodesOf):
        return rows_of(lowering, source.node), source.size
    if isinstance(source, Product):
        return rows_of(lowering, source.x.node), len(source.weight)
    if isinstance(source, Sum):
        return extent(lowering, source.parts[0])
    if isinstance(source, Norm | Curve):
        return extent(lowering, source.x)
    if isinstance(source, Attended):
        heads, rows, d_h = source.scores.q.shape
        return rows, heads * d_h
    heads, queries, d_h = source.q.shape
    return heads * queries, source.k.shape[1]


def check_bins(lowering: Lowering) -> None:
    """ValueError where shapes are not known."""
    if not lowering.bins:
        raise ValueError(BINS)


def laid_out(rows: int, size: int) -> Index:
    """The index of a tensor that is its source. ValueError when it is absurdly large."""
    if rows * size > LARGEST:
        raise ValueError(f"a tensor must have at most {LARGEST} elements, got [{rows}, {size}]")
    return np.arange(rows * size, dtype=np.int64).reshape(rows, size)


def view(lowering: Lowering, value: Value) -> View:
    """Any activation as a view. ValueError for what is none."""
    if isinstance(value, View):
        return value
    if not isinstance(value, Source):
        raise ValueError("its input must be an activation")
    check_bins(lowering)
    index = laid_out(*extent(lowering, value))
    return View(value, index.reshape((1,) * lowering.lead + index.shape))


def normal(lowering: Lowering, seen: View) -> Value:
    """The source itself where a view shows it as it is."""
    if seen.factor != 1 or isinstance(seen.source, Scores):
        return seen
    shape = (1,) * lowering.lead + extent(lowering, seen.source)
    same = seen.index.shape == shape and bool((seen.index.reshape(-1) == np.arange(seen.index.size)).all())
    return seen.source if same else seen


def wrap(lowering: Lowering, source: Source, shape: tuple[int, ...] | None) -> Value:
    """A source as a tensor of that shape (None: as every other tensor)."""
    if shape is None:
        return source
    return normal(lowering, View(source, laid_out(*extent(lowering, source)).reshape(shape)))


def columns(index: Index, size: int) -> tuple[int, ...] | None:
    """Which columns of its source [rows, size] an index [rows, n] shows in order; None when it shows no whole ones."""
    chosen = index[0] if len(index) else index.reshape(-1)
    if (chosen >= size).any() or not np.array_equal(index, chosen + size * np.arange(len(index))[:, None]):
        return None
    return tuple(int(column) for column in chosen)


def flat(call: Call, value: Value) -> tuple[Value, tuple[int, ...] | None]:
    """(value laid out in rows, shape of its tensor; None: as every other tensor).

    Selected columns and a transposed window become Program nodes. ValueError for other orders.
    """
    if not isinstance(value, View) or isinstance(value.source, Scores):
        return value, None
    if value.factor != 1:
        raise ValueError("an activation times a number is held on the way to scores only: fold it into the weights")
    shape, source = value.index.shape, value.source
    index = value.index.reshape(-1, shape[-1]) if shape else value.index.reshape(1, 1)
    rows, size = extent(call.lowering, source)
    chosen = columns(index, size) if len(index) == rows else None
    if chosen == tuple(range(size)):
        return source, shape
    if chosen and isinstance(source, Product):
        return picked(source, chosen), shape
    if chosen and isinstance(source, CodesOf):
        return select(call.lowering, source, chosen), shape
    if isinstance(source, CodesOf) and np.array_equal(index, laid_out(rows, size).T):
        op = Transpose(size, rows, source.y)
        call.lowering.joined.append((value.name, source.node))
        return call.lowering.finish(value.name, op, (source.node,), {}), shape
    raise ValueError("its input is an activation whose axes were moved")


def picked(source: Product, chosen: tuple[int, ...]) -> Product:
    """Those outputs of a waiting product."""
    at = list(chosen)
    own = None if source.w_frac is None else tuple(source.w_frac[i] for i in at)
    w = source.w if own is None else replace(source.w, frac=own[0])
    bias = None if source.bias is None else source.bias[at]
    return replace(source, weight=source.weight[at], w=w, w_frac=own, bias=bias, scaled=None)


def select(lowering: Lowering, source: CodesOf, chosen: tuple[int, ...], halvings: int = 0) -> CodesOf:
    """Those channels of a node's codes, as a Linear of its own: exact. Their values are divided by 2**halvings.

    ValueError where another op than a Linear wrote them.
    """
    if chosen == tuple(range(source.size)) and not halvings:
        return source
    made = next((node for node in lowering.nodes if node.name == source.node), None)
    if made is None or not isinstance(made.op, Linear):
        kind = "the counts" if made is None else f"the {made.op.kind} {source.node}"
        raise ValueError(f"only channels of a matrix product can be split, scaled or put in another order, not {kind}")
    name = f"{source.node}.{lowering.part((source.node, chosen, halvings))}"
    old, at = made.op, list(chosen)
    y = replace(old.y, frac=old.y.frac + halvings)
    if any(node.name == name for node in lowering.nodes):
        return CodesOf(name, len(at), y)
    own = None if old.w_frac is None else tuple(old.w_frac[i] + halvings for i in at)
    w = replace(old.w, frac=own[0] if own else old.w.frac + halvings)
    op = replace(old, outputs=len(at), w=w, y=y, w_frac=own)
    if not halvings:
        lowering.joined.append((name, source.node))
    place = lowering.places.get(source.node, Place(source.node))
    lowering.places[name] = place.columns(at, extent(lowering, source), 2.0**-halvings)
    return lowering.finish(name, op, made.inputs, {key: codes[at] for key, codes in made.constants.items()})
