"""Spikes of a chaotic random network, as in the LFADS and NDT papers (Sussillo 2016; Ye & Pandarinath 2021)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgendt.data.dataset import Dataset

TAU_S = 0.025
MAX_HZ = 30.0


def chaotic_rnn(
    seed: int = 0,
    conditions: int = 130,
    trials: int = 10,
    bins: int = 100,
    channels: int = 50,
    gain: float = 1.5,
    bin_s: float = 0.01,
) -> Dataset:
    """τ dx/dt = −x + W tanh(x), W ~ N(0, g²/N); rate = 30 Hz · (1 + tanh x)/2; `trials` Poisson repeats per start."""
    rng = np.random.default_rng([seed, 3])
    weights = rng.normal(0.0, gain / np.sqrt(channels), (channels, channels))
    activity = _run(weights, rng.normal(0.0, 1.0, (conditions, channels)), bins, bin_s)
    rates = np.repeat(MAX_HZ * bin_s * (1.0 + activity) / 2.0, trials, axis=0)
    return Dataset(
        name="chaotic_rnn",
        spikes=rng.poisson(rates).astype(np.int64),
        lengths=np.full(conditions * trials, bins, np.int64),
        bin_s=bin_s,
        rates=rates,
    )


def _run(weights: NDArray[np.float64], state: NDArray[np.float64], bins: int, bin_s: float) -> NDArray[np.float64]:
    """[conditions, bins, channels] of tanh(x), Euler with one step per bin."""
    kept = []
    for _ in range(bins):
        state = state + bin_s / TAU_S * (np.tanh(state) @ weights.T - state)
        kept.append(np.tanh(state))
    return np.stack(kept, axis=1)
