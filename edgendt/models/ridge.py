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
    """Ridge per channel, α by squared error and floor by likelihood on the validation trials.

    A channel is never predicted from its own counts: held-in channels are, as the network's masked bins, predicted
    from the other ones (only where true rates make them worth scoring, else they keep their mean).
    """
    train, val = data.select(split.train), data.select(split.val)
    features = smooth(train.spikes[:, :, split.held_in])[train.mask]
    centre, scale = features.mean(0), features.std(0) + 1e-6
    x = (features - centre) / scale
    x_val = (smooth(val.spikes[:, :, split.held_in])[val.mask] - centre) / scale
    mean = train.spikes[train.mask].mean(0)
    y, y_val = train.spikes[train.mask] - mean, val.spikes[val.mask] - mean
    gram, cross = x.T @ x, x.T @ y
    weights = np.zeros((x.shape[1], data.channels))
    for targets, columns in _groups(data, split):
        solved = ridge_path(gram[np.ix_(columns, columns)], cross[np.ix_(columns, targets)], ALPHAS)
        weights[np.ix_(columns, targets)] = _best(solved, x_val[:, columns], y_val[:, targets])
    fitted = [Ridge(centre, scale, weights, mean, np.maximum(share * mean, LEAST)) for share in FLOORS]
    return min(
        fitted, key=lambda r: poisson_nll(r.predict(val.spikes[:, :, split.held_in])[val.mask], val.spikes[val.mask])
    )


def _groups(data: Dataset, split: Split) -> list[tuple[list[int], list[int]]]:
    """(channels to predict, feature columns they may use)."""
    n = len(split.held_in)
    everything = list(range(n * (1 + len(TAUS))))
    groups = [(split.held_out.tolist(), everything)] if len(split.held_out) else []
    if data.rates is not None and n > 1:
        for own, channel in enumerate(split.held_in.tolist()):
            groups.append(([channel], [column for column in everything if column % n != own]))
    return groups


def _best(solved: Sequence[Array], x: Array, y: Array) -> Array:
    """For each target the weights with the least squared error on validation bins."""
    errors = np.stack([((x @ weights - y) ** 2).sum(0) for weights in solved])
    best = errors.argmin(0)
    return np.stack([solved[alpha][:, target] for target, alpha in enumerate(best)], axis=1)
