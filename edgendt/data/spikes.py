"""A lab's own recording from one .npz file; everything wrong with it is one sentence (BadInput)."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgendt.data.dataset import Dataset
from edgendt.errors import BadInput

DEFAULT_BIN_S = 0.02
BESIDE = ("rates", "vel")  # optional arrays that share the bins of `spikes`


@dataclass(frozen=True)
class _Recording:
    """The arrays of one session, with the words that an error message needs."""

    where: str
    arrays: Mapping[str, NDArray[Any]]

    def bad(self, what: str) -> BadInput:
        return BadInput(f"{self.where}: {what}")


def read(path: str | Path, session: str = "") -> Dataset:
    """Keys `spikes` [trials, bins, channels], or [bins, channels] with `trial` [bins]; optional `lengths` [trials]
    (real bins of padded trials), `rates`, `vel`, `bin_s`; all may stand under `<session>/`. Raises BadInput.
    """
    path = Path(path)
    recording = _session(path, _arrays(path), session)
    spikes = _counts(recording)
    beside = {key: _beside(recording, key, spikes) for key in BESIDE if key in recording.arrays}
    if spikes.ndim == 2:
        order = _trials(recording, spikes.shape[0])
        lengths = np.array([len(rows) for rows in order], np.int64)
        spikes = _pad(spikes, order)
        beside = {key: _pad(values, order) for key, values in beside.items()}
    else:
        lengths = _lengths(recording, spikes)
        real = np.arange(spikes.shape[1]) < lengths[:, None]
        spikes = spikes * real[..., None]
    name = path.stem + (f"/{session}" if session else "")
    return Dataset(name, spikes, lengths, _bin_s(recording), beside.get("rates"), beside.get("vel"))


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Every array of the file by key, without unpickling anything."""
    if not path.is_file():
        raise BadInput(f"{path}: no such file")
    try:
        file = np.load(path, allow_pickle=False)
        if isinstance(file, np.lib.npyio.NpzFile):
            with file:
                return {key: file[key] for key in file.files}
    except ValueError as error:
        reason = "it holds pickled objects, which are never loaded" if "pickle" in str(error) else str(error)
        raise BadInput(f"{path}: cannot be read: {reason}") from error
    except (OSError, EOFError, zipfile.BadZipFile, MemoryError) as error:
        raise BadInput(f"{path}: cannot be read as an .npz file: {error}") from error
    raise BadInput(f"{path}: a single array, not an .npz; save it with np.savez(FILE, spikes=…)")


def _session(path: Path, arrays: dict[str, NDArray[Any]], session: str) -> _Recording:
    """The arrays below `<session>/`, or the bare ones; says which sessions there are when it cannot know."""
    found = sorted(key.removesuffix("/spikes") for key in arrays if key.endswith("/spikes"))
    if session:
        if session not in found:
            listed = f"; it has {', '.join(found)}" if found else "; it has no sessions, leave data.session out"
            raise BadInput(f"{path}: no session {session}{listed}")
        prefix = f"{session}/"
        inside = {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}
        return _Recording(f"{path} ({session})", inside)
    if "spikes" in arrays:
        return _Recording(str(path), arrays)
    if len(found) == 1:
        return _session(path, arrays, found[0])
    if found:
        raise BadInput(f"{path}: several sessions, choose one with --session NAME: {', '.join(found)}")
    raise BadInput(f"{path}: no key `spikes`; it has {', '.join(sorted(arrays)) or 'no arrays'}")


def _counts(recording: _Recording) -> NDArray[np.int64]:
    """`spikes` as int64, [trials, bins, channels] or [bins, channels]."""
    spikes = recording.arrays["spikes"]
    if spikes.ndim not in (2, 3):
        shape = "[trials, bins, channels] or [bins, channels] with `trial`"
        raise recording.bad(f"spikes must be {shape}, got shape {list(spikes.shape)}")
    if spikes.size == 0:
        raise recording.bad(f"spikes is empty, got shape {list(spikes.shape)}")
    if spikes.shape[-1] < 2:
        raise recording.bad("spikes has one channel; at least two are needed")
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


def _check_whole(recording: _Recording, spikes: NDArray[Any]) -> None:
    if not np.isfinite(spikes).all():
        raise recording.bad(f"spikes has NaN or infinity at {_first(~np.isfinite(spikes))}")
    if (spikes != np.floor(spikes)).any():
        raise recording.bad(f"spikes must be whole counts, got a fraction at {_first(spikes != np.floor(spikes))}")


def _first(where: NDArray[np.bool_]) -> list[int]:
    return [int(i) for i in np.argwhere(where)[0]]


def _trials(recording: _Recording, bins: int) -> list[NDArray[np.int64]]:
    """Rows of each trial in order, from `trial` [bins]; the bins of a trial must be neighbours."""
    if "trial" not in recording.arrays:
        raise recording.bad("spikes is [bins, channels], so `trial` [bins] must say which trial each bin belongs to")
    trial = recording.arrays["trial"]
    if trial.shape != (bins,):
        raise recording.bad(f"trial must be [{bins}], one per bin of spikes, got shape {list(trial.shape)}")
    if trial.dtype.kind == "f" and not np.isfinite(trial).all():
        raise recording.bad(f"trial has NaN or infinity at {_first(~np.isfinite(trial))}")
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


def _lengths(recording: _Recording, spikes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Real bins of each padded trial: `lengths` when given, else all of them."""
    trials, bins = spikes.shape[:2]
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


def _beside(recording: _Recording, key: str, spikes: NDArray[np.int64]) -> NDArray[np.float64]:
    """`rates` or `vel`: finite reals whose bins agree with those of spikes."""
    values = recording.arrays[key]
    same = values.shape == spikes.shape if key == "rates" else values.shape[:-1] == spikes.shape[:-1]
    if values.ndim != spikes.ndim or not same:
        raise recording.bad(f"{key} has shape {list(values.shape)}, which disagrees with spikes {list(spikes.shape)}")
    if values.dtype.kind not in "buif":
        raise recording.bad(f"{key} must be real numbers, got {values.dtype}")
    if not np.isfinite(values).all():
        raise recording.bad(f"{key} has NaN or infinity at {_first(~np.isfinite(values))}")
    if key == "rates" and values.min() < 0:
        raise recording.bad(f"rates has a negative rate at {_first(values < 0)}")
    return values.astype(np.float64)


def _bin_s(recording: _Recording) -> float:
    """Seconds per bin; 20 ms when the file does not say."""
    value = recording.arrays.get("bin_s", np.array(DEFAULT_BIN_S))
    if value.size != 1 or value.dtype.kind not in "uif":
        raise recording.bad(f"bin_s must be one number of seconds, got {value.dtype} of shape {list(value.shape)}")
    seconds = float(value.reshape(()))
    if not 0 < seconds < 3600:
        raise recording.bad(f"bin_s must be a positive number of seconds, got {seconds}")
    return seconds
