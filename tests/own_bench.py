"""A vendor project's own test bench, under g++."""

from __future__ import annotations

import subprocess
from pathlib import Path

from edgendt.boards import Board
from edgendt.firmware.library import flags
from edgendt.firmware.project import of_board
from edgendt.firmware.target import USUAL, FirmwareConfig
from edgendt.tools import run_tool


def compiled(project: Path, board: str, config: FirmwareConfig = USUAL, level: str = "-O0") -> Path:
    """The bench of a project for `board`, compiled; what g++ says is in bench.log."""
    words = [word for word in flags(project) if word not in ("-shared", "-O1")]
    sources = (f"firmware/{stem}.cpp" for stem in of_board(Board.named(board), config).sources)
    command = ("g++", level, *words, "edt_test.cpp", *sources, "-o", "bench")
    run_tool(command, project / "bench.log", project)
    return project / "bench"


def said(bench: Path) -> tuple[int, str]:
    """Exit status, and what it prints."""
    done = subprocess.run([bench], cwd=bench.parent, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.strip()
