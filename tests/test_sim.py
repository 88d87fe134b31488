"""The regression of a run: links in processes of their own, a difference named, nothing skipped in silence."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from needs import needs, needs_package
from networks import golden_ndt, random_counts, random_ndt
from test_cli import edgendt

from edgendt.artifact import Run
from edgendt.compare import LinkResult
from edgendt.data.stimulus import packed, stimulus
from edgendt.data.tokens import spikes_last
from edgendt.engine.config import Engine
from edgendt.errors import BadInput
from edgendt.export import export_program
from edgendt.firmware import Firmware
from edgendt.program import Program
from edgendt.sim import links, regress, regression


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run of the golden network, its QONNX file beside it; two trials of different lengths."""
    program, counts, _ = golden_ndt()
    made = Run(tmp_path / "runs" / "golden")
    with made.write("quantize") as folder:
        program.save(folder / "program.edt")
        export_program(program, folder / "model.onnx")
        padded = np.stack([counts, counts[::-1]])
        padded[1, 9:] = 0
        np.savez(folder / "stimulus.npz", counts=padded, lengths=np.array([len(counts), 9]))
    return made


def spoil(run: Run, name: str) -> None:
    """Change one weight of a node by one."""
    path = run.stage("quantize") / "program.edt"
    program = Program.load(path)
    weight = program.node(name).constants["weight"].copy()
    weight[0, np.abs(weight[0]).argmin()] += 1
    nodes = [
        dataclasses.replace(node, constants={**node.constants, "weight": weight}) if node.name == name else node
        for node in program.nodes
    ]
    dataclasses.replace(program, nodes=tuple(nodes)).save(path)


def link(name: str, result: dict[str, Any]) -> dict[str, Any]:
    return next(link for link in result["links"] if link["name"] == name)


def test_links_that_agree_pass_and_say_how_much_was_compared(run: Run) -> None:
    result = regress(run, ["qonnx", "stream"], bins=40, quiet=True)
    codes = 42 * (21 - 5 + 1)  # bins: whole trials, at least 40
    asked = [link for link in result["links"] if link["name"] in ("qonnx", "stream")]
    assert [link["status"] for link in asked] == ["pass", "pass"]
    assert all(link["ops"] == 21 and link["mismatches"] == 0 and link["codes"] > codes for link in asked)
    assert all((link["bins"], link["output_bins"]) == (42, 0) for link in asked)
    others = [link for link in result["links"] if link not in asked]
    assert {(link["status"], link["reason"]) for link in others} == {("skipped", "not asked for")}
    assert len(result["links"]) == 5 and "sources" not in result, "without the engine link no engine is proven"
    assert json.loads((run.stage("sim") / "sim.json").read_text()) == result


def test_one_changed_weight_is_named_with_link_op_bin_and_index_and_exits_1(run: Run) -> None:
    spoil(run, "layer0.q")
    done = edgendt("sim", "golden", "--links", "qonnx,stream", "--json", cwd=run.path.parent.parent)
    links = {link["name"]: link for link in json.loads(done.stdout)["links"]}
    assert done.returncode == 1
    assert links["stream"]["status"] == "pass"
    assert links["qonnx"]["status"] == "fail" and links["qonnx"]["mismatches"] > 0
    assert links["qonnx"]["reason"].startswith("qonnx: op layer0.q, bin 0, index 0: expected ")
    assert links["qonnx"]["reason"] in done.stderr


def case(run: Run, folder: Path) -> links.Case:
    """Of 33 bins, then 9."""
    program = Program.load(run.stage("quantize") / "program.edt")
    return links.Case(run, program, stimulus(run, program, None), folder, None, False)


def test_of_many_bins_the_first_trials_go_through_hls4mls_kernels(run: Run, tmp_path: Path) -> None:
    two = case(run, tmp_path)
    many = dataclasses.replace(two, trials=two.trials * 100)  # 4200 bins
    for asked, first in ((two, 2), (many, 24), (dataclasses.replace(many, trials=many.trials[:94]), 94)):
        kernels, plain = links.split(asked)
        assert (len(kernels.trials), len(plain.trials)) == (first, len(asked.trials) - first)
    assert sum(map(len, links.split(many)[0].trials)) == 504


def test_of_many_bins_the_others_go_through_plain_integers_and_are_compared(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("g++"), needs("verilator")
    asked = case(run, tmp_path)
    once = links.hls4ml(asked)
    monkeypatch.setattr(links, "MANY", 20)
    monkeypatch.setattr(links, "FIRST", 20)
    more = links.hls4ml(asked)
    assert (once.bins, once.output_bins) == (84, 0) and (more.bins, more.output_bins) == (66, 9)
    assert more.mismatches == once.mismatches == 0 and more.ops == once.ops

    run_of, trace_of = Firmware.run, Firmware.trace
    for name, faulty, said in (
        ("run", lambda self, given: run_of(self, given) + self.fast, "op readout, bin 0, index 0"),
        (
            "trace",
            lambda self, given: {
                key: codes + self.fast * (key == "layer1.f1") for key, codes in trace_of(self, given).items()
            },
            "op layer1.f1, bin 0, index 0",
        ),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(Firmware, name, faulty)
            assert f"hls4ml, plain integers: {said}: expected" in str(links.hls4ml(asked).first)


def test_a_missing_tool_is_skipped_with_its_reason_or_fails_when_strict(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))  # no g++ there
    monkeypatch.setenv("EDGENDT_CACHE", str(tmp_path / "cache"))
    skipped = link("hls4ml", regress(run, ["hls4ml"], bins=1, quiet=True))
    assert (skipped["status"], skipped["reason"]) == ("skipped", "g++ was not found: apt install g++")
    strict = link("hls4ml", regress(run, ["hls4ml"], bins=1, strict=True, quiet=True))
    assert strict["status"] == "fail" and "g++ was not found" in strict["reason"]


DAMAGE = {
    "no stimulus": ("stimulus.npz", None, "stimulus.npz does not exist"),
    "damaged stimulus": ("stimulus.npz", b"PK", "stimulus.npz cannot be read: it is no .npz file, or is cut short"),
    "no program": ("program.edt", None, "program.edt does not exist"),
    "damaged program": ("program.edt", b"hello", "program.edt cannot be read: File is not a zip file"),
}


@pytest.mark.parametrize("verb", ["sim", "profile"])
@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_run_is_one_sentence_and_exit_2_and_what_was_proven_stays(run: Run, verb: str, case: str) -> None:
    file, content, said = DAMAGE[case]
    with run.write("sim") as folder:
        (folder / "sim.json").write_text("proven before")
    path = run.stage("quantize") / file
    path.unlink() if content is None else path.write_bytes(content)
    done = edgendt(verb, "golden", cwd=run.path.parent.parent)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ") and done.stderr.endswith(f"{said}\n") and done.stderr.count("\n") == 1
    assert (run.stage("sim") / "sim.json").read_text() == "proven before"


def test_stimulus_of_another_network_is_refused(run: Run) -> None:
    path = run.stage("quantize") / "stimulus.npz"
    own = Program.load(run.stage("quantize") / "program.edt").channels
    for channels, lengths, said in (
        (own + 1, [9, 9], "counts must be whole"),
        (own, [9], "lengths must be whole"),
        (own, [9, 10], r"lengths be 1\.\.9"),
    ):
        np.savez(path, counts=np.zeros((2, 9, channels), int), lengths=lengths)
        with pytest.raises(BadInput, match=said):
            regress(run, ["stream"], bins=1)


def test_an_engine_that_is_none_stops_the_regression_before_it_begins(run: Run) -> None:
    with pytest.raises(
        BadInput,
        match=r"engine must be tiny, compact, small, full, large, .*kria-wide or a TOML file, got nofile\.toml",
    ):
        regress(run, ["stream"], bins=1, engine="nofile.toml")
    assert not run.has("sim")


def test_an_engine_that_the_default_board_does_not_hold_is_said_before_it_is_simulated(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def never(name: str, run: Run, folder: Path, options: dict[str, Any], strict: bool) -> LinkResult:
        asked.append((name, options["engine"]))
        return LinkResult(name, "skipped", "not run here")

    monkeypatch.setattr(regression, "in_process", never)
    said: list[str] = []
    regress(run, ["engine"], bins=1, quiet=True, warn=said.append)
    assert (asked, said) == ([("engine", "small")], [])
    random_ndt(1, channels=5, d=128, layers=4, heads=4, ffn=256).save(run.stage("quantize") / "program.edt")
    np.savez(run.stage("quantize") / "stimulus.npz", counts=np.zeros((1, 3, 5), int), lengths=[3])
    regress(run, ["engine"], bins=1, quiet=True, warn=said.append)
    (sentence,) = said
    assert asked[1] == ("engine", "large") and "engine small, of board ulx3s-85f, does not hold random1" in sentence
    regress(run, ["engine"], bins=1, engine="small", quiet=True, warn=said.append)
    assert asked[2] == ("engine", "small") and len(said) == 1


def test_windows_of_tokens_are_simulated_where_there_is_room_for_them(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_package("torch")
    from poyos import random_poyo, windows

    taken: list[str] = []

    def never(name: str, run: Run, folder: Path, options: dict[str, Any], strict: bool) -> LinkResult:
        taken.append(options["engine"])
        return LinkResult(name, "skipped", "not run here")

    monkeypatch.setattr(regression, "in_process", never)
    program, trials = random_poyo(0, depth=1), [spikes_last(given) for given in windows()]
    many = max(len(given["token_ms"]) for given in trials)
    program.save(run.stage("quantize") / "program.edt")
    np.savez(run.stage("quantize") / "stimulus.npz", **packed(trials))
    said: list[str] = []
    for room in ({"tokens": many}, {"tokens": many - 1, "tokens-large": many}):
        monkeypatch.setattr(regression, "rooms", lambda program, room=room: room)
        regress(run, ["engine"], bins=1, quiet=True, warn=said.append)
    assert taken == ["tokens", "tokens-large"]
    assert said == [
        f"engine tokens, of board ulx3s-85f, has no room for windows of {many:,} tokens: tokens-large is simulated in "
        "its place"
    ]


def test_a_link_named_twice_is_refused(run: Run) -> None:
    with pytest.raises(BadInput, match="link 'stream' is named twice"):
        regress(run, ["stream", "qonnx", "stream"], bins=1)


def test_a_missing_model_is_the_links_failure_in_one_sentence(run: Run) -> None:
    (run.stage("quantize") / "model.onnx").unlink()
    got = link("qonnx", regress(run, ["qonnx"], bins=1, quiet=True))
    assert got["status"] == "fail" and got["reason"].endswith("model.onnx cannot be read: No such file or directory")


def test_an_unknown_link_and_one_that_compares_nothing_are_errors(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match="link 'rust' is not known: choose from torch, qonnx"):
        regress(run, ["rust"], bins=1)
    monkeypatch.setitem(links.LINKS, "stream", lambda case: links.Tally())
    request = {"link": "stream", "run": str(run.path), "folder": "", "bins": 1, "engine": None, "waves": False}
    assert links.execute(request).reason == "stream: nothing was compared"


ENGINE = Engine(
    segments=1, lanes=4, pipes=2, weight_depth=256, kv_depth=64, bias_depth=64, act_depth=128, prog_depth=64
)


@pytest.mark.parametrize("bins, status", [(4, "pass"), (9, "fail")], ids=["passing bench", "failing bench"])
def test_a_waveform_is_kept_in_the_stage_and_named_in_its_answer(bins: int, status: str, tmp_path: Path) -> None:
    """Eight position rows: the engine refuses the ninth bin, and the bench fails there."""
    needs("verilator"), needs("g++")
    program = random_ndt(3, channels=5, d=6, layers=1, heads=2, ffn=7, window=3, outputs=4, bins=8)
    (tmp_path / "tiny.toml").write_text("".join(f"{k} = {v}\n" for k, v in dataclasses.asdict(ENGINE).items()))
    made = Run(tmp_path / "runs" / "tiny")
    with made.write("quantize") as folder:
        program.save(folder / "program.edt")
        np.savez(folder / "stimulus.npz", counts=random_counts(program, 1, bins)[None], lengths=np.array([bins]))
    result = regress(made, ["engine"], bins=bins, engine=str(tmp_path / "tiny.toml"), waves=True, quiet=True)
    kept = link("engine", json.loads((made.stage("sim") / "sim.json").read_text()))
    assert kept == link("engine", result) and kept["status"] == status
    assert Path(kept["waves"]).parent == made.stage("sim") / "engine"
    assert Path(kept["waves"]).stat().st_size > 100_000
    assert ("the engine's bench failed" in (kept["reason"] or "")) == (status == "fail")


def test_no_waveform_is_made_or_named_unasked(run: Run) -> None:
    assert all(link["waves"] is None for link in regress(run, ["stream"], bins=1, quiet=True)["links"])
