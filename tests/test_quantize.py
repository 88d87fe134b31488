"""`edgendt quantize` from spikes to the stage folder: what it holds, that its links agree, what it refuses."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from needs import needs_package, shared

torch = needs_package("torch")

from networks import random_ndt  # noqa: E402

from edgendt import metrics, quantize_poyo  # noqa: E402
from edgendt import quantize as room  # noqa: E402
from edgendt.artifact import Run  # noqa: E402
from edgendt.config import load_config  # noqa: E402
from edgendt.data.stimulus import stimulus  # noqa: E402
from edgendt.data.tokens import last_spike, whole  # noqa: E402
from edgendt.engine.compile import compile_program  # noqa: E402
from edgendt.engine.config import Engine  # noqa: E402
from edgendt.engine.formats import check_formats  # noqa: E402
from edgendt.engine.image import Image, Section  # noqa: E402
from edgendt.errors import BadInput, UnsupportedOp  # noqa: E402
from edgendt.export import export_qonnx  # noqa: E402
from edgendt.fixed import Int  # noqa: E402
from edgendt.lower import lower  # noqa: E402
from edgendt.models.ndt import NDT, NDTConfig  # noqa: E402
from edgendt.ops import Attention  # noqa: E402
from edgendt.program import ACCUMULATOR, Program  # noqa: E402
from edgendt.qat.job import Job  # noqa: E402
from edgendt.qat.limits import LIMITS  # noqa: E402
from edgendt.qat.ndt import QuantNDT  # noqa: E402
from edgendt.qat.poyo import QuantPOYO  # noqa: E402
from edgendt.qat.poyo_job import PoyoJob  # noqa: E402
from edgendt.qat.recipe import ModelConfig, QuantizeConfig, resolve, resolve_poyo  # noqa: E402
from edgendt.quantize import quantize  # noqa: E402
from edgendt.quantize_poyo import too_long  # noqa: E402
from edgendt.report import write_report  # noqa: E402
from edgendt.report.page import resolve as at_pointer  # noqa: E402
from edgendt.sim.links import execute  # noqa: E402
from edgendt.tools import find_tool  # noqa: E402
from edgendt.wiring import Wiring, groups  # noqa: E402

QUICK = ["data.conditions=4", "train.steps=20", "qat.steps=10", "model.d_model=8", "model.ffn=16", "model.layers=1"]
SCORES = {"co_bps", "rate_r2", "velocity_r2"}


def config(*overrides: str) -> QuantizeConfig:
    return load_config(QuantizeConfig, None, [*QUICK, *overrides])


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    root = tmp_path_factory.mktemp("runs")
    result = quantize(config(), root, "quick", quiet=True)
    return result, Run.open("quick", root).stage("quantize")


def test_the_answer_has_the_keys_others_rely_on(done: tuple[dict[str, Any], Path]) -> None:
    result, stage = done
    assert set(result) == {"run", "metrics"} and result["run"] == str(stage.parent)
    assert list(result["metrics"]) == ["float", "control", "integer", "baseline"]
    assert all(set(scores) == SCORES for scores in result["metrics"].values())
    assert json.loads((stage / "metrics.json").read_text()) == result["metrics"]
    integer = result["metrics"]["integer"]
    assert integer["velocity_r2"] is None and isinstance(integer["co_bps"], float)


def test_the_stage_holds_what_later_stages_need(done: tuple[dict[str, Any], Path]) -> None:
    _, stage = done
    names = {path.name for path in stage.iterdir()}
    files = "model.onnx program.edt metrics.json config.toml data.json qat.pt float.pt stimulus.npz predictions.npz"
    assert {*files.split(), "tensorboard", "manifest.json"} == names
    assert not (stage.parent / room.UNFINISHED).exists()
    with np.load(stage / "stimulus.npz", allow_pickle=False) as stimulus:
        assert stimulus["counts"].dtype == np.int64 and len(stimulus["counts"]) == len(stimulus["lengths"])
        assert {"counts", "lengths", "bin_s", "rates"} == set(stimulus.files)
    with np.load(stage / "predictions.npz", allow_pickle=False) as shown:
        assert shown["rates_integer"].shape == shown["spikes"].shape == shown["rates_true"].shape


def test_the_program_is_the_network_that_was_scored(done: tuple[dict[str, Any], Path]) -> None:
    _, stage = done
    program, network = Program.load(stage / "program.edt"), QuantNDT.load(stage / "qat.pt")
    with np.load(stage / "stimulus.npz", allow_pickle=False) as stimulus:
        counts = stimulus["counts"][0]
    expected = network.trace(counts)["readout"]
    assert np.array_equal(program.run(counts), expected)
    with np.load(stage / "predictions.npz", allow_pickle=False) as shown:
        rates = shown["rates_integer"][0]
    scale = program.node(program.output).op.y.frac
    # Codes are exact in float32, as are their rates when they are rounded to it once.
    assert np.array_equal(np.exp(expected * 2.0**-scale).astype(np.float32), rates)


def test_the_float_network_loads_and_the_config_repeats_the_run(done: tuple[dict[str, Any], Path]) -> None:
    _, stage = done
    saved = torch.load(stage / "float.pt", weights_only=True)
    NDT(NDTConfig(**saved["config"])).load_state_dict(saved["weights"])
    again = load_config(QuantizeConfig, stage / "config.toml")
    assert resolve(again, 50, 30) == again == resolve(config(), 50, 30)


def steps(folder: Path) -> dict[str, list[int]]:
    """Steps by tag, as TensorBoard shows them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = {}
    for phase in folder.iterdir():
        events = EventAccumulator(str(phase)).Reload()
        found |= {tag: [event.step for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    return found


def test_event_files_hold_losses_and_scores(done: tuple[dict[str, Any], Path]) -> None:
    logged = steps(done[1] / "tensorboard")
    assert logged["float/loss"] == list(range(1, 21)) and logged["float/validation"] == [20]
    assert logged["control/loss"] == logged["qat/loss"] == list(range(1, 11))
    assert logged["test/co_bps/integer"] == [0]


def test_an_interrupted_run_goes_on_and_ends_the_same(done: tuple[dict[str, Any], Path], tmp_path: Path) -> None:
    def cut(phase: str, step: int, steps: int) -> None:
        if phase == "qat" and step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quantize(config(), tmp_path, "quick", progress=cut)
    assert not Run(tmp_path / "quick").has("quantize")
    trained: list[str] = []

    def watch(phase: str, step: int, steps: int) -> None:
        if step < steps:
            trained.append(phase)

    result = quantize(config(), tmp_path, "quick", progress=watch)
    assert set(trained) == {"qat"}  # float and control were finished
    assert result["metrics"] == done[0]["metrics"]
    stage = Run(tmp_path / "quick").stage("quantize")
    assert (stage / "program.edt").read_bytes() == (done[1] / "program.edt").read_bytes()
    assert len(list((stage / "tensorboard" / "qat").iterdir())) == 2  # a file per start
    assert steps(stage / "tensorboard") == steps(done[1] / "tensorboard")  # and no step twice


def test_checkpoints_of_other_options_are_not_taken_up(tmp_path: Path) -> None:
    run, job = Run(tmp_path / "r"), Job.of(config())
    with room.unfinished(run, job) as folder:
        (folder / "float.pt").write_text("checkpoint")
    with room.unfinished(run, job) as folder:
        assert (folder / "float.pt").exists()
    with room.unfinished(run, Job.of(config("train.lr=0.1"))) as folder:
        assert not (folder / "float.pt").exists()


def test_runs_of_other_options_get_other_names() -> None:
    first, other = room.default_name(Job.of(config())), room.default_name(Job.of(config("seed=1")))
    assert first.startswith("lorenz-") and first != other
    assert first == room.default_name(Job.of(config()))


def test_a_recording_gives_velocity_and_ragged_trials(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    trial = np.repeat(np.arange(20), rng.integers(5, 12, 20))
    spikes = rng.poisson(1.0, (len(trial), 6))
    path = tmp_path / "my lab.npz"
    np.savez(path, spikes=spikes, trial=trial, vel=rng.normal(size=(len(trial), 2)), bin_s=0.05)
    result = quantize(config(f"data.source={path}", "data.conditions=1"), tmp_path / "runs", quiet=True)
    for scores in result["metrics"].values():
        assert scores["rate_r2"] is None
        assert all(isinstance(scores[key], float) for key in ("co_bps", "velocity_r2"))
    assert Path(result["run"]).name.startswith("my-lab-")
    with np.load(Path(result["run"]) / "quantize" / "predictions.npz", allow_pickle=False) as shown:
        assert shown["vel"].shape == shown["vel_integer"].shape == shown["vel_float"].shape == (4, 11, 2)
        assert shown["rates_integer"].shape == shown["spikes"].shape == (4, 11, 6)


def test_a_recording_with_velocity_gets_it_as_outputs_of_the_program(tmp_path: Path) -> None:
    """Velocity that the spikes do tell: the chip reads it about as well before and after rounding."""
    rng = np.random.default_rng(3)
    drive = np.cumsum(rng.normal(size=(40, 12, 1)), 1)
    spikes = rng.poisson(np.exp(np.clip(0.4 * drive * rng.choice([-1.0, 1.0], 8), -2, 2)))
    np.savez(tmp_path / "lab.npz", spikes=spikes, vel=np.concatenate([50 * drive + 7, drive * 0 + 2], 2))
    result = quantize(config(f"data.source={tmp_path / 'lab.npz'}", "train.steps=60"), tmp_path, "lab", quiet=True)
    stage = Run.open("lab", tmp_path).stage("quantize")
    got = json.loads((stage / "velocity.json").read_text())
    assert got == result["velocity"] and set(got) == {"decoder_r2", "readout_float_r2", "readout_r2"}
    assert got["decoder_r2"] == result["metrics"]["integer"]["velocity_r2"]
    assert got["readout_r2"] > 0.2 and abs(got["readout_r2"] - got["readout_float_r2"]) < 0.02
    program = Program.load(stage / "program.edt")
    rates, velocity = (groups(program)[name] for name in ("rates", "velocity"))
    assert (rates.rows, velocity.rows, program.outputs) == (tuple(range(8)), (8, 9), 10)
    with np.load(stage / "stimulus.npz") as stimulus:
        codes = np.stack([program.run(program.clip(counts)[0]) for counts in stimulus["counts"]])
        read = velocity.values(codes, program.output_format)
        assert metrics.velocity_r2(read, stimulus["vel"], np.ones(read.shape[:2], bool)) == got["readout_r2"]
        assert np.abs(read[..., 1] - 2).max() < 0.01  # an axis that never moves
    alone = Wiring(outputs="velocity").apply(program)
    assert alone.outputs == 2 and groups(alone).keys() == {"velocity"}
    assert compile_program(program, Engine.named("small")).image.outputs == 10
    assert velocity_free(stage) == Wiring(outputs="rates").apply(program)


def velocity_free(stage: Path) -> Program:
    """The run's Program as if no velocity had been recorded: its outputs cut off before the export."""
    network = QuantNDT.load(stage / "qat.pt")
    state = network.state()
    state["config"] |= {"outputs": 8}
    state["fracs"] = {name: frac for name, frac in network.fracs.items() if not name.startswith("readout.w.")}
    state["weights"] |= {key: state["weights"][key][:8] for key in ("readout.weight", "readout.bias")}
    export_qonnx(QuantNDT.from_state(state), stage / "bare.onnx")
    return lower(stage / "bare.onnx")


@pytest.mark.parametrize(("trials", "bins", "channels"), [(5, 1, 2), (6, 3, 2), (5, 60, 3)])
def test_the_smallest_recordings_go_through(trials: int, bins: int, channels: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    spikes, vel = rng.poisson(1.0, (trials, bins, channels)), rng.normal(size=(trials, bins, 1))
    np.savez(tmp_path / "tiny.npz", spikes=spikes, vel=vel)
    result = quantize(config(f"data.source={tmp_path / 'tiny.npz'}"), tmp_path / "runs", quiet=True)
    values = [value for scores in result["metrics"].values() for value in scores.values()]
    assert all(value is None or np.isfinite(value) for value in values)


def test_a_network_without_held_out_channels_has_no_co_bps(tmp_path: Path) -> None:
    result = quantize(config("data.held_out=0"), tmp_path, quiet=True)
    assert all(scores["co_bps"] is None for scores in result["metrics"].values())
    assert all(isinstance(scores["rate_r2"], float) for scores in result["metrics"].values())


def test_counts_beyond_the_input_format_are_counted() -> None:
    job = Job.of(config("bits.counts=1"))
    inputs = job.data.spikes[:, :, job.split.held_in]
    described = room.describe(job)
    assert described["clipped"] == int((inputs > 1).sum()) > 0 and described["largest_count"] == inputs.max()


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("model.heads=3", "heads must divide d_model"),
        ("model.kind=gru", "model.kind must be one of ndt, stndt, poyo, got 'gru'"),
        ("model.d_model=60 model.lookup=2 model.most=300", "model: most must be at most 255, what bits.counts can say"),
        ("model.d_model=60 model.lookup=2 model.most=60", "22 channels of 60 counts are 1320 inputs, at most 1024"),
        ("model.d_model=60 model.most=4", "model: lookup and most must be at least 1, or 0 both, got 0 and 4"),
        ("model.kind=stndt model.d_model=30 model.post_norm=true", "post_norm must be false with a spatial stream"),
        ("model.causal=false model.max_bins=60", "model.max_bins must be 50, the longest trial, for whole windows"),
        (
            "model.kind=stndt model.d_model=30 model.causal=true model.spatial_heads=3",
            "must be a power of two that divides 32 bins",
        ),
        (
            "model.kind=stndt model.d_model=30 model.spatial_heads=4",
            "spatial_heads must be a power of two that divides 50 bins",
        ),
        ("model.kind=stndt", "d_model must be above 29, a channel's own column, got 8"),
        ("train.contrast=-1", "train.contrast must be 0 to below 100"),
        ("model.max_bins=10", "longest trial of lorenz has 50 bins"),
        ("model.window=0", "window must be at least 1"),
        ("model.window=300", "model: window must be at most 256, got 300"),
        ("model.heads=16 model.d_model=16", "model: heads must be at most 8, got 16"),
        ("model.heads=0", "heads must be at least 1"),
        ("model.d_model=258", "model: d_model must be at most 256, got 258"),
        ("model.ffn=2000", "model: ffn must be at most 1024, got 2000"),
        ("model.ffn=513 model.activation=gelu", "model: ffn must be at most 512 with gelu, got 513"),
        ("model.activation=tanh", "activation must be one of relu, gelu, got tanh"),
        ("model.position=rotary model.max_bins=90", "max_bins must not be given with rotary position"),
        ("model.position=fourier", "position must be one of learned, sinusoidal, rotary, got fourier"),
        ("model.max_bins=70000", "model: max_bins must be at most 65535, got 70000"),
        ("bits.weight=9", "bits of weight must be 2..8"),
        ("bits.overrides.layer9.q=8", "layer9"),
        ("data.source=nothing", "lorenz, chaotic_rnn or a FILE"),
        ("data.val=0.7", "data.val must be a share"),
        ("train.steps=0", "train.steps must be at least 1"),
        ("train.lr=-1", "train.lr must be positive"),
        ("qat.steps=-5", "qat.steps must be at least 1"),
        ("train.mask_bins=1.5", "train.mask_bins must be a share"),
        ("train.thin=1", "train.thin must be a share of 0 to below 1"),
        ("train.val_every=-1", "train.val_every must be at least 0"),
        ("qat.surrogate=2", "qat.surrogate must be a share"),
        ("seed=-1", "seed must be 0 to"),
        ("data.conditions=0", "data.conditions must be at least 1"),
    ],
)
def test_options_that_cannot_be_are_refused_before_training(override: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=sentence):
        quantize(config(*override.split()), tmp_path, quiet=True)
    assert not list(tmp_path.iterdir())


def test_a_recording_of_more_channels_than_an_engine_has_is_refused_before_training(tmp_path: Path) -> None:
    np.savez(tmp_path / "wide.npz", spikes=np.ones((6, 3, 300), int))
    with pytest.raises(BadInput, match="channels of the data must be at most 256, got 300"):
        Job.of(config(f"data.source={tmp_path / 'wide.npz'}"))


@pytest.mark.parametrize("name", LIMITS)
def test_the_limits_are_those_of_the_engine(name: str) -> None:
    """What comes after training holds the largest value and refuses the next one."""
    words = {"d_model": "d", "max_bins": "bins"}
    fields = {"d": 8, "heads": 1, "ffn": 8, "channels": 2, "outputs": 2, "window": 2, "bins": 2, "layers": 1}

    def refused(value: int) -> bool:
        wide = {"d": 16 * value} if name == "heads" else {}
        program = random_ndt(0, **fields | {words.get(name, name): value} | wide)
        try:
            check_formats(program, Engine())
            Image({}, program.channels, program.outputs, program.max_bins or 0, (Section(0, 0, np.ones(1, np.uint64)),))
        except (UnsupportedOp, ValueError):
            return True
        return False

    assert not refused(LIMITS[name]) and refused(LIMITS[name] + 1)


def test_within_the_limits_no_attention_leaves_its_accumulator() -> None:
    form = Int(8, 4)
    Attention(LIMITS["d_model"], 1, LIMITS["window"], form, form, form, form).check(ACCUMULATOR)


def test_the_recipe_follows_the_data_and_yields_to_what_is_asked() -> None:
    synthetic = resolve(QuantizeConfig(), 50, 30)
    recording = resolve(replace(synthetic, data=replace(synthetic.data, source="lab.npz")), 50, 30)
    assert synthetic == recording or synthetic.train == recording.train  # what is asked is kept
    fresh = resolve(load_config(QuantizeConfig, None, ["data.source=lab.npz", "train.lr=0.5"]), 50, 30)
    assert fresh.train.lr == 0.5 and fresh.model.dropout != synthetic.model.dropout


def test_an_stndt_has_a_column_per_channel_and_whole_windows() -> None:
    model = resolve(QuantizeConfig(model=ModelConfig("stndt")), 45, 31).model
    assert (model.d_model, model.window, model.spatial_heads, model.causal) == (32, 45, 1, False)
    whole = resolve(QuantizeConfig(model=ModelConfig("stndt")), 50, 30)
    assert (whole.model.spatial_heads, whole.train.thin, whole.train.contrast) == (2, 0.25, 0.01)
    causal = resolve(QuantizeConfig(), 50, 30)
    assert (causal.model.window, causal.model.d_model, causal.train.thin, causal.train.contrast) == (32, 64, 0.0, 0.0)


def test_heads_that_cannot_be_are_named_also_where_the_width_follows_from_them() -> None:
    with pytest.raises(BadInput, match="heads must be at least 1, got 0"):
        Job.of(load_config(QuantizeConfig, None, ["data.conditions=4", "model.kind=stndt", "model.heads=0"]))


@pytest.mark.parametrize("model", ["model.kind=stndt model.d_model=30", "model.causal=false model.position=sinusoidal"])
def test_networks_of_whole_windows_go_through_and_their_links_agree(model: str, tmp_path: Path) -> None:
    result = quantize(config(*model.split()), tmp_path, "whole", quiet=True)
    assert set(result["metrics"]["integer"]) == SCORES
    run = Run.open("whole", tmp_path)
    request = {"run": str(run.path), "folder": str(tmp_path), "bins": 60, "engine": None, "waves": False}
    for link in ("torch", "qonnx"):
        got = execute({"link": link, **request})
        assert (got.status, got.bins, got.mismatches) == ("pass", 100, 0)
    skipped = {"stream": "answers whole windows of 50 bins at once", "engine": "an engine answers whole windows when"}
    for link, reason in skipped.items():
        got = execute(request | {"link": link, "engine": "small"})
        assert got.status == "skipped" and reason in str(got.reason)


def test_a_real_recording_goes_through(tmp_path: Path) -> None:
    path = shared("realdata/miller_reach_myow.npz")
    asked = config(f"data.source={path}", "data.session=chewie_20131003_100ms_all", "data.conditions=1")
    result = quantize(asked, tmp_path, quiet=True)
    assert result["metrics"]["integer"]["velocity_r2"] is not None


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
    assert np.allclose(groups(program)["velocity"].values(codes, program.output_format), expected, atol=1e-12)
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


def test_the_warning_stands_before_the_first_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantize_poyo, "rooms", lambda program: {"tokens": 3})
    said: list[str] = []

    def interrupt(*step: Any) -> None:
        raise KeyboardInterrupt(*said)

    with pytest.raises(
        KeyboardInterrupt, match=r"^windows of up to 826 tokens do not fit engine tokens \(room for 3\)"
    ):
        quantize(poyo(), tmp_path, progress=interrupt, warn=said.append)


def test_a_poyos_options_are_refused_for_another_network() -> None:
    with pytest.raises(BadInput, match=r"poyo\.\* describes a poyo"):
        Job.of(config("poyo.dim=16"))
