"""The command line: one sentence and an exit code per error, one JSON object on stdout."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest


def edgendt(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder."""
    command = [sys.executable, "-c", "from edgendt.cli import main; main()", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("verb", ["synth", "sim", "profile", "estimate", "report", "load --port p", "infer -p p"])
def test_without_a_run_a_verb_says_where_to_start(verb: str, tmp_path: Path) -> None:
    done = edgendt(*verb.split(), cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.strip() == "error: there is no run in runs/: start with `edgendt quantize`"


@pytest.mark.parametrize(
    "words,said",
    [
        (["quantize", "nonsense"], "must be key=value"),
        (["quantize", "no.such.key=1"], "is not an option"),
        (["quantize", "--config", "none.toml"], "does not exist"),
        (["quantize", "--data", "none.npz"], "none.npz"),
        (["sim", "nowhere"], "run nowhere does not exist"),
        (["lower", "none.onnx"], "none.onnx"),
        (
            ["emulate", "--board", "kv260", "--engine", "small"],
            "board kv260 cannot be emulated: choose",
        ),
        (["emulate", "--board", "kv260"], "board kv260 cannot be emulated"),
        (["emulate", "--engine", "none.toml"], "none.toml"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(words: list[str], said: str, tmp_path: Path) -> None:
    done = edgendt(*words, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr and "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_boards_prints_one_json_object_and_nothing_else(tmp_path: Path) -> None:
    done = edgendt("boards", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    names = [board["name"] for board in json.loads(done.stdout)["boards"]]
    assert "ulx3s-85f" in names and names == sorted(names)


def test_an_unknown_board_names_the_known_ones(tmp_path: Path) -> None:
    from edgendt.artifact import Run

    with Run(tmp_path / "runs" / "r").write("quantize") as folder:
        np.save(folder / "x.npy", np.zeros(1))
    done = edgendt("synth", "--board", "abacus", cwd=tmp_path)
    assert done.returncode == 2
    assert "board 'abacus' is not known: choose one of" in done.stderr and "ulx3s-85f" in done.stderr
