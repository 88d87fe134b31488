"""Trained network to QONNX."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgendt.errors import BadInput

if TYPE_CHECKING:
    from edgendt.program import Program
    from edgendt.qat.ndt import QuantNDT


def export_qonnx(
    q: QuantNDT, path: Path | str, name: str = "ndt", meta: Mapping[str, Any] | None = None, bins: int | None = None
) -> None:
    """Write a trained, calibrated network as QONNX; `meta` (JSON) travels on into the Program.

    `bins`: of the graph's input, where no position table gives the length of a trial. BadInput before calibration:
    until then the activation scales are guesses.
    """
    from edgendt.program import Node, Program

    if not q.calibrated:
        raise BadInput(
            "the network was never calibrated: call QuantNDT.from_float with calibration counts, then export"
        )
    nodes = tuple(Node(node, module.op, inputs, module.constants()) for node, module, inputs in q.nodes())
    export_program(Program(name, q.config.channels, q.input, nodes, meta or {}), path, bins)


def export_program(program: Program, path: Path | str, bins: int | None = None) -> None:
    """Write a Program as QONNX. `bins` is needed where no position table gives the length of a trial.

    A window of tokens has as many rows as it happens to have: these dimensions have names.
    """
    from edgendt.export.graph import model

    length = program.bins or program.max_bins or bins
    if length is None and not program.inputs:
        raise BadInput("bins must be given: the Program has no position table")
    Path(path).write_bytes(model(program, length or 0).SerializeToString(deterministic=True))
