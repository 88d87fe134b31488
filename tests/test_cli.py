"""The command line: one sentence and an exit code per error, one JSON object on stdout."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from needs import needs_package
from networks import random_ndt
from rich.console import Console

from edgendt import cli
from edgendt.artifact import Run
from edgendt.errors import BadInput


def edgendt(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder."""
    command = [sys.executable, "-m", "edgendt", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "verb", ["adapt", "synth", "sim", "profile", "estimate", "report", "load --port p", "infer -p p"]
)
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
        (["quantize", "--data", "my😀 [a] rec.npz"], "error: my😀 [a] rec.npz does not exist"),
        (["quantize", "--name", "../evil"], "name must be at most 100 letters, digits"),
        (["sim", "nowhere"], "run nowhere does not exist"),
        (["lower", "none.onnx"], "none.onnx"),
        (["load"], "no port was given: --port is a serial port such as /dev/ttyUSB0, pynq:BOARD.bit, or the port that"),
        (["infer"], "or the port that `edgendt emulate` prints"),
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
    assert said in done.stderr and "Traceback" not in done.stderr and len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_the_keys_of_quantize_are_listed_and_their_defaults_change_nothing(tmp_path: Path) -> None:
    needs_package("torch")
    from edgendt.config import load_config
    from edgendt.qat.recipe import QuantizeConfig

    done = edgendt("quantize", "--keys", "--json", cwd=tmp_path)
    listed = {one["key"]: one["default"] for one in json.loads(done.stdout)["keys"]}
    assert (listed["seed"], listed["bits.weight"], listed["model.kind"], listed["train.lr"]) == (0, 4, "ndt", None)
    given = [f"{key}={cli.written(value)}" for key, value in listed.items() if value is not None]
    assert load_config(QuantizeConfig, None, [one for one in given if not one.startswith("poyo.")]) == QuantizeConfig()
    assert list(tmp_path.iterdir()) == []
    shown = [line.split()[0] for line in keys_shown() if line[:1].isalpha()]
    assert set(listed) <= set(shown)


def keys_shown() -> list[str]:
    """The lines that a reader sees."""
    from edgendt.config import keys, sections
    from edgendt.qat.recipe import QuantizeConfig

    console = Console(width=200)
    with console.capture() as captured:
        console.print(cli.keys_table({"keys": keys(QuantizeConfig), "sections": sections(QuantizeConfig)}))
    return captured.get().splitlines()


def test_the_table_of_a_network_of_tokens_says_for_how_many_there_is_room() -> None:
    analytic = {"cycles": 9, "multipliers": 1, "multipliers_available": 2, "blocks": 3, "blocks_available": 4}
    analytic |= {"ultra_rams": 5, "ultra_rams_available": 64}
    result = {"stage": "project", "board": "b", "flow": "hls4ml", "resources": {}, "analytic": analytic}
    shown = cli.synth_table(
        result | {"analytic": analytic | {"rows": {"tokens": 1028, "queries": 128}}}, Path("runs/a")
    )
    said = [list(cells) for cells in zip(*(column.cells for column in shown.renderables[0].columns), strict=True)]
    assert ["room in a window", "1,028 tokens, 128 queries"] in said and ["UltraRAMs (analytic)", "5 of 64"] in said


def test_rows_are_numbers_by_name() -> None:
    assert cli.rows_by_name(["tokens=960", "spikes seen=40"]) == {"tokens": 960, "spikes seen": 40}
    for odd in ("tokens", "tokens=", "tokens=-1", "tokens=many"):
        with pytest.raises(BadInput, match=f"rows must be NAME=NUMBER, e.g. tokens=960, got '{odd}'"):
            cli.rows_by_name([odd])


def test_a_project_says_what_it_takes_and_how_it_is_built() -> None:
    analytic = {"cycles": 2404, "multipliers": 218, "multipliers_available": 220, "blocks": 97, "blocks_available": 280}
    analytic |= {"ultra_rams": 0, "ultra_rams_available": 0}
    op = {"name": "embed", "kind": "linear", "cycles": 31, "interval": 1, "multipliers": 17, "blocks": 5}
    analytic["ops"] = [op | {"ultra_rams": 0}]
    project = {"board": "pynq-z2", "flow": "hls4ml", "stage": "project", "analytic": analytic, "bitstream": None}
    console = Console(width=120)
    with console.capture() as captured:
        console.print(cli.synth_table(project, Path("runs/a/synth-pynq-z2")))
    said = captured.get()
    assert "sh build.sh in runs/a/synth-pynq-z2, or --build" in said
    assert "218 of 220" in said and "97 of 280" in said and "UltraRAM" not in said
    assert "each op (analytic)" in said and ["embed", "linear", "31", "1", "17", "5"] in map(
        str.split, said.splitlines()
    )


def test_what_the_hls_tool_says_stands_beside_what_the_loops_have() -> None:
    analytic = {"cycles": 2404, "multipliers": 218, "multipliers_available": 220, "blocks": 97, "blocks_available": 280}
    analytic |= {"ultra_rams": 0, "ultra_rams_available": 0}
    ops = [{"name": "embed", "calls": 12, "analytic": 31, "hls_estimate": 35, "module": "m"}]
    ops.append({"name": "readout", "calls": 1, "analytic": 64, "hls_estimate": None, "module": None})
    sides = {"call": {"analytic": 2404, "hls_estimate": 2619}, "golden_call": {"analytic": 1804, "simulated": 1990}}
    project = {
        "board": "pynq-z2",
        "flow": "hls4ml",
        "stage": "hls-estimate",
        "analytic": analytic,
        "bitstream": "a.bit",
    }
    project |= {"compared": sides | {"ops": ops}, "modules": [], "notes": ["no module says that"]}
    console = Console(width=120)
    with console.capture() as captured:
        console.print(cli.synth_table(project, Path("runs/a/synth-pynq-z2")))
    said = [line.split() for line in captured.get().splitlines()]
    for words in (
        "cycles per call (HLS estimate) 2,619",
        "longest golden call, cycles (co-simulated; analytic) 1,990; 1,804",
        "embed 12 31 35",
        "readout 1 64 –",
        "note no module says that",
        "bitstream runs/a/synth-pynq-z2/a.bit",
    ):
        assert words.split() in said, captured.get()


def test_a_file_in_the_place_of_the_runs_is_one_sentence_and_exit_2(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    done = edgendt("quantize", "data.conditions=4", "--runs", "file", cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.startswith("error: run file/lorenz-")
    assert done.stderr.endswith("cannot be made: file is a file; choose another --name or --runs\n")
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize("place", ["nowhere/p.edt", "folder"])
def test_a_program_that_cannot_be_written_is_one_sentence_and_exit_2(place: str, tmp_path: Path) -> None:
    needs_package("onnx")
    from edgendt.export import export_program

    export_program(random_ndt(0), tmp_path / "model.onnx")
    (tmp_path / "folder").mkdir()
    done = edgendt("lower", "model.onnx", "-o", place, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: program cannot be written to {place}: ") and done.stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "model.onnx"]


def test_brackets_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    said = "pip install 'edgendt[train]' [bold]:smile:[/bold]"
    cli.show({}, False, lambda _: cli.grid(said, ["[dim]"], [[said]]))
    cli.show({}, False, lambda _: said)
    cli.complain(said)
    printed = capsys.readouterr()
    assert printed.out.count(said) == 3 and "[dim]" in printed.out
    assert printed.err == f"error: {said}\n"


def test_an_error_of_the_system_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "runs/[a]")

    monkeypatch.setattr(cli, "app", full)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert (end.value.code, capsys.readouterr().err) == (1, "error: runs/[a]: No space left on device\n")


def test_an_interrupted_training_says_that_the_same_command_goes_on(tmp_path: Path) -> None:
    options = "data.conditions=4 train.steps=100000 model.d_model=8 model.ffn=16 model.layers=1".split()
    command = [sys.executable, "-c", "from edgendt.cli import main; main()", "quantize", "--name", "long", *options]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # ignored where pytest runs with &
    )
    checkpoint = tmp_path / "runs" / "long" / ".training" / "float.pt"
    deadline = time.monotonic() + 60
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, ""), err
    assert err == "interrupted: nothing half-written is kept; repeat the command: a training goes on where it was\n"
    assert [path.name for path in (tmp_path / "runs" / "long").iterdir()] == [".training"] and checkpoint.exists()


def test_boards_prints_one_json_object_and_nothing_else(tmp_path: Path) -> None:
    done = edgendt("boards", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    names = [board["name"] for board in json.loads(done.stdout)["boards"]]
    assert "ulx3s-85f" in names and names == sorted(names)


def test_every_column_of_the_boards_is_explained() -> None:
    columns = [column.header for column in cli.boards_table({"boards": []}).columns][1:]
    said = cli.boards.__doc__ or ""
    assert columns and [column for column in columns if f"{column}," not in said] == []


def test_an_unknown_board_names_the_known_ones(tmp_path: Path) -> None:
    with Run(tmp_path / "runs" / "r").write("quantize") as folder:
        np.save(folder / "x.npy", np.zeros(1))
    done = edgendt("synth", "--board", "abacus", cwd=tmp_path)
    assert done.returncode == 2
    assert "board 'abacus' is not known: choose one of" in done.stderr and "ulx3s-85f" in done.stderr
