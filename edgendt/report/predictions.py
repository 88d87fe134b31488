"""What the network said of test trials, and which of them the page shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgendt.artifact import read_arrays
from edgendt.errors import BadInput

Array = NDArray[Any]
STRIP_BINS = 40  # a strip of short trials goes on until it has so many bins
REQUIRED = ("spikes", "rates_integer", "rates_float", "lengths")
OPTIONAL = ("rates_true", "vel", "vel_integer", "held_out")


@dataclass(frozen=True)
class Predictions:
    """Test trials as the report shows them: arrays [trials, bins, n], rates in spikes per bin."""

    arrays: Mapping[str, Array]
    bin_s: float | None

    @classmethod
    def load(cls, path: Path, bin_s: float | None) -> Predictions:
        """Read predictions.npz; BadInput when a key is missing or shapes disagree."""
        found = read_arrays(path)
        arrays = {key: found[key] for key in (*REQUIRED, *OPTIONAL) if key in found}
        missing = [key for key in REQUIRED if key not in arrays]
        if missing:
            raise BadInput(f"{path} lacks {', '.join(missing)}: run `edgendt quantize` again")
        for key in ("rates_integer", "rates_float", "rates_true"):
            if key in arrays and arrays[key].shape != arrays["spikes"].shape:
                shapes = list(arrays[key].shape), list(arrays["spikes"].shape)
                raise BadInput(f"{path}: {key} has shape {shapes[0]}, spikes {shapes[1]}: run `edgendt quantize` again")
        return cls(arrays, bin_s)

    def strip(self, key: str, trials: Sequence[int]) -> Array:
        """[bins, n] of trials side by side without their padding, one bin of NaN between two."""
        values = self.arrays[key].astype(float)
        gap = np.full((1, values.shape[2]), np.nan)
        parts = [part for trial in trials for part in (gap, values[trial, : self.lengths[trial]])]
        return np.concatenate(parts[1:])

    def time(self, trials: Sequence[int]) -> Array:
        """Middle of every bin of `strip`, in seconds (or bins)."""
        return (np.arange(int(self.lengths[list(trials)].sum()) + len(trials) - 1) + 0.5) * self.step

    @property
    def lengths(self) -> Array:
        return self.arrays["lengths"].astype(int)

    @property
    def held_out(self) -> frozenset[int]:
        """Channels whose spikes the network never saw."""
        return frozenset(int(i) for i in self.arrays.get("held_out", ()))

    @property
    def step(self) -> float:
        """Seconds per bin, or 1 when the bin width is unknown (axes then count bins)."""
        return self.bin_s or 1.0

    @property
    def time_label(self) -> str:
        return "s" if self.bin_s else "bin"

    @property
    def rate_label(self) -> str:
        return "spikes/s" if self.bin_s else "spikes/bin"


def choose(p: Predictions, columns: int = 3, channels: int = 8) -> dict[str, Any]:
    """What is shown: `columns` strips of test trials in order, short trials side by side until a strip has enough bins;
    the channels whose rates move most in the first strip, half of them held-out ones where there are any.
    """
    strips: list[list[int]] = [[]]
    for trial in range(len(p.lengths)):
        if sum(p.lengths[i] for i in strips[-1]) >= STRIP_BINS:
            if len(strips) == columns:
                break
            strips.append([])
        strips[-1].append(trial)
    moves = np.nanstd(p.strip("rates_true" if "rates_true" in p.arrays else "rates_float", strips[0]), axis=0)
    order = [int(i) for i in np.argsort(-moves, kind="stable")]
    hidden = [i for i in order if i in p.held_out][: channels // 2]
    seen = [i for i in order if i not in p.held_out][: channels - len(hidden)]
    return {"strips": strips, "channels": seen + hidden, "held_out": hidden}


def words(trials: Sequence[int]) -> str:
    """`trial 3`, or `trials 3–7` of a strip."""
    return f"trial {trials[0]}" if len(trials) == 1 else f"trials {trials[0]}–{trials[-1]}"


def agreement(p: Predictions) -> dict[str, float | None]:
    """Correlation of all rates over real bins: integer with float, and with truth where it exists."""
    inside = np.arange(p.arrays["spikes"].shape[1]) < p.lengths[:, None]
    rates = {
        name: p.arrays[name][inside].ravel()
        for name in ("rates_integer", "rates_float", "rates_true")
        if name in p.arrays
    }

    def correlation(a: str, b: str) -> float | None:
        if not {a, b} <= set(rates) or not (rates[a].std() and rates[b].std()):
            return None
        return round(float(np.corrcoef(rates[a], rates[b])[0, 1]), 5)

    return {
        "integer_float_r": correlation("rates_integer", "rates_float"),
        "integer_true_r": correlation("rates_integer", "rates_true"),
    }
