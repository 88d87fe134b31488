"""`model.predict`: a graph's inputs as hls4ml takes them, through the Program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgendt.errors import BadInput
from edgendt.firmware.room import RESET
from edgendt.plugin.found import numbers_of
from edgendt.program import Program

Array = NDArray[Any]


def predicted(model: Any, program: Program, x: Any) -> Array:
    """What the board will answer to x -> [samples, outputs of all rows].

    x: [samples, channels], or [samples, bins, channels]: every sample is a trial of its own; with the reset [samples]
    behind it in a list, a trial goes to the next reset. Of a network of tokens a list of the graph's inputs in order,
    [samples, …] each: a window's rows are as many as it says, and zeros are the answers behind the last.
    Counts beyond the input's format are clipped, as the driver does. BadInput for anything else.
    """
    given = _given(model, x)
    if program.inputs:
        answers = list(_of_tokens(model, program, given))
    else:
        counts, reset = given[model.inputs[0]], given.get(RESET)
        trials = counts if reset is None else np.split(counts, np.flatnonzero(reset[1:]) + 1)
        runs = [program.run(program.clip(trial.reshape(-1, program.channels))[0]) for trial in trials]
        answers = runs if reset is None else list(np.concatenate(runs))
    values = np.array(answers).reshape(len(answers), -1) * program.output_format.scale
    return values[0] if len(values) == 1 else values


def _given(model: Any, x: Any) -> dict[str, Array]:
    """[samples, …] of each input of the graph, but for a reset that x does not bring."""
    shapes = {name: tuple(one.shape) for name, one in zip(model.inputs, model.get_input_variables(), strict=True)}
    arrays = list(x) if isinstance(x, list | tuple) and len(shapes) > 1 else [x]
    if len(arrays) != len(shapes) and [*shapes][len(arrays) :] != [RESET]:
        raise BadInput(f"the model takes a list of {', '.join(shapes)}, got {len(arrays)} of {len(shapes)}")
    given = {name: np.asarray(array) for name, array in zip(shapes, arrays, strict=False)}
    for name, array in given.items():
        if array.size % (each := int(np.prod(shapes[name]))):
            raise BadInput(f"{name} must be [samples, {', '.join(map(str, shapes[name]))}], got {list(array.shape)}")
        given[name] = array.reshape(array.size // each, *shapes[name])
    if len(samples := {len(array) for array in given.values()}) > 1 or 0 in samples:
        raise BadInput(f"{', '.join(given)} must have as many samples, one at least, got {sorted(samples)}")
    return given


def _of_tokens(model: Any, program: Program, given: Mapping[str, Array]) -> Iterator[Array]:
    """Answers to each window, in as many rows as the graph has room for."""
    numbers, (last,) = numbers_of(model.get_layers()), model.get_output_variables()
    asked = [item.name for item in program.inputs if item.codes is None]
    for sample in range(len(given[asked[0]])):
        window = {}
        for name in asked:
            rows, most = int(given[numbers[name]][sample].item()), given[name].shape[1]
            if not 1 <= rows <= most:
                raise BadInput(f"{numbers[name]} must be 1..{most}, got {rows}")
            window[name] = given[name][sample, :rows].astype(np.int64)
        answer = np.zeros(last.shape, np.int64)
        codes = program.run(window)
        answer[: len(codes)] = codes
        yield answer
