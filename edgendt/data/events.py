"""Spike times: which unit fired at which millisecond of a trial, beside the same session per bin."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgendt.artifact import read_arrays
from edgendt.data.dataset import Dataset
from edgendt.data.spikes import Recording, session_of
from edgendt.errors import BadInput

MS = 1000  # times are whole milliseconds, as they are in the integers of a network
MOST_UNITS = 1 << 16
KEYS = {"times": 1, "units": 1, "trials": 2, "vel": 2, "vel_times": 1}  # of a file, and their dimensions


@dataclass(frozen=True)
class SpikeTimes:
    """A session spike by spike.

    binned: the same spikes per bin, with `vel`; velocity is asked for at the middle of a bin.
    unit, ms [spikes] int64: who fired, and when in whole ms from the trial's start; by trial, in order of time.
    first [trials + 1] int64: spikes first[i] up to first[i + 1] are trial i's. source says how exact the times are;
    drawn: they were not recorded.
    """

    binned: Dataset
    unit: NDArray[np.int64]
    ms: NDArray[np.int64]
    first: NDArray[np.int64]
    source: str
    drawn: bool = False

    @property
    def units(self) -> int:
        return self.binned.channels

    @property
    def vel(self) -> NDArray[np.float64]:
        """Velocity [trials, bins, axes]: every session of spike times has it."""
        assert self.binned.vel is not None
        return self.binned.vel

    @property
    def summary(self) -> dict[str, Any]:
        """What it is and how much there is of it."""
        return {
            "name": self.binned.name,
            "source": self.source,
            "trials": self.binned.trials,
            "bins": int(self.binned.lengths.sum()),
            "channels": self.units,
            "spikes": len(self.ms),
            "bin_s": self.binned.bin_s,
        }

    def edges_ms(self, bins: Any) -> NDArray[np.int64]:
        """Where bins begin, in ms from the trial's start; bin i holds what lies before edges_ms(i + 1)."""
        return edges_ms(bins, self.binned.bin_s)

    def trial(self, trial: int, start_ms: int, stop_ms: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(unit, ms) of a trial's spikes with start_ms <= ms < stop_ms; ms still from the trial's start."""
        span = slice(self.first[trial], self.first[trial + 1])
        low, high = np.searchsorted(self.ms[span], [start_ms, stop_ms])
        return self.unit[span][low:high], self.ms[span][low:high]


def edges_ms(bins: Any, bin_s: float) -> NDArray[np.int64]:
    """Where bins of `bin_s` seconds begin, to the nearest ms."""
    return np.rint(np.asarray(bins) * bin_s * MS).astype(np.int64)


def jittered(data: Dataset, seed: int = 0) -> SpikeTimes:
    """Spike times where only counts per bin are known: uniform within the bin. Raises BadInput without velocity.

    A Poisson process whose rate is constant within a bin has exactly such times, so the built-in system loses nothing.
    Of a recording they are a stand-in: what its spikes did within a bin is not known.
    """
    where = data.source or data.name
    if data.vel is None:
        raise BadInput(f"{where}: spike times are decoded to velocity, and it has no `vel`")
    if data.bin_s * MS < 1:
        raise BadInput(f"{where}: bins must be at least 1 ms long, got bin_s {data.bin_s}")
    rng = np.random.default_rng([seed, 4])
    trial, bins, unit = np.nonzero(data.spikes)
    counts = data.spikes[trial, bins, unit]
    trial, bins, unit = (np.repeat(index, counts) for index in (trial, bins, unit))
    start, stop = edges_ms(bins, data.bin_s), edges_ms(bins + 1, data.bin_s)
    ms = rng.integers(start, stop)
    source = f"{where}: counts, jittered within bins of {data.bin_s * MS:g} ms"
    return replace(_by_trial(data, trial, unit, ms, source), drawn=True)


def read_times(path: str | Path, session: str = "", bin_s: float = 0.02) -> SpikeTimes:
    """Recorded spike times from an .npz. Keys, all may stand under `<session>/`, in seconds from any one origin:

    `times`, `units` [spikes]: when, and which unit (0, 1, …); `trials` [trials, 2]: start and stop; `vel`
    [samples, axes] at `vel_times` [samples]. Velocity is interpolated to the middles of bins of `bin_s`; a trial keeps
    its whole bins; spikes outside every trial are left out. Raises BadInput.
    """
    path = Path(path)
    recording = session_of(path, read_arrays(path), session, "times")
    _check(recording)
    times, units, trials = (recording.arrays[key].astype(np.float64) for key in ("times", "units", "trials"))
    lengths = np.floor((trials[:, 1] - trials[:, 0]) / bin_s + 1e-6).astype(np.int64)
    if lengths.min() < 1:
        raise recording.bad(f"trial {lengths.argmin()} is shorter than one bin of {bin_s} s")
    found = []
    for trial, ((start, _), bins) in enumerate(zip(trials, lengths, strict=True)):
        ms = np.floor((times - start) * MS + 1e-6).astype(np.int64)  # a time that was 0.003 stays 3 ms
        inside = np.flatnonzero((ms >= 0) & (ms < edges_ms(bins, bin_s)))
        found.append(np.stack([np.full(len(inside), trial), ms[inside], units[inside].astype(np.int64)]))
    trial, ms, unit = np.concatenate(found, axis=1)
    if not len(ms):
        raise recording.bad("no spike lies within a trial")
    counts = np.zeros((len(trials), int(lengths.max()), int(units.max()) + 1), np.int64)
    bins = np.searchsorted(edges_ms(np.arange(counts.shape[1] + 1), bin_s), ms, side="right") - 1
    np.add.at(counts, (trial, bins, unit), 1)
    name = path.stem + (f"/{session}" if session else "")
    vel = _velocity(recording, lengths, bin_s)
    binned = Dataset(name, counts, lengths, bin_s, None, vel, recording.where)
    return _by_trial(binned, trial, unit, ms, f"{recording.where}: recorded times")


def _check(recording: Recording) -> None:
    """BadInput unless the arrays of a file of spike times are there, sound, and agree."""
    for key, dimensions in KEYS.items():
        if key not in recording.arrays:
            raise recording.bad(f"no key `{key}`; spike times need {', '.join(KEYS)}")
        array = recording.arrays[key]
        if array.ndim != dimensions or array.dtype.kind not in "uif" or not array.size:
            shape = f"numbers of {dimensions} dimension{'s' * (dimensions > 1)}"
            raise recording.bad(f"{key} must be {shape}, got {array.dtype} of shape {list(array.shape)}")
        recording.check_finite(key, array)
    times, units, trials, vel, vel_times = (recording.arrays[key] for key in KEYS)
    for key, one, other, rows in (("units", "times", units, times), ("vel_times", "vel", vel_times, vel)):
        if len(other) != len(rows):
            raise recording.bad(f"{key} must be as many as {one}, got {len(other)} and {len(rows)}")
    if units.min() < 0 or (units != np.floor(units)).any() or units.max() >= MOST_UNITS:
        raise recording.bad(f"units must be whole numbers 0..{MOST_UNITS - 1}, got {units.min()}..{units.max()}")
    if trials.shape[1] != 2 or (trials[:, 1] <= trials[:, 0]).any():
        raise recording.bad("trials must be [trials, 2], each a start and a later stop")
    starts, stops = trials[np.argsort(trials[:, 0])].T
    if (starts[1:] < stops[:-1]).any():
        raise recording.bad("trials overlap: a spike may belong to one of them only")
    if (vel_times[1:] <= vel_times[:-1]).any():
        raise recording.bad("vel_times must increase")
    if trials.min() < vel_times[0] or trials.max() > vel_times[-1]:
        raise recording.bad(f"trials must lie within vel_times, {vel_times[0]} to {vel_times[-1]} s")


def _velocity(recording: Recording, lengths: NDArray[np.int64], bin_s: float) -> NDArray[np.float64]:
    """[trials, bins, axes]: interpolated at the middles of bins, zero on padding."""
    samples, when = recording.arrays["vel"], recording.arrays["vel_times"]
    vel = np.zeros((len(lengths), int(lengths.max()), samples.shape[1]))
    for row, bins in enumerate(lengths):
        middles = recording.arrays["trials"][row, 0] + (np.arange(bins) + 0.5) * bin_s
        vel[row, :bins] = np.stack([np.interp(middles, when, axis) for axis in samples.T], axis=1)
    return vel


def _by_trial(
    binned: Dataset, trial: NDArray[np.int64], unit: NDArray[np.int64], ms: NDArray[np.int64], source: str
) -> SpikeTimes:
    """The spikes by trial, in order of time, then of unit."""
    order = np.lexsort((unit, ms, trial))
    first = np.searchsorted(trial[order], np.arange(binned.trials + 1))
    return SpikeTimes(binned, unit[order], ms[order], first, source)
