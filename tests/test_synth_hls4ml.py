"""`edgendt synth --flow hls4ml` of an NDT, an STNDT and a POYO for AMD boards: the projects' own benches, every op."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from firmware_cases import CASES, MOST
from needs import needs

from edgendt.artifact import Run
from edgendt.boards import Board
from edgendt.data.stimulus import packed
from edgendt.firmware.folding import Folding
from edgendt.firmware.library import flags
from edgendt.firmware.project import of_board
from edgendt.firmware.target import FirmwareConfig
from edgendt.program import Program
from edgendt.synth import synthesise
from edgendt.tools import run_tool

NETWORKS = {"NDT": "bin by bin", "STNDT": "whole window", "POYO": "tokens"}
BOARDS = ("pynq-z2", "kv260")
PROJECTS = [*((name, board, "arrays") for name in NETWORKS for board in BOARDS), ("NDT", "kv260", "axis")]


def quantized(name: str, folder: Path) -> tuple[Run, Program]:
    """A run of one of the networks, as quantize leaves it."""
    (program, given), run = CASES[NETWORKS[name]](), Run(folder)
    with run.write("quantize") as stage:
        program.save(stage / "program.edt")
        trial = packed([given]) if program.inputs else {"counts": given[None], "lengths": np.array([len(given)])}
        np.savez(stage / "stimulus.npz", **trial)
    return run, program


def test_the_command_line_takes_hls4mls_own_board_design(tmp_path: Path) -> None:
    run, _ = quantized("STNDT", tmp_path / "r")
    words = ("synth", "r", "--runs", str(tmp_path), "--board", "pynq-z2", "--flow", "hls4ml", "--json")
    command = (sys.executable, "-c", "from edgendt.cli import main; main()", *words, "--backend", "VivadoAccelerator")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["backend"], result["stage"], result["ports"]) == ("VivadoAccelerator", "project", "floats")
    assert (run.stage("synth-pynq-z2") / "design.tcl").exists()


@pytest.mark.parametrize(("name", "board", "ports"), PROJECTS)
def test_a_project_is_equal_at_every_op(name: str, board: str, ports: str, tmp_path: Path) -> None:
    needs("g++")
    run, program = quantized(name, tmp_path / "r")
    config = FirmwareConfig(ports=ports, rows=MOST if program.inputs else {})
    result = synthesise(run, board, flow="hls4ml", config=config)
    project, analytic = run.stage(f"synth-{board}"), result["analytic"]
    assert analytic["multipliers"] <= analytic["multipliers_available"] and analytic["cycles"] > 0
    assert 0 < analytic["blocks"] <= analytic["blocks_available"]
    assert Folding.load(project / "folding.toml", program).multipliers(program) == analytic["multipliers"]
    words = [word for word in flags(project) if word not in ("-shared", "-O1")]
    sources = (f"firmware/{stem}.cpp" for stem in of_board(Board.named(board), config).sources)
    run_tool(("g++", "-O0", *words, "edt_test.cpp", *sources, "-o", "bench"), tmp_path / "log", project)
    done = subprocess.run([project / "bench"], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.startswith("PASS: "), done.stdout
    vectors = project / "tb_data" / f"{sorted(path.stem for path in (project / 'tb_data').glob('*ln*.dat'))[0]}.dat"
    vectors.write_text(vectors.read_text().replace("1", "2"))
    done = subprocess.run([project / "bench"], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stdout.startswith("FAIL: op "), done.stdout
