"""What every source of data yields: padded trials of spike counts, with truth beside them where it is known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Dataset:
    """Trials of spike counts, padded with zeros to the longest trial.

    spikes [trials, bins, channels] int64; lengths [trials] real bins of each trial; bin_s seconds per bin;
    rates [trials, bins, channels] true expected counts per bin, or None; vel [trials, bins, axes] or None;
    source: the file and session they were read from.
    """

    name: str
    spikes: NDArray[np.int64]
    lengths: NDArray[np.int64]
    bin_s: float
    rates: NDArray[np.float64] | None = None
    vel: NDArray[np.float64] | None = None
    source: str = ""

    @property
    def trials(self) -> int:
        return int(self.spikes.shape[0])

    @property
    def bins(self) -> int:
        """Bins of the longest trial."""
        return int(self.spikes.shape[1])

    @property
    def channels(self) -> int:
        return int(self.spikes.shape[2])

    @property
    def mask(self) -> NDArray[np.bool_]:
        """[trials, bins]: True where a bin was recorded, False on padding."""
        return np.arange(self.bins) < self.lengths[:, None]

    def select(self, trials: NDArray[np.int64]) -> Dataset:
        """The same recording, these trials only (padding is kept, so shapes stay comparable)."""
        return replace(
            self,
            spikes=self.spikes[trials],
            lengths=self.lengths[trials],
            rates=None if self.rates is None else self.rates[trials],
            vel=None if self.vel is None else self.vel[trials],
        )


@dataclass(frozen=True)
class Split:
    """Which trials train, choose and score, and which channels the network may see.

    train, val, test: trial numbers. held_in: the network's inputs. held_out: channels it must predict and never sees.
    """

    train: NDArray[np.int64]
    val: NDArray[np.int64]
    test: NDArray[np.int64]
    held_in: NDArray[np.int64]
    held_out: NDArray[np.int64]
