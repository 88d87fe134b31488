"""Figures of what the network saw and said: rates against truth, spike rasters, velocity."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from edgendt.report.figures import WIDTH
from edgendt.report.predictions import Array, Predictions, words
from edgendt.report.svg import BLUE, GRID, INK, MUTED, ORANGE, inline, style


def rates(p: Predictions, trials: Sequence[int], channels: Sequence[int]) -> str:
    """Small multiples, one channel each: integer, float and true rate along a strip of trials, spikes below."""
    columns = 4
    rows = -(-len(channels) // columns)
    with style() as figure_of:
        figure = figure_of(figsize=(WIDTH, 0.95 * rows + 0.25))
        axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for axis in axes.flat[len(channels) :]:
            axis.remove()
        for axis, channel in zip(axes.flat, channels, strict=False):
            _rate_panel(axis, p, trials, channel)
        for axis in axes[-1]:
            axis.set_xlabel(p.time_label, labelpad=1)
        _spikes_below(axes.flat, p, trials, channels)
        axes[0][0].set_ylabel(p.rate_label)
        figure.subplots_adjust(wspace=0.08, hspace=0.32)
        return inline(figure, "rates", "Inferred and true rates of single channels in test trials")


def _rate_panel(axis: Any, p: Predictions, trials: Sequence[int], channel: int) -> None:
    time = p.time(trials)
    lines = {
        "rates_true": {"color": MUTED, "lw": 2.8, "alpha": 0.45},
        "rates_integer": {"color": BLUE, "lw": 1.5},
        "rates_float": {"color": ORANGE, "lw": 1.0, "ls": (0, (2.5, 2.5))},  # dashes over the line they should hide
    }
    for key, look in lines.items():
        if key in p.arrays:
            axis.plot(time, p.strip(key, trials)[:, channel] / p.step, **look)
    held_out = ", held out" if channel in p.held_out else ""
    axis.set_title(f"channel {channel}{held_out}", color=MUTED, fontsize=7.5, pad=2)
    axis.locator_params(axis="y", nbins=3)
    _time_axis(axis, len(time), p.step)


def _spikes_below(axes: Iterable[Any], p: Predictions, trials: Sequence[int], channels: Sequence[int]) -> None:
    """Ticks under the common zero line where a channel spiked; the axes share their range."""
    axes = list(axes)[: len(channels)]
    top = axes[0].get_ylim()[1]
    axes[0].set_ylim(-0.13 * top, top)
    time, spikes = p.time(trials), np.nan_to_num(p.strip("spikes", trials))
    for axis, channel in zip(axes, channels, strict=True):
        fired = np.flatnonzero(spikes[:, channel])
        axis.plot(time[fired], np.full(len(fired), -0.07 * top), "|", ms=4, mew=0.7, color=INK)


def _time_axis(axis: Any, bins: int, step: float) -> None:
    """From zero to the trial's end; the last label stays clear of the next panel's zero."""
    from matplotlib.ticker import MaxNLocator

    end = bins * step
    ticks = [tick for tick in MaxNLocator(4).tick_values(0, end) if 0 <= tick <= 0.93 * end]
    axis.set(xlim=(0, end), xticks=ticks)
    axis.xaxis.set_major_formatter(lambda x, _: f"{x:g}")


def rasters(p: Predictions, strips: Sequence[Sequence[int]]) -> str:
    """Spikes above, the integer network's rates below, a column per strip; channels by the rates' first axis."""
    order = _order(p)
    with style() as figure_of:
        figure = figure_of(figsize=(WIDTH, 3.5 if len(order) <= 64 else 5.0))
        axes = figure.subplots(2, len(strips), squeeze=False, sharex="col", sharey=True)
        peak = max(float(np.nanpercentile(p.strip("rates_integer", trials), 99)) for trials in strips) or 1.0
        for column, trials in enumerate(strips):
            _raster(axes[0][column], np.nan_to_num(p.strip("spikes", trials))[:, order], p.step)
            _heat(axes[1][column], np.nan_to_num(p.strip("rates_integer", trials))[:, order], p.step, peak)
            axes[0][column].set_title(words(trials), color=MUTED, fontsize=7.5, pad=3)
            axes[1][column].set_xlabel(p.time_label, labelpad=1)
        axes[0][0].set_ylabel("spikes\nchannels")
        axes[1][0].set_ylabel(f"rates, 0–{peak / p.step:.0f} {p.rate_label}\nchannels")
        figure.subplots_adjust(wspace=0.06, hspace=0.09)
        return inline(figure, "rasters", "Spike rasters of test trials and the rates the integer network infers")


def _order(p: Predictions) -> Array:
    """Channels along the first principal axis of the integer rates, so that what moves together stands together."""
    inside = np.arange(p.arrays["spikes"].shape[1]) < p.lengths[:, None]
    values = p.arrays["rates_integer"][inside].astype(float)
    scaled = (values - values.mean(0)) / (values.std(0) + 1e-9)
    axis = np.linalg.svd(scaled.T @ scaled)[0][:, 0]
    return np.argsort(axis * np.sign(axis[np.abs(axis).argmax()]), kind="stable")


def _raster(axis: Any, counts: Array, step: float) -> None:
    """One tick per channel and bin with spikes, as a single path; ticks of more spikes are stacked side by side."""
    bins, channels = np.nonzero(counts)
    number = np.minimum(counts[bins, channels], 4).astype(int)
    bins, channels = np.repeat(bins, number), np.repeat(channels, number)
    place = np.concatenate([(np.arange(n) + 0.5) / n for n in number]) if len(number) else np.empty(0)
    x = (bins + place) * step
    y = channels.astype(float)
    xs = np.stack([x, x, np.full_like(x, np.nan)], axis=1).ravel()
    ys = np.stack([y + 0.1, y + 0.9, np.full_like(y, np.nan)], axis=1).ravel()
    axis.plot(xs, ys, color=INK, lw=0.6, solid_capstyle="butt")
    _frame(axis, counts, step)


def _heat(axis: Any, values: Array, step: float, peak: float) -> None:
    """Rates as one colour whose opacity grows with the rate, so that the same image suits light and dark pages."""
    opacity = np.clip(values.T / peak, 0, 1)
    image = np.zeros((*opacity.shape, 4))
    image[..., :3] = (0.10, 0.48, 0.72)
    image[..., 3] = opacity
    bins, channels = values.shape
    axis.imshow(image, aspect="auto", origin="lower", extent=(0, bins * step, 0, channels), interpolation="nearest")
    _frame(axis, values, step)


def _frame(axis: Any, values: Array, step: float) -> None:
    _time_axis(axis, len(values), step)
    axis.set(ylim=(0, values.shape[1]), yticks=[0, values.shape[1]])
    for spine in axis.spines.values():
        spine.set(visible=True, color=GRID)


def velocity(p: Predictions, strips: Sequence[Sequence[int]]) -> str:
    """A row per axis, a column per strip: velocity measured and decoded from the integer network's rates."""
    with style() as figure_of:
        size = p.arrays["vel"].shape[2]
        figure = figure_of(figsize=(WIDTH, 0.85 * size + 0.2))
        axes = figure.subplots(size, len(strips), squeeze=False, sharex="col", sharey="row")
        for column, trials in enumerate(strips):
            time = p.time(trials)
            for row in range(size):
                axis = axes[row][column]
                axis.plot(time, p.strip("vel", trials)[:, row], color=MUTED, lw=2.6, alpha=0.45)
                axis.plot(time, p.strip("vel_integer", trials)[:, row], color=BLUE)
                axis.locator_params(axis="y", nbins=4)
                _time_axis(axis, len(time), p.step)
            axes[0][column].set_title(words(trials), color=MUTED, fontsize=7.5, pad=3)
            axes[-1][column].set_xlabel(p.time_label, labelpad=1)
        for row in range(size):
            axes[row][0].set_ylabel("velocity " + ("xyz"[row] if size <= 3 else str(row)))
        figure.subplots_adjust(wspace=0.08, hspace=0.2)
        return inline(figure, "velocity", "Velocity, measured and decoded from the integer network's rates")
