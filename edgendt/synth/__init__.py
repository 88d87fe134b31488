"""`edgendt synth`: a run on a board, by the open flow (engine) or the vendor's (hls4ml)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgendt.artifact import Run, write_json
from edgendt.boards import FLOWS, Board
from edgendt.data.stimulus import stimulus
from edgendt.errors import BadInput, ToolFailed
from edgendt.firmware.target import ACCELERATOR, USUAL, FirmwareConfig
from edgendt.program import Program
from edgendt.synth.usual import check_room, compiled_for, or_another, usual_engine
from edgendt.tools import tool_path


def synthesise(
    run: Run,
    board: str,
    *,
    flow: str | None = None,
    engine: str | Path | None = None,
    seed: int = 1,
    build: bool = False,
    folding: Path | None = None,
    config: FirmwareConfig = USUAL,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Stage synth-<board> of a run; returns its synth.json.

    flow: of the board unless given; engine: name or TOML file, else the usual one (synth.usual); seed: of place and
    route where the tool has one; build: run the vendor's tool, on a board that needs it; folding, a TOML file, and
    config: of the hls4ml flow. BadInput for a flow the board has not, DoesNotFit where its engine lacks room for a test
    window of tokens, unless it was asked for; a failed tool's log is kept.
    """
    target = Board.named(board)
    chosen = flow or target.flow
    if chosen not in FLOWS:
        raise BadInput(f"flow must be one of {', '.join(FLOWS)}, got {chosen!r}")
    if chosen not in target.flows:
        raise BadInput(f"board {target.name} has no {chosen} flow: use --flow {target.flow}")
    if folding is not None and chosen != "hls4ml":
        raise BadInput("--folding belongs to --flow hls4ml: the engine has no folding")
    if engine is not None and chosen == "hls4ml":
        raise BadInput("--engine belongs to --flow engine: the firmware of hls4ml is a design of its own, without one")
    if config != USUAL and chosen != "hls4ml":
        said = "--ports, --weights, --backend and --rows belong to --flow hls4ml"
        raise BadInput(f"{said}: the engine has streams, takes any network and is no firmware of hls4ml's")
    network = run.stage("quantize") / "program.edt"
    program = Program.load(network)
    name = str(engine or usual_engine(program, target)) if chosen == "engine" else None
    if program.inputs and name is not None and engine is None:
        check_room(*compiled_for(target, program, name), stimulus(run, program, None))
    stage, inputs = f"synth-{board}", [network, *([folding] if folding else [])]
    with run.write(stage, inputs, {"flow": chosen, "engine": name}, seed) as folder:
        try:
            if name is not None:
                return _engine(run, target.running(name), name, folder, seed, build, progress)
            return _hls4ml(run, target, folder, build, folding, config)
        except ToolFailed as error:
            raise _kept(error, run.path, stage) from error


def _engine(
    run: Run,
    board: Board,
    name: str,
    folder: Path,
    seed: int,
    build: bool,
    progress: Callable[[str], None] | None,
) -> dict[str, Any]:
    from edgendt.engine.config import Engine
    from edgendt.synth.engine import synthesise

    with or_another(name, board, Program.load(run.stage("quantize") / "program.edt")):
        return synthesise(run, board, Engine.named(name), folder, seed=seed, build=build, progress=progress)


def _hls4ml(
    run: Run, board: Board, folder: Path, build: bool, file: Path | None, config: FirmwareConfig
) -> dict[str, Any]:
    from edgendt.firmware.folding import Folding
    from edgendt.firmware.project import of_board, write_project
    from edgendt.synth import card, design, vivado

    quantized = run.stage("quantize")
    program = Program.load(quantized / "program.edt")
    folding = Folding.load(file, program) if file is not None else None
    target = of_board(board, config)
    linked, designed = (target.streams and kind is not None for kind in (board.alveo, board.zynq))
    if build and (linked or designed):
        tool_path(card.TOOL if linked else design.COMMAND[0])  # missing: say so before the HLS tool runs
    given = stimulus(run, program, 1)[0]
    result = write_project(program, board, folder, given, build, folding, config)
    if linked:
        card.write_card(board, folder)
        result |= card.run_card(board, folder) if build else {}
    if designed:
        ours = target.backend != ACCELERATOR
        vivado.write_design(board, folder, ours)
        result |= vivado.run_design(board, folder, ours) if build else {}
    write_json(folder / "synth.json", result)
    return result


def _kept(error: ToolFailed, home: Path, stage: str) -> ToolFailed:
    """The same error, its log moved out of the folder that goes away."""
    log = Path(error.log)
    if not log.is_file():
        return error
    kept = home / f"{stage}.failed.log"
    shutil.copyfile(log, kept)
    return ToolFailed(error.command, kept, error.reason)
