"""Velocity that a network of tokens says of test windows, beside the velocity that was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from edgendt.artifact import Run, read_arrays
from edgendt.data.stimulus import stimulus
from edgendt.errors import BadInput
from edgendt.metrics import r2
from edgendt.program import Program
from edgendt.report.figures import WIDTH
from edgendt.report.predictions import Array
from edgendt.report.svg import BLUE, MUTED, inline, style

WINDOWS = 16  # of the first session's test trials, looked at


class Velocity(NamedTuple):
    """Windows one behind the other: said, measured [bins, axes]; at [bins] in s, NaN rows between windows."""

    said: Array
    measured: Array
    at: Array


def of_run(run: Run) -> tuple[dict[str, Any], Velocity | None]:
    """The report's JSON and the arrays; status "none" for a network of counts, or a run made from a file of others."""
    none = {"status": "none"}, None
    if not run.has("quantize"):
        return none
    program = Program.load(run.stage("quantize") / "program.edt")
    if not program.inputs or "sessions" not in program.meta:
        return none
    measured = read_arrays(run.stage("quantize") / "stimulus.npz").get("vel")
    windows = [given for given in stimulus(run, program, None) if not given["queries"][:, 0].any()][:WINDOWS]
    if measured is None or not windows:
        return none
    session = program.meta["sessions"][0]
    said = [velocity(program, session, given) for given in windows]
    count = sum(map(len, said))
    if len(measured) < count:
        raise BadInput(f"{run.path}/quantize/stimulus.npz has {len(measured)} velocities, its windows ask for more")
    true = np.split(measured[:count], np.cumsum([len(part) for part in said])[:-1])
    score = r2(np.concatenate(true), np.concatenate(said))
    shown = {"status": "done", "session": session["name"], "windows": len(windows), "bins": count, "r2": score}
    at = (np.arange(count + len(said) - 1) + 0.5) * session["bin_s"]
    return shown, Velocity(_apart(said), _apart(true), at)


def velocity(program: Program, session: Mapping[str, Any], given: Mapping[str, Any]) -> Array:
    """What the Program says of one window, in the recording's units: [queries, axes]."""
    scaled: Array = program.run(given) * program.output_format.scale * session["scale"] + session["offset"]
    return scaled


def _apart(parts: list[Array]) -> Array:
    """Windows one behind the other, a row of NaN between two."""
    gap = np.full((1, parts[0].shape[1]), np.nan)
    return np.concatenate([row for part in parts for row in (gap, part)][1:])


def figure(shown: Velocity) -> str:
    """A row per axis."""
    size = shown.said.shape[1]
    with style() as figure_of:
        drawn = figure_of(figsize=(WIDTH, 0.85 * size + 0.3))
        axes = drawn.subplots(size, 1, squeeze=False, sharex=True)[:, 0]
        for row, axis in enumerate(axes):
            axis.plot(shown.at, shown.measured[:, row], color=MUTED, lw=2.6, alpha=0.45)
            axis.plot(shown.at, shown.said[:, row], color=BLUE)
            axis.set_ylabel("velocity " + ("xyz"[row] if size <= 3 else str(row)))
            axis.locator_params(axis="y", nbins=4)
            axis.set_xlim(0, shown.at[-1])
        axes[-1].set_xlabel("s", labelpad=1)
        drawn.subplots_adjust(hspace=0.2)
        return inline(drawn, "said", "Velocity, measured and said by the integer network")
