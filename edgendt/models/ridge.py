"""The baseline every network must beat: causal smoothing and ridge regression from counts to rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgendt.data import Dataset, Split
from edgendt.metrics import Array, poisson_nll, ridge_path

TAUS = (1.0, 2.0, 4.0, 8.0)  # bins; time constants of the causal exponential filters, beside the raw count
FLOORS = (0.01, 0.03, 0.1, 0.2, 0.3, 0.5)  # share of a channel's mean rate below which a linear guess is not believed
ALPHAS = np.logspace(0, 6, 13)
LEAST = 1e-4  # expected counts per bin of a channel that was silent in training


@dataclass(frozen=True)
class Ridge:
    """A fitted baseline: rates = max(features · weights + mean, floor). weights [features, channels]."""

    centre: Array
    scale: Array
    weights: Array
    mean: Array
    floor: Array

    def predict(self, counts: NDArray[np.int64]) -> Array:
        """counts [trials, bins, inputs] -> rates [trials, bins, channels], expected counts per bin."""
        features = (smooth(counts) - self.centre) / self.scale
        rates: Array = np.maximum(features @ self.weights + self.mean, self.floor)
        return rates


def smooth(counts: NDArray[np.int64]) -> Array:
    """[trials, bins, n] -> [trials, bins, (1 + filters) · n]: the counts and their causal exponential averages."""
    x = counts.astype(np.float64)
    features = [x]
    for tau in TAUS:
        keep = np.exp(-1.0 / tau)
        state, kept = np.zeros_like(x[:, 0]), np.zeros_like(x)
        for i in range(x.shape[1]):
            kept[:, i] = state = keep * state + (1.0 - keep) * x[:, i]
        features.append(kept)
    return np.concatenate(features, axis=2)


def fit(data: Dataset, split: Split) -> Ridge:
    """Ridge per channel; α by squared error and floor by likelihood on validation, then fitted on those trials too.

    A channel is never predicted from its own counts: held-in channels are, as the network's masked bins, predicted
    from the other ones (only where true rates make them worth scoring, else they keep their mean).
    """
    val = data.select(split.val)
    seen, spikes = val.spikes[:, :, split.held_in], val.spikes[val.mask]
    first = _Sums.of(data, split, split.train)
    both = _Sums.of(data, split, np.concatenate([split.train, split.val]))
    trial, weights = (np.zeros((len(first.centre), data.channels)) for _ in range(2))
    x, y = first.features(seen)[val.mask], spikes - first.mean
    for targets, columns in _groups(data, split):
        best, trial[np.ix_(columns, targets)] = _best(first.solve(targets, columns), x[:, columns], y[:, targets])
        weights[np.ix_(columns, targets)] = _pick(both.solve(targets, columns), best)
    share = min(FLOORS, key=lambda f: poisson_nll(first.ridge(trial, f).predict(seen)[val.mask], spikes))
    return both.ridge(weights, share)


@dataclass(frozen=True)
class _Sums:
    """What some trials say: scale of the features, means of the channels, and the sums that ridge needs."""

    centre: Array
    scale: Array
    mean: Array
    gram: Array
    cross: Array

    @classmethod
    def of(cls, data: Dataset, split: Split, trials: NDArray[np.int64]) -> _Sums:
        part = data.select(trials)
        features, spikes = smooth(part.spikes[:, :, split.held_in])[part.mask], part.spikes[part.mask]
        centre, scale, mean = features.mean(0), features.std(0) + 1e-6, spikes.mean(0)
        x = (features - centre) / scale
        return cls(centre, scale, mean, x.T @ x, x.T @ (spikes - mean))

    def features(self, counts: NDArray[np.int64]) -> Array:
        scaled: Array = (smooth(counts) - self.centre) / self.scale
        return scaled

    def solve(self, targets: list[int], columns: list[int]) -> list[Array]:
        """Weights for every α."""
        return ridge_path(self.gram[np.ix_(columns, columns)], self.cross[np.ix_(columns, targets)], ALPHAS)

    def ridge(self, weights: Array, floor: float) -> Ridge:
        """floor: as a share of a channel's mean."""
        return Ridge(self.centre, self.scale, weights, self.mean, np.maximum(floor * self.mean, LEAST))


def _groups(data: Dataset, split: Split) -> list[tuple[list[int], list[int]]]:
    """(channels to predict, feature columns they may use)."""
    n = len(split.held_in)
    everything = list(range(n * (1 + len(TAUS))))
    groups = [(split.held_out.tolist(), everything)] if len(split.held_out) else []
    if data.rates is not None and n > 1:
        for own, channel in enumerate(split.held_in.tolist()):
            groups.append(([channel], [column for column in everything if column % n != own]))
    return groups


def _best(solved: Sequence[Array], x: Array, y: Array) -> tuple[NDArray[np.int64], Array]:
    """For each target the α of the least squared error on validation bins, and its weights."""
    errors = np.stack([((x @ weights - y) ** 2).sum(0) for weights in solved])
    best = errors.argmin(0)
    return best, _pick(solved, best)


def _pick(solved: Sequence[Array], best: NDArray[np.int64]) -> Array:
    """best [targets]: which α each target takes -> weights [features, targets]."""
    return np.stack([solved[alpha][:, target] for target, alpha in enumerate(best)], axis=1)
