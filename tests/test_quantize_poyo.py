"""`edgendt quantize` of a POYO: that its links agree, sessions, what is told before training."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from needs import needs_package

needs_package("torch")


from edgendt import quantize_poyo  # noqa: E402
from edgendt.artifact import Run  # noqa: E402
from edgendt.config import load_config  # noqa: E402
from edgendt.data.stimulus import stimulus  # noqa: E402
from edgendt.data.tokens import last_spike, whole  # noqa: E402
from edgendt.errors import BadInput  # noqa: E402
from edgendt.lower import lower  # noqa: E402
from edgendt.program import Program  # noqa: E402
from edgendt.qat.poyo import QuantPOYO  # noqa: E402
from edgendt.qat.poyo_job import PoyoJob  # noqa: E402
from edgendt.qat.recipe import QuantizeConfig, resolve_poyo  # noqa: E402
from edgendt.quantize import quantize  # noqa: E402
from edgendt.quantize_poyo import too_long  # noqa: E402
from edgendt.report import write_report  # noqa: E402
from edgendt.report.page import resolve as at_pointer  # noqa: E402
from edgendt.sim.links import execute  # noqa: E402
from edgendt.tools import find_tool  # noqa: E402
from edgendt.wiring import groups  # noqa: E402

POYO = ["model.kind=poyo", "data.conditions=12", "train.steps=4", "train.val_every=2", "qat.steps=3"]
POYO += ["poyo.window_ms=1000"]  # a trial each
POYO += ["poyo.dim=16", "poyo.depth=1", "poyo.latents=2", "poyo.head_size=8", "poyo.self_heads=2"]


def poyo(*overrides: str) -> QuantizeConfig:
    return load_config(QuantizeConfig, None, [*POYO, *overrides])


def test_a_poyo_goes_through_and_its_links_agree(tmp_path: Path) -> None:
    result = quantize(poyo(), tmp_path, "tokens", quiet=True)
    assert list(result) == ["run", "metrics"]
    assert list(result["metrics"]) == ["float", "control", "integer", "baseline", "gru"]
    scores = {name: value for row in result["metrics"].values() for name, value in row.items()}
    assert set(scores) == {"velocity_r2", "whole_window_r2"} and all(np.isfinite(value) for value in scores.values())
    run = Run.open("tokens", tmp_path)
    stage = run.stage("quantize")
    program = Program.load(stage / "program.edt")
    assert program == QuantPOYO.load(stage / "qat.pt").program() == lower(stage / "model.onnx")
    assert resolve_poyo(load_config(QuantizeConfig, stage / "config.toml")) == resolve_poyo(poyo())
    request = {"run": str(run.path), "folder": str(tmp_path), "bins": 60, "engine": None, "waves": False}
    for link in ("torch", "qonnx", *(["hls4ml"] if find_tool("g++") else [])):
        got = execute({"link": link, **request})
        assert (got.status, got.bins, got.mismatches, got.ops) == ("pass", 100, 0, len(program.trace_points)), (
            got.reason
        )
    got = execute({"link": "stream", **request})
    assert got.status == "skipped" and "this link goes bin by bin" in str(got.reason)
    got = execute({"link": "engine", **request, "engine": "window"})
    assert got.status == "skipped" and "an engine without tokens = 1 takes counts per bin, poyo reads" in str(
        got.reason
    )
    page = write_report(run).read_text()
    said = json.loads((run.stage("report") / "report.json").read_text())
    numbers = re.findall(r'<data value="([^"]*)" data-from="([^"]*)"', page)
    assert len(numbers) > 20 and all(str(at_pointer(said, pointer)) == value for value, pointer in numbers)
    assert "a POYO on single spikes" in page and "edgendt profile" in page
    assert said["network"]["typical"]["windows"] == 2 and said["accuracy"]["metrics"]["gru"]["velocity_r2"] is not None
    whole_windows = said["accuracy"]["metrics"]["integer"]["whole_window_r2"]
    assert said["said"]["r2"] == pytest.approx(whole_windows) and "2</data> test windows of lorenz" in page


def test_what_a_poyo_says_comes_back_as_velocity(tmp_path: Path) -> None:
    quantize(poyo(), tmp_path, "tokens", quiet=True)
    run = Run.open("tokens", tmp_path)
    program, job = Program.load(run.stage("quantize") / "program.edt"), PoyoJob.of(poyo())
    net = QuantPOYO.load(run.stage("quantize") / "qat.pt")
    trials = job.sessions.splits[0].test
    expected = job.sessions.predict(net, 0, trials, whole)
    windows = stimulus(run, program, None)
    assert len(windows) == len(trials) == 2 and len(stimulus(run, program, 1)) == 1
    assert [last_spike(given) for given in windows] == [len(given["tokens"]) - 1 for given in windows]
    codes = np.stack([program.run(given) for given in windows])
    said = groups(program)["velocity"].values(codes, program.output_format)
    assert np.allclose(said, expected, rtol=1e-12, atol=1e-12)  # of floats, whose scale may be multiplied in any order
    with np.load(run.stage("quantize") / "stimulus.npz") as arrays:
        assert np.array_equal(arrays["vel"].reshape(expected.shape), job.sessions.data[0].vel[trials])


def test_stimulus_of_another_poyo_is_one_sentence(tmp_path: Path) -> None:
    quantize(poyo(), tmp_path, "tokens", quiet=True)
    run = Run.open("tokens", tmp_path)
    path, program = run.stage("quantize") / "stimulus.npz", Program.load(run.stage("quantize") / "program.edt")
    with np.load(path) as found:
        arrays = dict(found)
    for change, said in (
        ({"tokens": arrays["tokens"] + 99}, "embed: row of a token must be"),
        ({"tokens": arrays["tokens"][:-1]}, "tokens.rows must add up to the rows of tokens"),
        ({"query_ms.rows": arrays["query_ms.rows"].sum(keepdims=True)}, "every input must have as many windows"),
        ({"queries": arrays["queries"][:, :1]}, r"queries must be \[queries, 2\]"),
    ):
        np.savez(path, **arrays | change)
        with pytest.raises(BadInput, match=said):
            stimulus(run, program, 1)
    np.savez(path, **{key: value for key, value in arrays.items() if key != "tokens"})
    with pytest.raises(BadInput, match=r"stimulus\.npz cannot be read: it has no tokens"):
        stimulus(run, program, 1)


def test_several_sessions_of_a_file_share_one_poyo(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {}
    for name, units in (("monday", 4), ("friday", 6)):
        arrays |= {f"{name}/spikes": rng.poisson(1.0, (8, 10, units)), f"{name}/vel": rng.normal(size=(8, 10, 2))}
    np.savez(tmp_path / "lab.npz", **arrays, **{f"{name}/bin_s": 0.1 for name in ("monday", "friday")})
    asked = [f"data.source={tmp_path / 'lab.npz'}", "data.session=monday,friday"]
    result = quantize(poyo(*asked), tmp_path, "both", quiet=True)
    stage = Path(result["run"]) / "quantize"
    program = Program.load(stage / "program.edt")
    assert [session["units"] for session in program.meta["sessions"]] == [4, 6]
    assert groups(program)["velocity"].scale == ()  # standardised: each session has its own scale
    assert {int(given["queries"][0, 0]) for given in stimulus(Run(stage.parent), program, None)} == {0, 1}
    described = json.loads((stage / "data.json").read_text())
    assert [session["name"] for session in described["sessions"]] == ["lab/monday", "lab/friday"]


def test_recorded_spike_times_go_through(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    starts = np.arange(8.0)
    np.savez(
        tmp_path / "times.npz",
        times=np.sort(rng.uniform(0, 8, 400)),
        units=rng.integers(0, 5, 400),
        trials=np.stack([starts, starts + 0.9], 1),
        vel=rng.normal(size=(801, 2)),
        vel_times=np.arange(801) / 100,
    )
    job = PoyoJob.of(poyo(f"data.source={tmp_path / 'times.npz'}"))
    assert job.sessions.data[0].source.endswith("recorded times") and job.geometry.units == 5


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("model.d_model=32", "of a poyo give only model.kind, and its geometry as poyo"),
        ("train.mask_bins=0.1", "train.mask_bins is of an NDT"),
        ("bits.per_output=true", "bits.per_output is of an NDT"),
        ("bits.overrides.layer9=8", "bits.overrides must name a Linear .*got 'layer9'"),
        ("poyo.preset=huge", "preset must be one of compact, small, 1.3m, got 'huge'"),
        ("poyo.width=3", "poyo.width in options is not an option"),
        ("poyo.head_size=7", "poyo: head_size must be even"),
        ("poyo.least_units=2", "poyo.least_units must be a share"),
        ("poyo.step_ms=1 poyo.window_ms=10", "poyo.window_ms must be 20, one bin, to 65535, got 10"),
        ("poyo.dropout=1", "dropout must be 0 to below 1"),
        ("data.source=chaotic_rnn", "spike times are decoded to velocity, and it has no `vel`"),
        ("data.session=monday", "lorenz is built in and has none"),
        ("data.source=nothing", "lorenz, chaotic_rnn or a FILE"),
        ("data.conditions=0", "data.conditions must be at least 1"),
        ("seed=-1", "seed must be 0 to"),
        ("train.steps=0", "train.steps must be at least 1"),
    ],
)
def test_options_that_a_poyo_cannot_have_are_refused_before_training(
    override: str, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=sentence):
        quantize(poyo(*override.split()), tmp_path, quiet=True)
    assert not list(tmp_path.iterdir())


def test_a_window_of_more_tokens_than_sums_hold_is_refused_before_training(tmp_path: Path) -> None:
    np.savez(tmp_path / "busy.npz", spikes=np.full((6, 10, 90), 5), vel=np.zeros((6, 10, 2)), bin_s=0.1)
    with pytest.raises(BadInput, match=r"a window holds 4680 tokens, the sums 4112 at most: lower poyo\.window_ms"):
        PoyoJob.of(poyo(f"data.source={tmp_path / 'busy.npz'}"))


@pytest.mark.parametrize(
    "overrides, sentence",
    [
        ("data.conditions=12", None),  # 826 tokens; heads of 8 are none of kria's
        (
            "poyo.window_ms=250",
            "windows of up to 1,347 tokens do not fit engine tokens (room for 1,024): lower poyo.window_ms, now 250, "
            "or take --engine tokens-large (room for 2,047)",
        ),
        (
            "poyo.window_ms=500 poyo.head_size=16",
            "windows of up to 2,469 tokens do not fit engine tokens (room for 1,024), tokens-large (room for 2,047), "
            "kria (room for 2,047): lower poyo.window_ms, now 500",
        ),
        (
            "poyo.window_ms=250 poyo.preset=small poyo.dim=64 poyo.depth=2 poyo.head_size=64 poyo.latents=8",
            "windows of up to 1,347 tokens do not fit engine tokens (room for 0), tokens-large (room for 1,216): lower "
            "poyo.window_ms, now 250, or choose a smaller network, or take --engine kria (room for 2,047)",
        ),
    ],
)
def test_windows_that_no_engine_has_room_for_are_told_before_training(
    overrides: str, sentence: str | None, tmp_path: Path
) -> None:
    if "window_ms" in overrides:
        np.savez(tmp_path / "busy.npz", spikes=np.full((6, 10, 90), 5), vel=np.zeros((6, 10, 2)), bin_s=0.1)
        overrides += f" data.source={tmp_path / 'busy.npz'}"
    assert too_long(PoyoJob.of(poyo(*overrides.split()))) == sentence


def test_times_that_a_recording_lacks_are_told_to_be_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantize_poyo, "rooms", lambda program: {"tokens": 4112})
    np.savez(tmp_path / "lab.npz", spikes=np.ones((6, 10, 9), np.int64), vel=np.zeros((6, 10, 2)), bin_s=0.1)
    lab = PoyoJob.of(poyo(f"data.source={tmp_path / 'lab.npz'}"))
    (said,) = quantize_poyo.told(lab)
    assert said.endswith(
        "lab.npz: counts, jittered within bins of 100 ms: what its spikes did within a bin is not known"
    )
    assert quantize_poyo.told(PoyoJob.of(poyo())) == []  # of a system whose rates hold for a bin


def test_the_warning_stands_before_the_first_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantize_poyo, "rooms", lambda program: {"tokens": 3})
    said: list[str] = []

    def interrupt(*step: Any) -> None:
        raise KeyboardInterrupt(*said)

    with pytest.raises(
        KeyboardInterrupt, match=r"^windows of up to 826 tokens do not fit engine tokens \(room for 3\)"
    ):
        quantize(poyo(), tmp_path, progress=interrupt, warn=said.append)
