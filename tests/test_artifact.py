"""Runs and stage folders: complete or absent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgendt.artifact import Run, read_json, sha256
from edgendt.errors import BadInput


def make(run: Run, stage: str, text: str = "x") -> None:
    with run.write(stage, seed=3, config={"a": 1}) as folder:
        (folder / "file").write_text(text)


def test_a_stage_appears_whole_with_its_manifest_and_is_replaced_whole(tmp_path: Path) -> None:
    run = Run(tmp_path / "r")
    source = tmp_path / "in"
    source.write_text("hello")
    with run.write("quantize", inputs=[source], seed=3, config={"a": 1}) as folder:
        (folder / "old").write_text("old")
    make(run, "quantize", "new")
    assert sorted(path.name for path in run.stage("quantize").iterdir()) == ["file", "manifest.json"]
    with run.write("sim", inputs=[source]) as folder:
        pass
    manifest = json.loads((run.stage("sim") / "manifest.json").read_text())
    assert manifest["inputs"] == {"in": sha256(source)}
    assert sorted(path.name for path in run.path.iterdir()) == ["quantize", "sim"]


def test_a_failure_inside_leaves_the_old_stage_and_nothing_else(tmp_path: Path) -> None:
    run = Run(tmp_path / "r")
    make(run, "quantize", "good")
    with pytest.raises(RuntimeError), run.write("quantize") as folder:
        (folder / "file").write_text("half")
        raise RuntimeError
    assert (run.stage("quantize") / "file").read_text() == "good"
    assert [path.name for path in run.path.iterdir()] == ["quantize"]


@pytest.mark.parametrize("name", ["../evil", "a/b", "a\\b", "", ".", ".hidden", "-b", "two words", "a\nb", "x" * 101])
def test_a_name_that_is_no_plain_folder_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match=r"name must be at most 100 letters, digits, .*, a letter or digit first"):
        Run.new(name, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a", "lorenz-2c287c", "Mäuse_3.1", "7"])
def test_a_plain_name_is_a_run_that_the_newest_finds(tmp_path: Path, name: str) -> None:
    make(Run.new(name, tmp_path / "deep" / "runs"), "quantize")
    assert Run.open(root=tmp_path / "deep" / "runs").name == name


def test_a_file_in_the_place_of_a_run_or_of_the_runs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    for name, root in (("file", tmp_path), ("a", tmp_path / "file"), ("a", tmp_path / "file" / "b")):
        with pytest.raises(BadInput, match=f"cannot be made: {tmp_path / 'file'} is a file; choose another --name"):
            Run.new(name, root)
    with pytest.raises(BadInput, match="there is no run"):
        Run.open(root=tmp_path / "file")


def test_damaged_json_is_one_sentence(tmp_path: Path) -> None:
    for text in (b"{", b"\xff", b"[" * 100_000):
        (tmp_path / "a.json").write_bytes(text)
        with pytest.raises(BadInput, match=r"a\.json cannot be read"):
            read_json(tmp_path / "a.json")
    with pytest.raises(BadInput, match="does not exist"):
        read_json(tmp_path / "b.json")


def test_the_newest_run_is_the_default(tmp_path: Path) -> None:
    make(Run(tmp_path / "b"), "quantize")
    make(Run(tmp_path / "a"), "quantize")
    assert Run.open(root=tmp_path).name == "a"
    assert Run.open("b", root=tmp_path).name == "b"
    assert Run.open(tmp_path / "b").name == "b"


def test_a_folder_of_the_runs_name_that_is_no_run_is_not_taken_for_it(tmp_path: Path) -> None:
    make(Run(tmp_path / "runs" / "mine"), "quantize")
    (tmp_path / "mine").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert Run.open("mine").path == Path("runs/mine")
        make(Run(Path("mine")), "quantize")
        assert Run.open("mine").path == Path("mine")


def test_what_is_missing_is_said_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="edgendt quantize"):
        Run.open(root=tmp_path)
    with pytest.raises(BadInput, match="does not exist"):
        Run.open("x", root=tmp_path)
    with pytest.raises(BadInput, match=r"edgendt synth .* --board ulx3s-85f"):
        Run(tmp_path).stage("synth-ulx3s-85f")
