"""The test trials of a run, as every way of running its network takes them."""

from __future__ import annotations

import numpy as np

from edgendt.artifact import Run
from edgendt.fixed import Codes
from edgendt.program import Program


def stimulus(run: Run, program: Program, bins: int | None) -> tuple[Codes, ...]:
    """Whole test trials of the run, clipped to the input format, until there are at least `bins`; all for None."""
    with np.load(run.stage("quantize") / "stimulus.npz", allow_pickle=False) as data:
        counts, lengths = data["counts"], data["lengths"]
    trials: list[Codes] = []
    for trial, length in zip(counts, lengths, strict=True):
        if bins is not None and sum(map(len, trials)) >= bins:
            break
        trials.append(program.clip(trial[:length])[0])
    return tuple(trials)
