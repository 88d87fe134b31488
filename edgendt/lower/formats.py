"""One format for everything that sums join: the residual stream has one, whatever each Quant of a file says."""

from __future__ import annotations

import numpy as np

from edgendt.fixed import Int
from edgendt.lower.calls import Lowering
from edgendt.lower.levels import Levels, bound
from edgendt.lower.nearest import refusal
from edgendt.program import INPUT

WIDEST = 16  # bits of a residual stream


def common(lowering: Lowering) -> dict[str, Int]:
    """The format of every node that a sum joins to nodes of another format. UnsupportedOp where none suits all."""
    formats = {node.name: node.op.y for node in lowering.nodes}
    if lowering.input is not None:
        formats[INPUT] = lowering.input
    chosen: dict[str, Int] = {}
    for group in groups(lowering.joined):
        found = {formats[name] for name in group}
        if len(found) > 1:
            if INPUT in group or any(not y.signed for y in found):
                said = ", ".join(f"{name} {formats[name]}" for name in sorted(group))
                raise refusal("Add", sorted(group)[0], f"what a sum joins must be signed, or one format: {said}")
            y = widest(found)
            most = max(bound(Levels.of(old), Levels.of(y)) for old in found - {y})
            told = f"joined by sums, one format: {y.bits} bits, 2^{-y.frac}"
            lowering.note(", ".join(sorted(group)), told, bound=most)
            chosen |= dict.fromkeys(group, y)
    return chosen


def groups(joined: list[tuple[str, ...]]) -> list[set[str]]:
    """Names that are joined, one way or another."""
    found: list[set[str]] = []
    for names in joined:
        met = [group for group in found if group & set(names)]
        found = [group for group in found if group not in met]
        found.append(set(names).union(*met))
    return found


def widest(formats: set[Int]) -> Int:
    """The format that holds all values of these, or as fine a one as has their range."""
    whole = max(int(np.ceil(np.log2(y.limit))) - y.frac for y in formats)
    frac = min(max(y.frac for y in formats), WIDEST - 1 - whole)
    return Int(whole + frac + 1, frac)
