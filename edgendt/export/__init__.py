"""Trained network to QONNX."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgendt.errors import BadInput

if TYPE_CHECKING:
    from edgendt.fixed import Int
    from edgendt.program import Node, Program
    from edgendt.qat.ndt import QuantNDT


def export_qonnx(
    q: QuantNDT, path: Path | str, name: str = "ndt", meta: Mapping[str, Any] | None = None, bins: int | None = None
) -> None:
    """Write a trained, calibrated network as QONNX; `meta` (JSON) travels on into the Program.

    `bins`: of the graph's input, where no position table gives the length of a trial. BadInput before calibration:
    until then the activation scales are guesses.
    """
    from edgendt.program import Node

    if not q.calibrated:
        raise BadInput(
            "the network was never calibrated: call QuantNDT.from_float with calibration counts, then export"
        )
    nodes = [Node(node, module.op, inputs, module.constants()) for node, module, inputs in q.nodes()]
    _write(path, name, q.config.channels, q.input, nodes, q.config.max_bins or bins, meta or {})


def export_program(program: Program, path: Path | str, bins: int | None = None) -> None:
    """Write a Program as QONNX. `bins` is needed where no position table gives the length of a trial."""
    length = program.bins or program.max_bins or bins
    _write(path, program.name, program.channels, program.input, program.nodes, length, program.meta)


def _write(
    path: Path | str,
    name: str,
    channels: int,
    counts: Int,
    nodes: Iterable[Node],
    bins: int | None,
    meta: Mapping[str, Any],
) -> None:
    from edgendt.export.graph import model

    if bins is None:
        raise BadInput("bins must be given: the Program has no position table")
    made = model(name, channels, counts, nodes, bins, meta)
    Path(path).write_bytes(made.SerializeToString(deterministic=True))
