"""A lab's own recording from one .npz file; everything wrong with it is one sentence (BadInput)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgendt.artifact import read_arrays
from edgendt.data.dataset import Dataset
from edgendt.errors import BadInput

DEFAULT_BIN_S = 0.02
BESIDE = ("rates", "vel")  # optional arrays that share the bins of `spikes`


@dataclass(frozen=True)
class Recording:
    """The arrays of one session, with the words that an error message needs."""

    where: str
    arrays: Mapping[str, NDArray[Any]]

    def bad(self, what: str) -> BadInput:
        return BadInput(f"{self.where}: {what}")

    def check_finite(self, key: str, values: NDArray[Any]) -> None:
        """BadInput for a NaN or an infinity, saying where it is."""
        if not np.isfinite(values).all():
            raise self.bad(f"{key} has NaN or infinity at {_first(~np.isfinite(values))}")


def read(path: str | Path, session: str = "") -> Dataset:
    """Keys `spikes` [trials, bins, channels], or [bins, channels] with `trial` [bins]; optional `lengths` [trials]
    (real bins of padded trials), `rates`, `vel`, `bin_s`; all may stand under `<session>/`. Raises BadInput.
    """
    path = Path(path)
    recording = session_of(path, read_arrays(path), session)
    _check_shapes(recording)
    if recording.arrays["spikes"].ndim == 3:
        lengths = _lengths(recording)
        recording = _without_padding(recording, lengths)
    spikes = _counts(recording)
    beside = {key: _beside(recording, key) for key in BESIDE if key in recording.arrays}
    if spikes.ndim == 2:
        order = _trials(recording, spikes.shape[0])
        lengths = np.array([len(rows) for rows in order], np.int64)
        spikes = _pad(spikes, order)
        beside = {key: _pad(values, order) for key, values in beside.items()}
    name = path.stem + (f"/{session}" if session else "")
    return Dataset(name, spikes, lengths, _bin_s(recording), beside.get("rates"), beside.get("vel"), recording.where)


def session_of(path: Path, arrays: dict[str, NDArray[Any]], session: str, key: str = "spikes") -> Recording:
    """The arrays below `<session>/`, or the bare ones; says which sessions there are when it cannot know.

    key: the array that makes a session.
    """
    found = sorted(name.removesuffix(f"/{key}") for name in arrays if name.endswith(f"/{key}"))
    if session:
        if session not in found:
            listed = f"; it has {', '.join(found)}" if found else "; it has no sessions, leave data.session out"
            raise BadInput(f"{path}: no session {session}{listed}")
        prefix = f"{session}/"
        inside = {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
        return Recording(f"{path} ({session})", inside)
    if key in arrays:
        return Recording(str(path), arrays)
    if len(found) == 1:
        return session_of(path, arrays, found[0], key)
    if found:
        raise BadInput(f"{path}: several sessions, choose one with --session NAME: {', '.join(found)}")
    timed = any(name.rpartition("/")[2] == "times" for name in arrays)
    other = "; spike times are for --model poyo, other networks take counts per bin" if timed else ""
    raise BadInput(f"{path}: no key `{key}`; it has {', '.join(sorted(arrays)) or 'no arrays'}{other}")


def _check_shapes(recording: Recording) -> None:
    """BadInput unless `spikes` is [trials, bins, channels] or [bins, channels] and what stands beside it agrees."""
    spikes = recording.arrays["spikes"]
    if spikes.ndim not in (2, 3):
        shape = "[trials, bins, channels] or [bins, channels] with `trial`"
        raise recording.bad(f"spikes must be {shape}, got shape {list(spikes.shape)}")
    if spikes.size == 0:
        raise recording.bad(f"spikes is empty, got shape {list(spikes.shape)}")
    if spikes.shape[-1] < 2:
        raise recording.bad("spikes has one channel; at least two are needed")
    other, says = ("lengths", "trial") if spikes.ndim == 2 else ("trial", "lengths")
    if other in recording.arrays:
        raise recording.bad(f"spikes {list(spikes.shape)} goes with `{says}`, not with `{other}`: leave it out")
    for key in (key for key in BESIDE if key in recording.arrays):
        found = recording.arrays[key].shape
        if found[:-1] != spikes.shape[:-1] or not found[-1] or (key == "rates" and found != spikes.shape):
            raise recording.bad(f"{key} has shape {list(found)}, which disagrees with spikes {list(spikes.shape)}")


def _without_padding(recording: Recording, lengths: NDArray[np.int64]) -> Recording:
    """The recording with zeros behind the end of every trial, whatever stood there."""
    arrays = dict(recording.arrays)
    padding = np.arange(arrays["spikes"].shape[1]) >= lengths[:, None]
    for key in (key for key in ("spikes", *BESIDE) if key in arrays):
        arrays[key] = arrays[key].copy()
        arrays[key][padding] = np.zeros((), arrays[key].dtype)
    return Recording(recording.where, arrays)


def _counts(recording: Recording) -> NDArray[np.int64]:
    """`spikes` as int64."""
    spikes = recording.arrays["spikes"]
    if spikes.dtype.kind not in "buif":
        raise recording.bad(f"spikes must be numbers, got {spikes.dtype}")
    if spikes.dtype.kind == "f":
        _check_whole(recording, spikes)
    if spikes.dtype.kind != "b" and spikes.min() < 0:
        raise recording.bad(f"spikes has a negative count at {_first(spikes < 0)}")
    if not spikes.any():
        raise recording.bad("spikes holds no spike at all")
    if spikes.max() > 2**31:
        raise recording.bad(f"spikes has a count of {spikes.max()}, which no bin can hold")
    return spikes.astype(np.int64)


def _check_whole(recording: Recording, spikes: NDArray[Any]) -> None:
    recording.check_finite("spikes", spikes)
    if (spikes != np.floor(spikes)).any():
        raise recording.bad(f"spikes must be whole counts, got a fraction at {_first(spikes != np.floor(spikes))}")


def _first(where: NDArray[np.bool_]) -> list[int]:
    return [int(i) for i in np.argwhere(where)[0]]


def _trials(recording: Recording, bins: int) -> list[NDArray[np.int64]]:
    """Rows of each trial in order, from `trial` [bins]; the bins of a trial must be neighbours."""
    if "trial" not in recording.arrays:
        raise recording.bad("spikes is [bins, channels], so `trial` [bins] must say which trial each bin belongs to")
    trial = recording.arrays["trial"]
    if trial.shape != (bins,):
        raise recording.bad(f"trial must be [{bins}], one per bin of spikes, got shape {list(trial.shape)}")
    if trial.dtype.kind not in "buifUS":
        raise recording.bad(f"trial must be numbers or names, got {trial.dtype}")
    if trial.dtype.kind == "f":
        recording.check_finite("trial", trial)
    starts = np.flatnonzero(np.r_[True, trial[1:] != trial[:-1]])
    if len(np.unique(trial)) != len(starts):
        raise recording.bad("trial comes back to an earlier number; the bins of one trial must be neighbours")
    return np.split(np.arange(bins), starts[1:])


def _pad(values: NDArray[Any], order: list[NDArray[np.int64]]) -> NDArray[Any]:
    """[bins, n] -> [trials, longest, n], zero beyond each trial's end."""
    padded = np.zeros((len(order), max(len(rows) for rows in order), values.shape[1]), values.dtype)
    for trial, rows in enumerate(order):
        padded[trial, : len(rows)] = values[rows]
    return padded


def _lengths(recording: Recording) -> NDArray[np.int64]:
    """Real bins of each padded trial: `lengths` when given, else all of them."""
    trials, bins = recording.arrays["spikes"].shape[:2]
    if "lengths" not in recording.arrays:
        return np.full(trials, bins, np.int64)
    lengths = recording.arrays["lengths"]
    if lengths.shape != (trials,) or lengths.dtype.kind not in "iu":
        raise recording.bad(
            f"lengths must be {trials} whole numbers, got {lengths.dtype} of shape {list(lengths.shape)}"
        )
    if lengths.min() < 1 or lengths.max() > bins:
        raise recording.bad(f"lengths must be 1..{bins}, got {lengths.min()}..{lengths.max()}")
    return lengths.astype(np.int64)


def _beside(recording: Recording, key: str) -> NDArray[np.float64]:
    """`rates` or `vel`: finite reals."""
    values = recording.arrays[key]
    if values.dtype.kind not in "buif":
        raise recording.bad(f"{key} must be real numbers, got {values.dtype}")
    recording.check_finite(key, values)
    if key == "rates" and values.min() < 0:
        raise recording.bad(f"rates has a negative rate at {_first(values < 0)}")
    return values.astype(np.float64)


def _bin_s(recording: Recording) -> float:
    """Seconds per bin; 20 ms when the file does not say."""
    value = recording.arrays.get("bin_s", np.array(DEFAULT_BIN_S))
    if value.size != 1 or value.dtype.kind not in "uif":
        raise recording.bad(f"bin_s must be one number of seconds, got {value.dtype} of shape {list(value.shape)}")
    seconds = float(value.reshape(()))
    if not 0 < seconds < 3600:
        raise recording.bad(f"bin_s must be a positive number of seconds, got {seconds}")
    return seconds
