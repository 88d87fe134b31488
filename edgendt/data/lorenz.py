"""Spikes driven by the Lorenz system, as in the LFADS and NDT papers (Pandarinath 2018; Ye & Pandarinath 2021)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgendt.data.dataset import Dataset

SIGMA, RHO, BETA = 10.0, 28.0, 8.0 / 3.0
STEP = 0.006  # Euler step of the papers, in the system's own time
STEPS_PER_BIN = 6
BURN_IN = 500  # steps thrown away, so that every trial starts on the attractor
BASE_HZ = 10.0


def lorenz(
    seed: int = 0, conditions: int = 65, trials: int = 20, bins: int = 50, channels: int = 30, bin_s: float = 0.02
) -> Dataset:
    """`conditions` initial states × `trials` Poisson repeats; rate = base · exp(weights · state)."""
    rng = np.random.default_rng([seed, 2])
    states = _trajectories(rng, conditions, bins)
    states = states - states.mean((0, 1))
    states = states / np.abs(states).max((0, 1))
    weights = rng.uniform(1.0, 2.0, (3, channels)) * rng.choice([-1.0, 1.0], (3, channels))
    rates = BASE_HZ * bin_s * np.exp(states @ weights)
    rates = np.repeat(rates, trials, axis=0)
    return Dataset(
        name="lorenz",
        spikes=rng.poisson(rates).astype(np.int64),
        lengths=np.full(conditions * trials, bins, np.int64),
        bin_s=bin_s,
        rates=rates,
    )


def _trajectories(rng: np.random.Generator, conditions: int, bins: int) -> NDArray[np.float64]:
    """[conditions, bins, 3] states, each from its own random start."""
    state = rng.normal(0.0, 1.0, (conditions, 3)) * 8.0 + [0.0, 0.0, 25.0]
    kept = []
    for step in range(BURN_IN + bins * STEPS_PER_BIN):
        x, y, z = state.T
        slope = np.stack([SIGMA * (y - x), x * (RHO - z) - y, x * y - BETA * z], axis=1)
        state = state + STEP * slope
        if step >= BURN_IN and (step - BURN_IN) % STEPS_PER_BIN == 0:
            kept.append(state)
    return np.stack(kept, axis=1)
