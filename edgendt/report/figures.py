"""Figures of accuracy, latency and resources. Each takes the report's JSON and returns inline SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgendt.report.svg import BLUE, GREEN, GRID, INK, MUTED, ORANGE, inline, style

WIDTH = 7.2  # inches; the page's text width at 96 pixels per inch
METRICS = {"co_bps": "co-bps (bits per spike)", "rate_r2": "rate R²", "velocity_r2": "velocity R²"}
METRICS |= {"whole_window_r2": "velocity R², whole windows"}
MARGIN = 1.2  # of a waterfall: its last bars' numbers and the groups' names lie side by side
COLUMNS = 3  # of metrics: no network has more
NETWORKS = {"integer": BLUE, "control": MUTED, "float": ORANGE, "baseline": MUTED, "gru": MUTED}


def accuracy(metrics: Mapping[str, Mapping[str, float | None]]) -> str | None:
    """One panel per metric that exists, one dot per network; None when no metric exists."""
    shown = [m for m in METRICS if any(metrics[n].get(m) is not None for n in NETWORKS if n in metrics)]
    if not shown:
        return None
    with style() as figure_of:
        figure = figure_of(figsize=(WIDTH, 1.25))
        axes = figure.subplots(1, COLUMNS, squeeze=False)[0]
        for axis in axes[len(shown) :]:
            axis.remove()
        names = [name for name in NETWORKS if name in metrics]
        for axis, metric in zip(axes, shown, strict=False):
            _dots(axis, metric, [(name, metrics[name].get(metric)) for name in names], label=axis is axes[0])
        figure.subplots_adjust(wspace=0.35)
        return inline(figure, "accuracy", "Accuracy of the integer network, its float control and the baseline")


def _dots(axis: Any, metric: str, values: Sequence[tuple[str, float | None]], label: bool) -> None:
    for row, (name, value) in enumerate(values):
        if value is None:
            continue
        axis.plot([0, value], [row, row], color=GRID, lw=0.8, zorder=1)
        hollow = name in ("baseline", "gru")
        face = "none" if hollow else NETWORKS[name]  # not clipped: a score just below 0 lies on the edge
        axis.plot(value, row, "o", ms=5, mfc=face, mec=NETWORKS[name], mew=1.1, clip_on=False)
        said = f"{value:.3f}".replace("-", "\N{MINUS SIGN}")
        axis.annotate(said, (value, row), (6, 0), textcoords="offset points", va="center", fontsize=7.5)
    known = [value for _, value in values if value is not None]
    axis.set(title=METRICS[metric], ylim=(len(values) - 0.4, -0.6))
    axis.set_xlim(min(0.0, *known) * 1.1, max(known) * 1.22 if max(known) > 0 else 0.1)
    axis.set_yticks(range(len(values)), [name for name, _ in values] if label else [""] * len(values))
    axis.tick_params(axis="y", length=0, labelcolor=INK)
    axis.spines["left"].set_visible(False)
    axis.locator_params(axis="x", nbins=4)


def waterfall(by_op: Mapping[str, int], microseconds_per_cycle: float, board: str) -> str:
    """Ops in order of execution, each bar starting where the one before ended; labels in cycles."""
    names, cycles = list(by_op), np.array(list(by_op.values()), dtype=float)
    starts = np.concatenate([[0], np.cumsum(cycles)[:-1]])
    total = cycles.sum()
    with style() as figure_of:
        figure = figure_of(figsize=(WIDTH * 0.62, 0.35 + 0.135 * len(names)))
        axis = figure.subplots()
        colours = [_kind_colour(name) for name in names]
        axis.barh(range(len(names)), cycles, left=starts, color=colours, height=0.72, lw=0)
        for row, (start, length) in enumerate(zip(starts, cycles, strict=True)):
            axis.annotate(
                f"{length:.0f}", (start + length, row), (3, 0), textcoords="offset points", va="center", fontsize=7
            )
        axis.set_yticks(range(len(names)), [_short(name) for name in names])
        axis.tick_params(axis="y", length=0, labelcolor=INK, labelsize=7.5)
        axis.set(ylim=(len(names) - 0.4, -0.6), xlim=(0, total * MARGIN), xlabel="cycles")
        _group(axis, names, total)
        axis.spines["left"].set_visible(False)
        top = axis.secondary_xaxis(
            "top", functions=(_scaled(microseconds_per_cycle), _scaled(1 / microseconds_per_cycle))
        )
        top.set_xlabel("µs")
        top.spines["top"].set_visible(False)
        return inline(figure, f"waterfall-{board}", f"Cycles of one bin by op on {board}")


def _scaled(factor: float) -> Any:
    return lambda x: x * factor


def _short(name: str) -> str:
    return name.split(".", 1)[1] if name.startswith("layer") and "." in name else name


def _kind_colour(name: str) -> str:
    last = name.rsplit(".", 1)[-1]
    if last.startswith("ln"):
        return GREEN
    return ORANGE if "attention" in last or last in ("scores", "values") else BLUE


def _group(axis: Any, names: Sequence[str], total: float) -> None:
    """A hairline before each layer's first op, and the layer's name beside it."""
    seen = ""
    for row, name in enumerate(names):
        group = name.split(".", 1)[0] if "." in name else ""
        if group != seen:
            axis.axhline(row - 0.5, color=GRID, lw=0.6, zorder=0)
            if group:
                axis.annotate(group, (total * MARGIN, row), ha="right", va="center", fontsize=7, color=MUTED)
        seen = group


def over_bins(cycles: Sequence[int], board: str) -> str:
    """Cycles by index of the bin in its trial; the window fills, then nothing changes."""
    with style() as figure_of:
        figure = figure_of(figsize=(WIDTH * 0.34, 1.35))
        axis = figure.subplots()
        bins = np.arange(len(cycles))
        axis.step(bins, cycles, where="mid", color=BLUE)
        low, high = min(cycles), max(cycles)
        axis.set(xlabel="bin of the trial", title="cycles by bin", ylim=(0, high * 1.18))
        axis.annotate(f"{cycles[0]:,}", (0, cycles[0]), (0, 4), textcoords="offset points", fontsize=7.5)
        if high != cycles[0] or low != high:
            axis.annotate(
                f"{cycles[-1]:,}", (bins[-1], cycles[-1]), (0, 4), textcoords="offset points", ha="right", fontsize=7.5
            )
        axis.locator_params(nbins=4)
        return inline(figure, f"bins-{board}", f"Cycles by bin of the trial on {board}")


def budget(rows: Sequence[tuple[str, float, float, str]], bin_us: float | None, board: str) -> str:
    """Time of one bin on a logarithmic axis. rows: (label, p50 µs, max or p99 µs, stage)."""
    with style() as figure_of:
        figure = figure_of(figsize=(WIDTH, 0.45 + 0.32 * len(rows)))
        axis = figure.subplots()
        for row, (_, middle, high, stage) in enumerate(rows):
            colour = BLUE if row == 0 else MUTED
            axis.plot([middle, high], [row, row], color=colour, lw=1.2)
            axis.plot(middle, row, "o", ms=5, color=colour)
            axis.plot(high, row, "|", ms=6, mew=1.2, color=colour)
            axis.annotate(f"{_us(middle)}  {stage}", (middle, row), (-3, 5), textcoords="offset points", fontsize=7.5)
        axis.set_xscale("log")
        ends = [value for row in rows for value in row[1:3]] + ([bin_us] if bin_us else [])
        axis.set_xlim(10 ** np.floor(np.log10(min(ends) / 2)), 10 ** np.ceil(np.log10(max(ends) * 2)))
        if bin_us:
            axis.axvline(bin_us, color=INK, lw=0.8)
            place = {"textcoords": "offset points", "ha": "right", "va": "top", "fontsize": 7.5}
            axis.annotate(f"bin {_us(bin_us)}", (bin_us, -0.85), (-4, 0), **place)
        axis.set_yticks(range(len(rows)), [row[0] for row in rows])
        axis.tick_params(axis="y", length=0, labelcolor=INK)
        axis.tick_params(axis="x", which="minor", length=0)
        axis.xaxis.set_major_formatter(lambda x, _: _us(x))
        axis.xaxis.set_minor_formatter(lambda *_: "")
        axis.set(ylim=(len(rows) - 0.5, -0.85))
        axis.spines["left"].set_visible(False)
        return inline(figure, f"budget-{board}", "Time of one bin: the engine, this computer, the bin itself")


def _us(microseconds: float) -> str:
    value, unit = (microseconds / 1e3, "ms") if microseconds >= 1e3 else (microseconds, "µs")
    return f"{value:.3g} {unit}"
