"""The only comparison in the project: codes are equal or they are not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edgendt.errors import Mismatch
from edgendt.fixed import Codes
from edgendt.program import Program


@dataclass(frozen=True)
class Tally:
    """What a comparison saw: ops and codes compared, codes that differ, the first difference.

    bins: compared at every op; output_bins: others, of which only the network's output was looked at.
    """

    ops: int = 0
    codes: int = 0
    mismatches: int = 0
    first: Mismatch | None = None
    bins: int = 0
    output_bins: int = 0

    def __add__(self, other: Tally) -> Tally:
        """Both comparisons together; `ops` is the larger, since trials repeat the same ops."""
        return Tally(
            max(self.ops, other.ops),
            self.codes + other.codes,
            self.mismatches + other.mismatches,
            self.first or other.first,
            self.bins + other.bins,
            self.output_bins + other.output_bins,
        )


@dataclass(frozen=True)
class LinkResult:
    """One link of the chain of equality, as `edgendt sim` reports it. waves: the waveform, where one was asked for."""

    name: str
    status: str
    reason: str | None = None
    ops: int = 0
    codes: int = 0
    mismatches: int = 0
    seconds: float = 0.0
    bins: int = 0
    output_bins: int = 0
    waves: str | None = None

    def json(self) -> dict[str, Any]:
        """The keys other programs rely on."""
        return asdict(self)


def compare(
    link: str, expected: Mapping[str, Codes], got: Mapping[str, Codes], program: Program | None = None
) -> Tally:
    """expected, got: [rows, size] by op name; `got` must hold every op of `expected`, to the last code.

    Ops are compared in the order of `expected`; `first` is the earliest bin's first differing op and index. In whole
    windows, where a difference spreads to bins before it, it is the first differing op's earliest row and index.
    A code that `got` lacks is a mismatch. program: of these ops, which says what their rows are; bins without one.
    """
    whole = program is not None and not program.streams
    codes = mismatches = earliest = 0
    first: Mismatch | None = None
    bins = len(list(expected.values())[-1]) if expected else 0
    for op, want in expected.items():
        have = np.asarray(got.get(op, np.empty((0, want.shape[1]), dtype=np.int64)))
        wrong = _wrong(want, have)
        codes += want.size
        mismatches += int(wrong.sum())
        if wrong.any():
            row, index = (int(i) for i in np.argwhere(wrong)[0])
            bin, named = _named(row, op, program)
            if first is None or (bin < earliest and not whole):
                present = row < len(have) and have.ndim == 2 and index < have.shape[1]
                found = int(have[row, index]) if present else None
                earliest, first = bin, Mismatch(link, op, named, index, int(want[row, index]), found)
    return Tally(len(expected), codes, mismatches, first, bins)


def _named(row: int, op: str, program: Program | None) -> tuple[int, dict[str, int]]:
    """(bin of a stream, what to call the row), as a vendor project's test bench does."""
    what = program.row(op) if program is not None else None
    if program is None or what is None:
        return row, {"bin": row}
    if not program.streams:
        return 0, {what: row}
    bin, inside = divmod(row, program.rows(op))
    return bin, {"bin": bin, what: inside}


def _wrong(want: Codes, have: Codes) -> Any:
    """bool [bins, size]: where `have` differs from `want` or is absent; surplus rows count against the last."""
    wrong = np.ones(want.shape, dtype=bool)
    if have.ndim == 2:
        bins, size = min(len(want), len(have)), min(want.shape[1], have.shape[1])
        wrong[:bins, :size] = want[:bins, :size] != have[:bins, :size]
        if have.shape[0] > want.shape[0] or have.shape[1] > want.shape[1]:
            wrong[-1, -1] = True
    return wrong
