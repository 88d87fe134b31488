"""The test trials of a run, as every way of running its network takes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgendt.artifact import Run, read_arrays
from edgendt.errors import reading
from edgendt.fixed import Codes
from edgendt.program import Program

ROWS = ".rows"  # behind the name of an input: rows of each window
T = TypeVar("T")


def stimulus(run: Run, program: Program, bins: int | None, clip: bool = True) -> tuple[Any, ...]:
    """Whole test trials of the run, until there are at least `bins`; all for None. clip: counts to the input format.
    Of a network with inputs of its own whole windows, each a mapping of its inputs, until so many rows are answered.

    For a network of whole windows of bins a shorter trial ends in bins without spikes, as it did in training.

    BadInput when the file is missing, damaged or another network's.
    """
    path = run.stage("quantize") / "stimulus.npz"
    arrays = read_arrays(path)
    with reading(str(path)):
        if program.inputs:
            windows = _windows(arrays, program)
        else:
            counts, lengths = _checked(arrays, program.channels)
    if program.inputs:
        asked = next(item.name for item in program.inputs if item.axis == program.axis(program.output))
        return tuple(_enough(windows, [len(given[asked]) for given in windows], bins))
    trials = [window(trial[:length], program) for trial, length in zip(counts, lengths, strict=True)]
    found = _enough(trials, [len(trial) for trial in trials], bins)
    return tuple(program.clip(trial)[0] if clip else trial for trial in found)


def _enough(found: Sequence[T], rows: Sequence[int], bins: int | None) -> Iterator[T]:
    """The first of them that have at least `bins` rows together."""
    total = 0
    for one, many in zip(found, rows, strict=True):
        if bins is not None and total >= bins:
            return
        total += many
        yield one


def packed(windows: Sequence[Mapping[str, Codes]]) -> dict[str, Codes]:
    """Windows of a network with inputs of its own as arrays of a file: their rows in a row, and how many each has."""
    names = list(windows[0])
    arrays = {name: np.concatenate([given[name] for given in windows]) for name in names}
    return arrays | {f"{name}{ROWS}": np.array([len(given[name]) for given in windows]) for name in names}


def _windows(arrays: Mapping[str, NDArray[Any]], program: Program) -> list[dict[str, Codes]]:
    """What `packed` made; KeyError or ValueError when it is something else."""
    asked = [item for item in program.inputs if item.codes is None]
    if missing := [key for item in asked for key in (item.name, item.name + ROWS) if key not in arrays]:
        raise ValueError(f"it has no {', '.join(missing)}")
    split = {}
    for item in asked:
        ends = np.cumsum(arrays[item.name + ROWS])
        if ends.ndim != 1 or not len(ends) or ends[-1] != len(arrays[item.name]) or ends.dtype.kind not in "iu":
            raise ValueError(f"{item.name}{ROWS} must add up to the rows of {item.name}")
        split[item.name] = np.split(arrays[item.name], ends[:-1])
    if len({len(parts) for parts in split.values()}) != 1:
        raise ValueError("every input must have as many windows")
    windows = [dict(zip(split, parts, strict=True)) for parts in zip(*split.values(), strict=True)]
    for given in windows:
        program.feed(given)  # BadInput for another network's
    return windows


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
