"""The Attention op of weighted values: which channels are its heads, and which bins it sees."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgendt.fixed import Int
from edgendt.lower.calls import Call
from edgendt.lower.values import Attended, CodesOf, Scores
from edgendt.lower.views import columns, extent, select
from edgendt.ops import Attention
from edgendt.ops.attention import ALL, EXP_ZERO

DROWNED = EXP_ZERO / 256 * float(np.log(2))  # below the largest score: there an exponential is zero


def attention(call: Call, source: Attended, y: Int) -> CodesOf:
    """The Attention op. ValueError for what it does not do."""
    scores, lowering = source.scores, call.lowering
    heads, queries, d_h = scores.q.shape
    ratio = scores.scale * d_h**0.5
    halvings = -round(np.log2(ratio))
    if abs(ratio * 2.0**halvings - 1) > 1e-5:
        raise ValueError(f"scores must be scaled by 1/sqrt({d_h}) times a power of two, got {scores.scale:.6g}")
    check_hidden(scores, d_h)
    reach = reach_of(scores.allowed, queries)
    q = channels(call, scores.of[0], scores.q, halvings)
    k = channels(call, scores.of[1], scores.k)
    v = channels(call, source.of, source.v)
    op = Attention(heads * d_h, heads, q=q.y, k=k.y, v=v.y, y=y, **reach)
    return lowering.finish(call.name, op, (q.node, k.node, v.node), {})


def check_hidden(scores: Scores, d_h: int) -> None:
    """ValueError for a mask that a hidden key's score may outweigh in the file, where Attention does not look at it."""
    most = d_h * scores.scale * float(np.prod([of.y.limit * of.y.scale for of in scores.of]))
    needed = -2 * most - DROWNED
    if scores.hidden > needed:
        raise ValueError(
            f"a mask must add what no score outweighs: {np.floor(needed):.0f} or less for scores of up to {most:.4g}, "
            f"got {scores.hidden:g}"
        )


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
        raise ValueError("a mask must let bin i see i - back..i + ahead")
    if not ahead:
        return {"window": back + 1, "causal": True}
    limits = [ALL if reach == bins - 1 else reach for reach in (back, ahead)]
    return {"window": bins, "causal": False, "back": limits[0], "ahead": limits[1]}
