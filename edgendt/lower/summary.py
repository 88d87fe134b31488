"""What `edgendt lower` tells: the nodes, where they are not exactly the file, and how far the ops are from it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgendt.data.spikes import read as recording
from edgendt.fixed import Int
from edgendt.lower import lowered, read
from edgendt.lower.deviation import TRIALS, deviations


def lower_file(
    model: Path, output: Path, calibrate: Path | None = None, session: str = "", bins: int = 0
) -> dict[str, Any]:
    """Lower `model` into `output`. calibrate: an .npz of docs/data.md, whose first trials are run."""
    trials = [] if calibrate is None else counts(calibrate, session)
    made = lowered(model, trials or None, bins)
    program = made.program
    program.save(output)
    nodes = [
        {"node": node.name, "op": node.op.kind, "size": node.op.size, "format": said(node.op.y)}
        for node in program.nodes
    ]
    if trials:
        graph = read.load(model)
        given = read.inputs(model, graph.graph, read.constants(model, graph.graph), bins)
        for entry, apart in zip(nodes, deviations(graph, given, made, trials), strict=True):
            entry |= apart
    notes = [{"where": note.where, "what": note.what, "error": note.error} for note in made.notes]
    counted: dict[str, Any] = {"ops": len(program.nodes), "trials": len(trials)}
    if program.inputs:
        counted["inputs"] = ", ".join(item.name for item in program.inputs if item.codes is None)
    else:
        counted |= {"channels": program.channels, "macs": program.macs}
    return {"program": str(output), **counted, "nodes": nodes, "notes": notes}


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
