"""The test trials of a run, as every way of running its network takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgendt.artifact import Run, read_arrays
from edgendt.errors import reading
from edgendt.fixed import Codes
from edgendt.program import Program


def stimulus(run: Run, program: Program, bins: int | None) -> tuple[Codes, ...]:
    """Whole test trials of the run, clipped to the input format, until there are at least `bins`; all for None.

    For a network of whole windows a shorter trial ends in bins without spikes, as it did in training.

    BadInput when the file is missing, damaged or another network's.
    """
    path = run.stage("quantize") / "stimulus.npz"
    arrays = read_arrays(path)
    with reading(str(path)):
        counts, lengths = _checked(arrays, program.channels)
    trials: list[Codes] = []
    for trial, length in zip(counts, lengths, strict=True):
        if bins is not None and sum(map(len, trials)) >= bins:
            break
        trials.append(program.clip(window(trial[:length], program))[0])
    return tuple(trials)


def window(counts: NDArray[Any], program: Program) -> NDArray[Any]:
    """counts [bins, channels] of a trial, filled up to the program's whole window where it has one."""
    short = max(0, (program.bins or 0) - len(counts))
    return np.pad(counts, ((0, short), (0, 0)))


def _checked(arrays: Mapping[str, NDArray[Any]], channels: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """counts [trials, bins, channels] and lengths [trials]; KeyError or ValueError when they are something else."""
    counts, lengths = arrays["counts"], arrays["lengths"]
    if counts.ndim != 3 or not counts.size or counts.shape[2] != channels or counts.dtype.kind not in "iu":
        raise ValueError(f"counts must be whole [trials, bins, {channels}], got {counts.dtype} {list(counts.shape)}")
    if lengths.shape != counts.shape[:1] or lengths.dtype.kind not in "iu":
        raise ValueError(f"lengths must be whole [{len(counts)}], got {lengths.dtype} {list(lengths.shape)}")
    if counts.min() < 0 or lengths.min() < 1 or lengths.max() > counts.shape[1]:
        raise ValueError(f"counts must not be negative and lengths be 1..{counts.shape[1]}")
    return counts, lengths
