"""co-bps, rate R², velocity R² and the ridge they lean on, against worked examples; padding never counts."""

from __future__ import annotations

import numpy as np
import pytest

from edgendt import metrics
from edgendt.data import Dataset, split
from edgendt.data.lorenz import lorenz
from edgendt.models import ridge

RNG = np.random.default_rng(0)


def test_co_bps_of_the_null_model_is_zero_and_of_the_truth_positive() -> None:
    rates = RNG.gamma(1.0, 1.0, (20, 30, 4))
    spikes = RNG.poisson(rates)
    mask = np.ones((20, 30), bool)
    null = np.broadcast_to(spikes.mean((0, 1)), spikes.shape)
    assert metrics.co_bps(null, spikes, mask) == pytest.approx(0)
    truth = metrics.co_bps(rates, spikes, mask)
    assert truth is not None and truth > 0.1


def test_co_bps_of_a_worked_example() -> None:
    # One channel, counts 0 and 2; null 1. NLL_null = 2, NLL = (0.5 + 1.5) - 2 ln 1.5; two spikes.
    spikes, rates = np.array([[[0], [2]]]), np.array([[[0.5], [1.5]]])
    expected = 2 * np.log(1.5) / (2 * np.log(2))
    assert metrics.co_bps(rates, spikes, np.ones((1, 2), bool)) == pytest.approx(expected)


def test_scores_ignore_padding_and_are_none_where_undefined() -> None:
    rates, spikes = RNG.gamma(1.0, 1.0, (4, 6, 3)), RNG.poisson(1.0, (4, 6, 3))
    truth = rates + RNG.normal(0, 0.1, rates.shape)
    mask = np.arange(6) < np.array([6, 2, 3, 5])[:, None]
    noisy = np.where(mask[..., None], rates, 1e6)
    assert metrics.co_bps(rates, spikes, mask) == metrics.co_bps(noisy, spikes, mask)
    assert metrics.rate_r2(rates, truth, mask) == metrics.rate_r2(noisy, truth, mask)
    assert metrics.rate_r2(rates, None, mask) is None and metrics.velocity_r2(None, None, mask) is None
    assert metrics.co_bps(rates, spikes * 0, mask) is None


def test_a_silent_channel_and_a_zero_rate_stay_finite() -> None:
    spikes = np.array([[[0, 1], [0, 1]]])
    score = metrics.co_bps(np.zeros((1, 2, 2)), spikes, np.ones((1, 2), bool))
    assert score is not None and np.isfinite(score) and score < 0


def test_history_reaches_back_within_a_trial_only() -> None:
    x = np.arange(1.0, 9.0).reshape(2, 4, 1)
    assert metrics.history(x, 3)[1].tolist() == [[5, 0, 0], [6, 5, 0], [7, 6, 5], [8, 7, 6]]


def test_velocity_is_decoded_from_rates_of_earlier_bins_without_padding() -> None:
    rates = RNG.normal(size=(40, 12, 5))
    weights = RNG.normal(size=(15, 2))
    vel = metrics.history(rates, 3) @ weights + RNG.normal(0, 0.01, (40, 12, 2))
    mask = np.arange(12) < RNG.integers(6, 13, 40)[:, None]
    dirty = np.where(mask[..., None], vel, 1e6)
    predicted = metrics.decode((rates[:30], dirty[:30], mask[:30]), rates[30:])
    score = metrics.velocity_r2(predicted, dirty[30:], mask[30:])
    assert score is not None and score > 0.999


def test_an_axis_that_never_changes_has_no_r2() -> None:
    vel = RNG.normal(size=(4, 9, 3))
    vel[..., 1] = 0.1  # whose variance is not quite zero in floats
    predicted, mask = vel + RNG.normal(size=vel.shape), np.ones((4, 9), bool)
    moving = [metrics.velocity_r2(predicted[..., [axis]], vel[..., [axis]], mask) for axis in (0, 2)]
    assert metrics.velocity_r2(predicted, vel, mask) == pytest.approx(sum(moving) / 2)
    assert metrics.velocity_r2(vel[..., [1]], vel[..., [1]], mask) is None
    assert metrics.rate_r2(vel[..., [1]], vel[..., [1]], mask) is None
    one = np.zeros((4, 9), bool)
    one[0, 0] = True
    assert metrics.velocity_r2(vel, vel, one) is None


def test_ridge_equals_its_closed_form() -> None:
    x, y = RNG.normal(size=(50, 4)), RNG.normal(size=(50, 2))
    gram, cross = x.T @ x, x.T @ y
    for alpha, weights in zip((0.1, 10.0), metrics.ridge_path(gram, cross, np.array([0.1, 10.0])), strict=True):
        assert np.allclose(weights, np.linalg.solve(gram + alpha * np.eye(4), cross))


def test_the_baseline_is_causal() -> None:
    data = lorenz(0, 5, 6)
    parts = split(data, 0)
    fitted = ridge.fit(data, parts)
    counts = data.spikes[:2][:, :, parts.held_in]
    later = counts.copy()
    later[:, 30:] += 5
    assert np.array_equal(fitted.predict(counts)[:, :30], fitted.predict(later)[:, :30])
    assert (fitted.predict(counts) > 0).all()


def test_the_baseline_never_predicts_a_channel_from_itself() -> None:
    data = lorenz(0, 5, 6)
    parts = split(data, 0)
    fitted = ridge.fit(data, parts)
    counts = data.spikes[:3][:, :, parts.held_in]
    changed = counts.copy()
    changed[:, :, 4] += 3
    own, other = parts.held_in[4], parts.held_in[5]
    assert np.array_equal(fitted.predict(counts)[..., own], fitted.predict(changed)[..., own])
    assert not np.array_equal(fitted.predict(counts)[..., other], fitted.predict(changed)[..., other])


def test_the_baseline_does_not_see_padding() -> None:
    data = lorenz(0, 5, 6)
    lengths = RNG.integers(10, 51, data.trials)
    short = Dataset("short", data.spikes, lengths, 0.02, data.rates)
    noisy = np.where(short.mask[..., None], data.spikes, 99)
    parts = split(short, 0)
    fitted = ridge.fit(short, parts)
    again = ridge.fit(Dataset("noisy", noisy, lengths, 0.02, data.rates), parts)
    assert np.allclose(fitted.weights, again.weights) and np.allclose(fitted.floor, again.floor)
