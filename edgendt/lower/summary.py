"""What `edgendt lower` tells: the nodes, where they are not exactly the file, and how far the ops are from it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgendt.artifact import Run, write_json
from edgendt.data.spikes import read as recording
from edgendt.export import export_program
from edgendt.fixed import Int
from edgendt.lower import lowered, read
from edgendt.lower.deviation import TRIALS, deviations
from edgendt.program import Program

DRAWN = 50  # bins of a random trial, where nothing says how many


def lower_file(
    model: Path,
    output: Path,
    calibrate: Path | None = None,
    session: str = "",
    bins: int = 0,
    run: Run | None = None,
) -> dict[str, Any]:
    """Lower `model` into `output`, or into the quantize stage of a run. calibrate: an .npz of docs/data.md, whose first
    trials are run.
    """
    trials = [] if calibrate is None else counts(calibrate, session)
    made = lowered(model, trials or None, bins)
    program = made.program
    nodes = [
        {"node": node.name, "op": node.op.kind, "size": node.op.size, "format": said(node.op.y)}
        for node in program.nodes
    ]
    if trials:
        graph = read.load(model)
        given = read.inputs(model, graph.graph, read.constants(model, graph.graph), bins)
        for entry, apart in zip(nodes, deviations(graph, given, made, trials), strict=True):
            entry |= apart
    notes = [{"where": note.where, "what": note.what, "error": note.error, "bound": note.bound} for note in made.notes]
    counted: dict[str, Any] = {"ops": len(program.nodes), "trials": len(trials)}
    if program.inputs:
        counted["inputs"] = ", ".join(item.name for item in program.inputs if item.codes is None)
    else:
        counted |= {"channels": program.channels, "macs": program.macs}
    told = {"file": model.name, **counted, "nodes": nodes, "notes": notes}
    if run is None:
        program.save(output)
    else:
        output = run.path / "quantize" / "program.edt"
        inputs = [model] if calibrate is None else [model, calibrate]
        with run.write("quantize", inputs, {"lowered": model.name, "session": session, "bins": bins}) as stage:
            write(stage, program, trials, bins)
            write_json(stage / "lowered.json", told)
    return {"program": str(output), **told}


def write(stage: Path, program: Program, trials: list[NDArray[Any]], bins: int) -> None:
    """What every later stage reads of a run: the Program, its QONNX file, trials to run; random ones where none are
    given.
    """
    program.needs_counts("a run of a lowered file")
    program.save(stage / "program.edt")
    longest = program.bins or program.max_bins or max(map(len, trials), default=bins or DRAWN)
    export_program(program, stage / "model.onnx", longest)
    rng = np.random.default_rng(0)
    drawn = [rng.poisson(1.0, (longest, program.channels)) for _ in range(0 if trials else TRIALS)]
    chosen = [trial[:longest] for trial in trials] or drawn
    padded = np.zeros((len(chosen), max(map(len, chosen)), program.channels), dtype=np.int64)
    for row, trial in zip(padded, chosen, strict=True):
        row[: len(trial)] = trial
    np.savez_compressed(stage / "stimulus.npz", counts=padded, lengths=np.array([len(trial) for trial in chosen]))


def counts(path: Path, session: str) -> list[NDArray[Any]]:
    """Counts [bins, channels] of the first trials of a recording."""
    data = recording(path, session)
    return [np.asarray(data.spikes[i, : data.lengths[i]]) for i in range(min(TRIALS, len(data.spikes)))]


def said(y: Int) -> str:
    """A format in words."""
    return f"{'' if y.signed else 'u'}int{y.bits} 2^{-y.frac}"


def short(name: str) -> str:
    """A tensor's name without what exporters add to every one."""
    return re.sub(r"/act_quant|/weight_quant|/export_handler|/(Quant|DequantizeLinear)?_?output_0", "", name).strip("/")
