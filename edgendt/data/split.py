"""Split a data set by trial, and set channels aside for co-bps."""

from __future__ import annotations

import numpy as np

from edgendt.data.dataset import Dataset, Split
from edgendt.errors import BadInput


def split(data: Dataset, seed: int, val: float = 0.15, test: float = 0.2, held_out: float = 0.25) -> Split:
    """Random trials and channels by seed; val, test and held_out are shares. Raises BadInput when there are too few.

    As in the Neural Latents Benchmark, held-out channels are targets in training and never inputs.
    """
    _check_shares(val, test, held_out)
    rng = np.random.default_rng([seed, 1])
    trials = rng.permutation(data.trials)
    n_val, n_test = (max(1, round(share * data.trials)) for share in (val, test))
    if data.trials - n_val - n_test < 3:
        raise BadInput(f"{data.name}: {data.trials} trials are too few to split into train, validation and test")
    channels = rng.permutation(data.channels)
    n_out = min(max(1, round(held_out * data.channels)), data.channels - 1) if held_out > 0 else 0
    return Split(
        train=np.sort(trials[n_val + n_test :]),
        val=np.sort(trials[:n_val]),
        test=np.sort(trials[n_val : n_val + n_test]),
        held_in=np.sort(channels[n_out:]),
        held_out=np.sort(channels[:n_out]),
    )


def _check_shares(val: float, test: float, held_out: float) -> None:
    for name, share in (("val", val), ("test", test)):
        if not 0 < share < 0.5:
            raise BadInput(f"data.{name} must be a share between 0 and 0.5, got {share}")
    if not 0 <= held_out < 1:
        raise BadInput(f"data.held_out must be a share from 0 to below 1, got {held_out}")
