"""How good predicted rates are: co-bps, rate R², velocity R² (Neural Latents Benchmark; Pei et al. 2021); quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]  # of reals; counts of spikes are taken as they are
HISTORY = 5  # bins of rates the velocity decoder sees: this one and four before
ALPHAS = np.logspace(-1, 5, 13)
TINY = 1e-9  # keeps the scale of a silent feature above zero
FLOOR = 1e-9  # expected counts per bin below which a logarithm would run away


def poisson_nll(rates: Array, spikes: NDArray[np.int64]) -> float:
    """Σ over all entries of −log Poisson(spikes | rates), without the log-factorial that every model shares."""
    rates = np.maximum(rates, FLOOR)
    return float((rates - spikes * np.log(rates)).sum())


def co_bps(rates: Array, spikes: NDArray[np.int64], mask: NDArray[np.bool_]) -> float | None:
    """(NLL_null − NLL_model) / (spikes · ln 2) over real bins; null = each channel's mean over the evaluated bins.

    rates, spikes [trials, bins, channels] of the channels held out; mask [trials, bins]. None without spikes.
    """
    rates, spikes = rates[mask], spikes[mask]
    total = int(spikes.sum())
    if total == 0:
        return None
    null = np.broadcast_to(spikes.mean(0), spikes.shape)
    return (poisson_nll(null, spikes) - poisson_nll(rates, spikes)) / (total * log(2.0))


def rate_r2(rates: Array, truth: Array | None, mask: NDArray[np.bool_]) -> float | None:
    """R² of predicted against true rates, each [trials, bins, channels], mean over channels; None without truth."""
    return None if truth is None else r2(truth[mask], rates[mask])


def r2(truth: Array, predicted: Array) -> float | None:
    """Mean over columns of R², [n, columns]; a column that never changes has none. None when no column has one."""
    from sklearn.metrics import r2_score

    varied = (truth != truth[:1]).any(axis=0)
    return float(r2_score(truth[:, varied], predicted[:, varied])) if varied.any() else None


def history(rates: Array, bins: int = HISTORY) -> Array:
    """[trials, T, channels] -> [trials, T, channels · bins]: this bin and those before it, zero before the trial."""
    shifted = [np.pad(rates, ((0, 0), (lag, 0), (0, 0)))[:, : rates.shape[1]] for lag in range(bins)]
    return np.concatenate(shifted, axis=2)


def decode(fit: tuple[Array, Array, NDArray[np.bool_]], rates: Array) -> Array:
    """Velocity [trials, bins, axes] by ridge from `HISTORY` bins of rates, α by 5 folds of the fitting trials.

    fit: (rates [trials, bins, channels], vel [trials, bins, axes], mask [trials, bins]).
    """
    known, vel, mask = fit
    groups = np.broadcast_to(np.arange(len(mask))[:, None], mask.shape)[mask]
    return Decoder.fit(history(known)[mask], vel[mask], groups).predict(history(rates))


def velocity_r2(predicted: Array | None, vel: Array | None, mask: NDArray[np.bool_]) -> float | None:
    """R² of decoded against recorded velocity, each [trials, bins, axes], mean over axes; None without them."""
    return None if predicted is None or vel is None else r2(vel[mask], predicted[mask])


@dataclass(frozen=True)
class Decoder:
    """A fitted ridge regression: y = (x - centre) / scale · weights + mean."""

    centre: Array
    scale: Array
    weights: Array
    mean: Array

    @classmethod
    def fit(cls, x: Array, y: Array, groups: NDArray[np.int64]) -> Decoder:
        """x [n, features], y [n, targets]; α by 5 folds over whole groups (trials), then fitted on all of them."""
        folds = groups % min(5, len(np.unique(groups)))
        errors = np.zeros(len(ALPHAS))
        for fold in np.unique(folds):
            inside, outside = folds == fold, folds != fold
            for i, decoder in enumerate(cls.path(x[outside], y[outside])):
                errors[i] += ((decoder.predict(x[inside]) - y[inside]) ** 2).sum()
        return cls.path(x, y)[int(errors.argmin())]

    @classmethod
    def path(cls, x: Array, y: Array) -> list[Decoder]:
        """One decoder for every α."""
        centre, scale, mean = x.mean(0), x.std(0) + TINY, y.mean(0)
        z = (x - centre) / scale
        return [cls(centre, scale, w, mean) for w in ridge_path(z.T @ z, z.T @ (y - mean), ALPHAS)]

    def predict(self, x: Array) -> Array:
        """x [..., features] -> [..., targets]."""
        predicted: Array = (x - self.centre) / self.scale @ self.weights + self.mean
        return predicted


def ridge_path(gram: Array, cross: Array, alphas: Array) -> list[Array]:
    """(gram + α)⁻¹ cross for every α, from one eigendecomposition; gram [n, n], cross [n, targets]."""
    values, vectors = np.linalg.eigh(gram)
    rotated = vectors.T @ cross
    return [vectors @ (rotated / (np.maximum(values, 0.0) + alpha)[:, None]) for alpha in alphas]


def summary(values: Sequence[float]) -> dict[str, float]:
    """p50, p99 and max; a quantile is always one of the values, never between two."""
    p50, p99 = np.percentile(values, [50, 99], method="higher")
    return {"p50": p50.item(), "p99": p99.item(), "max": np.max(values).item()}
