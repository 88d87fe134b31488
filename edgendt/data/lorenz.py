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
    states = _scaled(_trajectories(rng, conditions, bins))
    rates = np.repeat(_rates(rng, states, channels, bin_s), trials, axis=0)
    return _dataset("lorenz", rng.poisson(rates).astype(np.int64), rates, None, bin_s)


def lorenz_sessions(
    seed: int = 0, sessions: int = 3, trials: int = 100, bins: int = 50, channels: int = 30, bin_s: float = 0.02
) -> tuple[Dataset, ...]:
    """One system heard by other units in every session; velocity is its first two coordinates.

    Every trial has its own start: repeats would carry a test trial's velocity into training.
    """
    rng = np.random.default_rng([seed, 5])
    states = np.split(_scaled(_trajectories(rng, sessions * trials, bins)), sessions)
    found = []
    for i, part in enumerate(states):
        rates = _rates(rng, part, channels, bin_s)
        found.append(_dataset(f"lorenz/{i}", rng.poisson(rates).astype(np.int64), rates, part[:, :, :2], bin_s))
    return tuple(found)


def _dataset(
    name: str,
    spikes: NDArray[np.int64],
    rates: NDArray[np.float64],
    vel: NDArray[np.float64] | None,
    bin_s: float,
) -> Dataset:
    return Dataset(name, spikes, np.full(len(spikes), spikes.shape[1], np.int64), bin_s, rates, vel)


def _scaled(states: NDArray[np.float64]) -> NDArray[np.float64]:
    """[trials, bins, 3] around zero, within -1..1."""
    states = states - states.mean((0, 1))
    scaled: NDArray[np.float64] = states / np.abs(states).max((0, 1))
    return scaled


def _rates(rng: np.random.Generator, states: NDArray[np.float64], channels: int, bin_s: float) -> NDArray[np.float64]:
    """[trials, bins, channels] expected counts per bin, of channels with random weights."""
    weights = rng.uniform(1.0, 2.0, (3, channels)) * rng.choice([-1.0, 1.0], (3, channels))
    rates: NDArray[np.float64] = BASE_HZ * bin_s * np.exp(states @ weights)
    return rates


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
