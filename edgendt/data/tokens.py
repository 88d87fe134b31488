"""Windows of spikes as tokens: one per spike, a start and an end per unit; and the times velocity is asked for at.

After Azabou et al. 2023 (POYO). A window is an index range of a trial, padding an index range of a window.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgendt.data.events import MS, SpikeTimes

SPIKE, START, END = range(3)  # the kinds of a token
KINDS = 3


@dataclass(frozen=True)
class Cut:
    """A window: of session `session`, trial `trial`, the spikes with start_ms <= ms < stop_ms; bins first..last − 1
    are asked for."""

    session: int
    trial: int
    start_ms: int
    stop_ms: int
    first: int
    last: int


@dataclass(frozen=True)
class Windows:
    """Padded windows, all int64 except `vel`; times are ms from a window's start.

    unit, kind, ms [windows, tokens], of which the first length[window] are tokens; unit counts through all sessions.
    query_ms [windows, queries], vel [windows, queries, axes], of which the first queries[window] are real.
    session [windows].
    """

    unit: NDArray[np.int64]
    kind: NDArray[np.int64]
    ms: NDArray[np.int64]
    length: NDArray[np.int64]
    session: NDArray[np.int64]
    query_ms: NDArray[np.int64]
    vel: NDArray[np.float64]
    queries: NDArray[np.int64]

    @property
    def asked(self) -> NDArray[np.bool_]:
        """[windows, queries]: True where a query is real."""
        return np.arange(self.query_ms.shape[1]) < self.queries[:, None]


def ending_at(data: SpikeTimes, session: int, trial: int, last: int, window_ms: int, first: int | None = None) -> Cut:
    """The window that ends with bin `last` − 1 of a trial; its whole bins are asked for, or those from `first`."""
    stop = int(data.edges_ms(last))
    start = max(0, stop - window_ms)
    inside = int(np.searchsorted(data.edges_ms(np.arange(last + 1)), start))
    return Cut(session, trial, start, stop, max(inside, first or 0), last)


def causal(data: SpikeTimes, session: int, trials: NDArray[np.int64], window_ms: int) -> Iterator[Cut]:
    """A window for every bin, ending with it: velocity of a bin from its spikes and the past, as a decoder runs."""
    for trial in trials:
        for last in range(1, int(data.binned.lengths[trial]) + 1):
            yield ending_at(data, session, int(trial), last, window_ms, last - 1)


def whole(data: SpikeTimes, session: int, trials: NDArray[np.int64], window_ms: int) -> Iterator[Cut]:
    """Windows over whole trials, every bin asked for once; as published, a bin sees what follows in its window."""
    step = int(window_ms / (data.binned.bin_s * MS) + 1e-6)
    if step < 1:
        raise ValueError(f"window_ms must be at least one bin of {data.binned.bin_s * MS:g} ms, got {window_ms}")
    for trial in trials:
        bins = int(data.binned.lengths[trial])
        for first in range(0, bins, step):
            last = min(first + step, bins)
            yield ending_at(data, session, int(trial), last, window_ms, first)


def gather(
    sessions: Sequence[SpikeTimes], cuts: Sequence[Cut], kept: Sequence[NDArray[np.bool_]] | None = None
) -> Windows:
    """Tokens and queries of some windows. kept [windows] of [units]: units whose tokens stay, all by default."""
    offsets = np.cumsum([0, *(session.units for session in sessions)])
    tokens, queries = [], []
    for i, cut in enumerate(cuts):
        data = sessions[cut.session]
        units = np.arange(data.units) if kept is None else np.flatnonzero(kept[i])
        tokens.append(_tokens(data, cut, units) + np.array([[offsets[cut.session]], [0], [0]]))
        bins = np.arange(cut.first, cut.last)
        middles = (data.edges_ms(bins) + data.edges_ms(bins + 1)) // 2
        queries.append((middles - cut.start_ms, data.vel[cut.trial, bins]))
    unit, kind, ms = (_padded([part[row] for part in tokens]) for row in range(3))
    return Windows(
        unit,
        kind,
        ms,
        np.array([part.shape[1] for part in tokens]),
        np.array([cut.session for cut in cuts]),
        _padded([times for times, _ in queries]),
        _padded([vel for _, vel in queries]),
        np.array([len(times) for times, _ in queries]),
    )


def _tokens(data: SpikeTimes, cut: Cut, units: NDArray[np.int64]) -> NDArray[np.int64]:
    """[unit, kind, ms] × tokens: a start of every unit, the spikes in order of time, an end of every unit."""
    unit, ms = data.trial(cut.trial, cut.start_ms, cut.stop_ms)
    if len(units) < data.units:
        inside = np.isin(unit, units)
        unit, ms = unit[inside], ms[inside]
    parts = ((units, START, 0), (unit, SPIKE, ms - cut.start_ms), (units, END, cut.stop_ms - cut.start_ms))
    return np.concatenate([np.stack(np.broadcast_arrays(*part)) for part in parts], axis=1)


def spikes_last(given: Mapping[str, NDArray[np.int64]]) -> dict[str, NDArray[np.int64]]:
    """A window, as a Program takes it, in the order to send it in: starts and ends of units, known ahead, come before
    its spikes. The answers are the same: keys of an attention are summed (docs/ops/cross_attention.md).
    """
    order = np.argsort(given["tokens"][:, 1] == SPIKE, kind="stable")
    return {**given, **{name: given[name][order] for name in ("tokens", "token_ms")}}


def last_spike(given: Mapping[str, NDArray[np.int64]]) -> int:
    """Its place among the tokens; that of the last token where no unit fired."""
    spikes = np.flatnonzero(given["tokens"][:, 1] == SPIKE)
    return int(spikes[-1]) if len(spikes) else len(given["tokens"]) - 1


def _padded(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """[n, …] of several n -> [parts, longest, …], zero behind."""
    longest = max(len(part) for part in parts)
    padded = np.zeros((len(parts), longest, *parts[0].shape[1:]), parts[0].dtype)
    for row, part in zip(padded, parts, strict=True):
        row[: len(part)] = part
    return padded
