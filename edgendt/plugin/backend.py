"""The backend: an hls4ml ModelGraph becomes a Program, its image, and the project of a board with our engine.

hls4ml imports this while it is imported itself, so what imports more of it, or much else, is imported when it is used.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hls4ml.backends.fpga.fpga_backend import FPGABackend
from hls4ml.model.flow import get_flow, register_flow
from hls4ml.writer.writers import Writer

from edgendt.boards import DEFAULT, Board
from edgendt.plugin import NAME
from edgendt.program import ACCUMULATOR, Program

if TYPE_CHECKING:
    from edgendt.engine.compile import Compiled

# A Dense over bins stays a Dense: the engine goes bin by bin.
LEFT_OUT = ("replace_multidimensional_dense_with_conv",)


class EngineWriter(Writer):  # type: ignore[misc]
    """Writes program.edt, image.edi and the board's project (sources, scripts, constraints) into the output folder."""

    def write_hls(self, model: Any) -> None:
        """UnsupportedOp names every layer that cannot be held; DoesNotFit, BoardUnknown as `edgendt synth`."""
        from edgendt.synth import vivado
        from edgendt.synth.project import write_project

        program, board, compiled = target(model)
        folder = Path(model.config.get_output_dir())
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        program.save(folder / "program.edt")
        compiled.image.save(folder / "image.edi")
        if board.zynq:
            vivado.write_project(board, compiled.engine, folder)
        else:
            write_project(board, compiled.engine, folder)


class EdgeNDTBackend(FPGABackend):  # type: ignore[misc]
    """`convert_from_…_model(…, backend="EdgeNDT", board="ulx3s-85f", engine="small")`."""

    def __init__(self) -> None:
        super().__init__(NAME)
        passes = [name for name in get_flow("convert").optimizers if name not in LEFT_OUT]
        convert = register_flow("convert", passes, requires=["parse_qonnx"], backend=NAME)
        self.flow = register_flow("graph", ["remove_nop_batch_normalization"], requires=[convert], backend=NAME)

    def create_initial_config(
        self, board: str = DEFAULT, engine: str | None = None, accumulator: int = ACCUMULATOR.bits, **_: Any
    ) -> dict[str, Any]:
        """board: a name of `edgendt boards`; engine: a name or a TOML file, by default what the network needs.

        accumulator: bits of the engine's sums, which no layer may leave.
        """
        fixed = {"IOType": "io_parallel", "ClockPeriod": 0, "Part": board}
        return {"Board": board, "Engine": engine, "Accumulator": accumulator, **fixed}

    def get_default_flow(self) -> str:
        return str(self.flow)

    def get_writer_flow(self) -> str:
        return str(self.flow)

    def write(self, model: Any) -> None:
        """The project in the model's output folder."""
        self.writer.write_hls(model)

    def compile(self, model: Any) -> None:
        """Nothing: `predict` runs the Program. hls4ml then loads the library None, which is this process."""

    def predict(self, model: Any, x: Any) -> Any:
        """What the board will answer, see `predicted`."""
        from edgendt.plugin.graph import program_of
        from edgendt.plugin.predict import predicted

        return predicted(model, program_of(model), x)

    def build(self, model: Any, seed: int = 1, **_: Any) -> dict[str, Any]:
        """Place and route, or Vivado, into a bitstream: what `edgendt synth` reports."""
        from edgendt.synth import vivado
        from edgendt.synth.engine import route

        board, compiled = target(model)[1:]
        folder = Path(model.config.get_output_dir())
        if board.zynq:
            return vivado.build(board, compiled.engine, folder, run=True)
        return route(board, compiled.engine, folder, seed=seed)


def target(model: Any) -> tuple[Program, Board, Compiled]:
    """The Program of a model, the board of its configuration, and the Program on that board's engine."""
    from edgendt.plugin.graph import program_of
    from edgendt.synth.usual import compiled_for

    program, board = program_of(model), Board.named(model.config.config["Board"])
    return program, board, compiled_for(board, program, model.config.config.get("Engine"))[1]
