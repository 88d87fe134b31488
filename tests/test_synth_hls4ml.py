"""`edgendt synth --flow hls4ml` of an NDT, an STNDT and a POYO for AMD boards: the projects' own benches, every op."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import own_bench
import pytest
from firmware_cases import CASES, MOST
from needs import needs
from networks import keep_run, one_trial

from edgendt.artifact import Run
from edgendt.firmware.folding import Folding
from edgendt.firmware.target import FirmwareConfig
from edgendt.program import Program
from edgendt.synth import synthesise

NETWORKS = {"NDT": "bin by bin", "STNDT": "whole window", "POYO": "tokens"}
BOARDS = ("pynq-z2", "kv260")
PROJECTS = [*((name, board, "arrays") for name in NETWORKS for board in BOARDS), ("NDT", "kv260", "axis")]


def quantized(name: str, folder: Path) -> tuple[Run, Program]:
    """A run of one of the networks, as quantize leaves it."""
    program, given = CASES[NETWORKS[name]]()
    return keep_run(folder, program, **one_trial(program, given)), program


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
    bench = own_bench.compiled(project, board, config)
    status, told = own_bench.said(bench)
    assert status == 0 and told.startswith("PASS: "), told
    vectors = project / "tb_data" / f"{sorted(path.stem for path in (project / 'tb_data').glob('*ln*.dat'))[0]}.dat"
    vectors.write_text(vectors.read_text().replace("1", "2"))
    status, told = own_bench.said(bench)
    assert status == 1 and told.startswith("FAIL: op "), told
