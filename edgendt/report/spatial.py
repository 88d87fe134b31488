"""Which channels drive the population: an STNDT's attention weights, as the Program's own codes have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgendt.artifact import Run
from edgendt.data.stimulus import stimulus
from edgendt.ops import Linear, SpatialWeights
from edgendt.program import INPUT, Program
from edgendt.report.figures import WIDTH
from edgendt.report.predictions import Array
from edgendt.report.svg import BLUE, INK, inline, style
from edgendt.wiring import RATES, groups

WINDOWS = 16  # test trials looked at
DRIVERS = 5  # channels named per layer
SHADE = (0.10, 0.48, 0.72)  # pixels do not follow the style sheet: the blue between its light and its dark one


def weights(program: Program, trials: tuple[Array, ...]) -> dict[str, Array]:
    """Mean weights between channels by node, [taker, giver]; trials: counts [bins, channels]. A stream's over all bins.

    Columns of the network beyond the recorded channels, where there are any, are left out. Nothing where the embedder
    mixes channels: its columns are none.
    """
    if not by_channel(program):
        return {}
    known = len(rates.rows) if (rates := groups(program).get(RATES)) else None
    nodes = {node.name: (node.op.size, node.op.y) for node in program.nodes if isinstance(node.op, SpatialWeights)}
    traces = [program.trace(counts) for counts in trials] if nodes else []
    means = {
        name: np.mean([trace[name].reshape(-1, size, size).mean(0) for trace in traces], axis=0) * y.scale
        for name, (size, y) in nodes.items()
    }
    return {name: a[:known, :known] for name, a in means.items()}


def by_channel(program: Program) -> bool:
    """True when no column of the network starts from more than one channel's counts."""
    embedders = [node for node in program.readers(INPUT) if isinstance(node.op, Linear)]
    return all(np.count_nonzero(node.constants["weight"], axis=1).max() <= 1 for node in embedders)


def of_run(run: Run) -> tuple[dict[str, Any], dict[str, Array]]:
    """The report's JSON of a run's weights, and they themselves; status "none" where `weights` finds none."""
    if not run.has("quantize"):
        return {"status": "none"}, {}
    program = Program.load(run.stage("quantize") / "program.edt")
    trials = () if program.inputs else stimulus(run, program, None)[:WINDOWS]
    found = weights(program, trials)
    if not found:
        return {"status": "none"}, {}
    layers = [{"node": name, "drivers": drivers(a)} for name, a in found.items()]
    return {"status": "done", "windows": len(trials), "layers": layers}, found


def drivers(a: Array) -> list[dict[str, Any]]:
    """The channels that give most to the others: {"channel", "share"}, the share of all weight between channels."""
    others = a * (1 - np.eye(len(a)))
    given = others.sum(0) / max(others.sum(), 1e-12)
    return [{"channel": int(i), "share": float(given[i])} for i in np.argsort(-given, kind="stable")[:DRIVERS]]


def figure(found: Mapping[str, Array]) -> str:
    """One square per layer, a row per channel that takes, a column per channel that gives; opacity is the weight."""
    with style() as figure_of:
        drawn = figure_of(figsize=(min(WIDTH, 3.0 * len(found)), 2.9))
        axes = drawn.subplots(1, len(found), squeeze=False)[0]
        for axis, (name, a) in zip(axes, found.items(), strict=True):
            image = np.zeros((*a.shape, 4))
            image[..., :3] = SHADE
            image[..., 3] = np.clip(a / max(np.quantile(a, 0.995), 1e-12), 0, 1)
            axis.imshow(image, origin="lower", interpolation="nearest", extent=(0, len(a), 0, len(a)))
            best = [row["channel"] + 0.5 for row in drivers(a)]
            axis.plot(best, [len(a) * 1.02] * len(best), "v", ms=3, color=BLUE, clip_on=False)
            axis.set_title(name, color=INK, pad=8)
            axis.set_xlabel("channel that gives", labelpad=1)
        axes[0].set_ylabel("channel that takes")
        return inline(drawn, "spatial", "Attention weights between channels, mean over test windows")
