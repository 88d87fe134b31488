"""Split a data set by trial, and set channels aside for co-bps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgendt.data.dataset import Dataset, Split
from edgendt.errors import BadInput

LEAST_TRAIN = 3  # trials


def split(data: Dataset, seed: int, val: float = 0.15, test: float = 0.2, held_out: float = 0.25) -> Split:
    """Random trials and channels by seed; val, test and held_out are shares. Raises BadInput when there are too few.

    As in the Neural Latents Benchmark, held-out channels are targets in training and never inputs.
    """
    _check_shares(val, test, held_out)
    rng = np.random.default_rng([seed, 1])
    trials = rng.permutation(data.trials)
    n_val, n_test = _sizes(data.trials, val, test)
    if data.trials - n_val - n_test < LEAST_TRAIN:
        raise BadInput(f"{data.source or data.name}: {_too_few(data.trials, val, test)}")
    train = np.sort(trials[n_val + n_test :])
    out = _held_out(data.spikes[train], rng, held_out)
    return Split(
        train=train,
        val=np.sort(trials[:n_val]),
        test=np.sort(trials[n_val : n_val + n_test]),
        held_in=np.setdiff1d(np.arange(data.channels), out),
        held_out=out,
    )


def _sizes(trials: int, val: float, test: float) -> tuple[int, int]:
    return max(1, round(val * trials)), max(1, round(test * trials))


def _too_few(trials: int, val: float, test: float) -> str:
    """What is wrong with so few trials, and how many it takes."""
    enough = (n for n in range(trials + 1, 10_000) if n - sum(_sizes(n, val, test)) >= LEAST_TRAIN)
    advice = f"at least {least} are needed" if (least := next(enough, None)) else "lower data.val and data.test"
    return f"{trials} trials are too few to split into train, validation and test; {advice}"


def _held_out(spikes: NDArray[np.int64], rng: np.random.Generator, share: float) -> NDArray[np.int64]:
    """One channel of each group of similar activity, so that no split scores silent channels alone."""
    channels = spikes.shape[2]
    if share == 0:
        return np.empty(0, np.int64)
    count = min(max(1, round(share * channels)), channels - 1)
    by_activity = np.argsort(-spikes.sum((0, 1)), kind="stable")
    return np.sort([rng.choice(group) for group in np.array_split(by_activity, count)])


def _check_shares(val: float, test: float, held_out: float) -> None:
    for name, share in (("val", val), ("test", test)):
        if not 0 < share < 0.5:
            raise BadInput(f"data.{name} must be a share between 0 and 0.5, got {share}")
    if not 0 <= held_out < 1:
        raise BadInput(f"data.held_out must be a share from 0 to below 1, got {held_out}")
