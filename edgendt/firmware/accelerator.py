"""hls4ml's own board flow, VivadoAccelerator, around our ops: for networks of one input, those of whole windows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgendt.errors import BadInput
from edgendt.firmware.fit import Budget, fit_rows
from edgendt.firmware.folding import Folding
from edgendt.firmware.target import ACCELERATOR, AMD, VIVADO, FirmwareConfig, Part, Target
from edgendt.fixed import Codes
from edgendt.program import Program

BOARDS = ("pynq-z2", "zcu102")  # of ours, that hls4ml has a design of
CLOCK_NS = 10.0  # of those designs
EXACT = 1 << 24  # up to here every code is a float: hls4ml 1.3.0 writes no other type of a stream that C++ knows
INSTEAD = f"take ports axis of the backend {AMD} or {VIVADO}"
# Body of edt_network::call through hls4ml's wrapper; a value that is no code or a wrong TLAST is a refusal.
CALL = """\
    (void)first;
    static input_axi_t given[N_IN];
    static output_axi_t answer[N_OUT];
    for (unsigned i = 0; i < N_IN; i++) {
        given[i].data = T_in(in[i].to_double());
        given[i].last = i == N_IN - 1;
    }
    edgendt_axi(given, answer);
    for (unsigned i = 0; i < N_OUT; i++) {
        out[i] = answer[i].data;
        if (out[i].to_double() != answer[i].data || answer[i].last != (i == N_OUT - 1)) {
            return 1;
        }
    }
    return 0;"""


def accelerator(program: Program, board: Part, folder: Path | str, folding: Folding | None = None) -> Any:
    """hls4ml's model of `program`: `compile`, `predict`, `trace` and `build` are hls4ml's, into `folder`.

    `predict` takes counts [windows, bins, channels] that are within their format, as float32, and gives values
    [windows, bins * outputs]. folding: `fit` for the part unless given. BadInput where hls4ml's flow does not take the
    network or has not the board; DoesNotFit.
    """
    from edgendt.firmware.graph import model_graph

    demand_one_input(program)
    target = of_board(board, FirmwareConfig(backend=ACCELERATOR))
    fitted, _ = fit_rows(program, Budget.on(board, target), folding, {}, {})
    return model_graph(program, Path(folder).resolve(), fitted, target)


def of_board(board: Part, config: FirmwareConfig) -> Target:
    """What a project for `board` is written for. BadInput for a board or a configuration that the flow has not."""
    if board.name not in BOARDS:
        known = " and ".join(BOARDS)
        raise BadInput(f"{ACCELERATOR} has a design of {known}, got {board.name}: take the backend {AMD}")
    if config.ports or config.weights != FirmwareConfig.weights:
        raise BadInput(f"{ACCELERATOR} has streams of its own, of floats, and weights rom: {INSTEAD}")
    return Target(board.part, CLOCK_NS, backend=ACCELERATOR, board=board.name)


def demand_one_input(program: Program) -> None:
    """BadInput but for a network of whole windows whose codes are floats."""
    if program.inputs or program.streams:
        more = "inputs and their numbers of rows" if program.inputs else "counts and a reset"
        raise BadInput(f"{ACCELERATOR} takes one input, windows of counts; {program.name} has {more}: {INSTEAD}")
    for what, form in (("counts", program.input), ("outputs", program.output_format)):
        if form.limit > EXACT:
            said = f"{ACCELERATOR} passes floats, exact up to {EXACT}; {what} of {program.name} reach {form.limit}"
            raise BadInput(f"{said}: {INSTEAD}")


def words(program: Program, window: Any) -> NDArray[np.int32]:
    """What streams in for counts [bins, channels]: the bits of each value as a float."""
    return (program.check_counts(window) * program.input.scale).astype(np.float32).ravel().view(np.int32)


def codes(program: Program, words: NDArray[np.int32]) -> Codes:
    """Of the outputs that stream out. ValueError for a value that is no code."""
    values = np.asarray(words, np.int32).view(np.float32).astype(np.float64) / program.output_format.scale
    wrong = ~np.isfinite(values) | (values != np.rint(values))
    if wrong.any():
        raise ValueError(f"word {int(wrong.argmax())}, {values[wrong][0] * program.output_format.scale:g}, is no code")
    return values.astype(np.int64)
