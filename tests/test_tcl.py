"""Every Tcl script that `edgendt synth` leaves, of every flow, backend and board, is a golden or says why not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import hls4ml
import pytest
from goldens import GOLDEN
from networks import random_counts, random_ndt

from edgendt.boards import Board, known
from edgendt.engine.config import Engine
from edgendt.firmware.accelerator import BOARDS
from edgendt.firmware.project import of_board, write_project
from edgendt.firmware.target import ACCELERATOR, PORTS, VIVADO, FirmwareConfig
from edgendt.firmware.vendor import AFTER_VIVADO, TOOLS
from edgendt.program import Program
from edgendt.synth import project, vivado

SHIPPED = Path(hls4ml.__file__).parent / "templates" / "vivado_accelerator"
# Scripts without a golden, by backend and name: why, and what they equal instead.
REASONS = {(ACCELERATOR, "design.tcl"): ("hls4ml's own, as its package has it", "tcl_scripts/axi_stream_design.tcl")}


def configs(board: Board) -> Iterator[FirmwareConfig]:
    """Every firmware project that a board can have; those that it cannot are refused, elsewhere."""
    for backend in TOOLS:
        if backend == ACCELERATOR:
            if board.name in BOARDS:
                yield FirmwareConfig(backend=backend)
        elif backend != VIVADO or not board.part.startswith(AFTER_VIVADO):
            yield from (FirmwareConfig(ports, backend=backend) for ports in PORTS if ports == "axis" or not board.alveo)


def projects(folder: Path) -> Iterator[tuple[Board, str, Path]]:
    """(board, flow or backend, folder) of each project that is written without a tool, one after the other."""
    causal = random_ndt(10, 5, 6, 1, 2, 7, 3, 4, 12)
    whole = random_ndt(10, 5, 6, 1, 2, 7, outputs=3, bins=4, causal=False)
    for board in map(Board.named, known()):
        home = folder / board.name / "engine"
        if board.zynq:
            vivado.write_project(board, Engine.named("small"), home)
        elif board.engine:
            home.mkdir(parents=True)
            project.write_project(board, Engine.named(board.own_engine), home, 1)
        yield board, "engine", home
        for config in configs(board) if "hls4ml" in board.flows else ():
            program: Program = whole if config.backend == ACCELERATOR else causal
            home = folder / board.name / f"{config.backend}-{config.ports}"
            counts = random_counts(program, 1, program.bins or 2)
            write_project(program, board, home, counts, config=config)
            if board.zynq and of_board(board, config).streams:
                vivado.write_design(board, home, config.backend != ACCELERATOR)
            yield board, config.backend, home


def of_golden(text: str, what: str, board: str, goldens: dict[Path, str]) -> list[Path]:
    """The goldens that a script equals, one of them its board's."""
    equal = [golden for golden, said in goldens.items() if said == text]
    assert equal, f"{what} has neither a golden nor a reason in {Path(__file__).name}"
    assert any(board in golden.name for golden in equal), f"{what} is another board's: {equal}"
    return equal


def read_goldens() -> dict[Path, str]:
    return {path: path.read_text() for path in GOLDEN.rglob("*.tcl")}


def test_every_script_is_a_golden_or_has_its_reason(tmp_path: Path) -> None:
    goldens, met, seen = read_goldens(), set(), 0
    for board, backend, home in projects(tmp_path):
        for path in sorted(home.rglob("*.tcl")):
            seen += 1
            what, text = f"{path.name} of {board.name}, {backend}", path.read_text()
            if (backend, path.name) in REASONS:
                _, shipped = REASONS[backend, path.name]
                assert text == (SHIPPED / board.name / shipped).read_text(), what
            else:
                met.update(of_golden(text, what, board.name, goldens))
    assert met == set(goldens), f"goldens of no project: {sorted(set(goldens) - met)}"
    assert seen > len(goldens)


def test_a_script_that_nobody_read_and_one_of_another_board_are_found() -> None:
    goldens = read_goldens()
    text = goldens[GOLDEN / "vivado" / "firmware.kv260.tcl"]
    assert of_golden(text, "x", "kv260", goldens) == [GOLDEN / "vivado" / "firmware.kv260.tcl"]
    for changed, board, said in (
        (text.replace("-jobs 4", "-jobs 8"), "kv260", "x has neither a golden nor a reason in test_tcl.py"),
        (text, "zcu104", "x is another board's"),
    ):
        with pytest.raises(AssertionError, match=said):
            of_golden(changed, "x", board, goldens)
