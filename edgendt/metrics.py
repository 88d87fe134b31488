"""How good predicted rates are: co-bps, rate R², velocity R² (Neural Latents Benchmark; Pei et al. 2021)."""

from __future__ import annotations

from math import log

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
HISTORY = 3  # bins of rates the velocity decoder sees: this one and two before
ALPHAS = np.logspace(-2, 5, 15)
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
    from sklearn.metrics import r2_score

    return None if truth is None else float(r2_score(truth[mask], rates[mask]))


def history(rates: Array, bins: int = HISTORY) -> Array:
    """[trials, T, channels] -> [trials, T, channels · bins]: this bin and those before it, zero before the trial."""
    shifted = [np.pad(rates, ((0, 0), (lag, 0), (0, 0)))[:, : rates.shape[1]] for lag in range(bins)]
    return np.concatenate(shifted, axis=2)


def velocity_r2(
    fit: tuple[Array, Array, NDArray[np.bool_]] | None, test: tuple[Array, Array, NDArray[np.bool_]] | None
) -> float | None:
    """Ridge from `HISTORY` bins of rates to velocity, α by 5 folds of the fitting trials, R² on test, mean over axes.

    Each argument: (rates [trials, bins, channels], vel [trials, bins, axes], mask [trials, bins]); None without vel.
    """
    if fit is None or test is None:
        return None
    from sklearn.metrics import r2_score

    model = fit_ridge(history(fit[0]), fit[1], fit[2])
    predicted = model.predict(history(test[0])[test[2]])
    return float(r2_score(test[1][test[2]], predicted))


def fit_ridge(features: Array, targets: Array, mask: NDArray[np.bool_]):  # type: ignore[no-untyped-def]
    """Standardised ridge with α chosen by 5 folds over whole trials; arrays are [trials, bins, n]."""
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV, GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    groups = np.broadcast_to(np.arange(mask.shape[0])[:, None], mask.shape)[mask]
    folds = GroupKFold(min(5, len(np.unique(groups))))
    search = GridSearchCV(make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": ALPHAS}, cv=folds)
    return search.fit(features[mask], targets[mask], groups=groups)
