"""`edgendt quantize` from spikes to the stage folder: what it holds, and that its links agree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from needs import needs_package, shared

torch = needs_package("torch")


from edgendt import metrics  # noqa: E402
from edgendt import quantize as room  # noqa: E402
from edgendt.artifact import Run  # noqa: E402
from edgendt.config import load_config  # noqa: E402
from edgendt.engine.compile import compile_program  # noqa: E402
from edgendt.engine.config import Engine  # noqa: E402
from edgendt.export import export_qonnx  # noqa: E402
from edgendt.lower import lower  # noqa: E402
from edgendt.models.ndt import NDT, NDTConfig  # noqa: E402
from edgendt.program import Program  # noqa: E402
from edgendt.qat.job import Job  # noqa: E402
from edgendt.qat.ndt import QuantNDT  # noqa: E402
from edgendt.qat.recipe import QuantizeConfig, resolve  # noqa: E402
from edgendt.quantize import quantize  # noqa: E402
from edgendt.sim.links import execute  # noqa: E402
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


def test_counts_that_are_cut_and_a_network_that_goes_are_told_before_training(
    done: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    _, stage = done
    spikes = np.random.default_rng(0).poisson(1.0, (10, 12, 6))
    spikes[:, 3], spikes[:, 5] = 255, 300
    np.savez(path := tmp_path / "mine.npz", spikes=spikes)
    chosen = [f"data.source={path}"]
    for bits, cut, most, advice in ((8, 60, 255, "shorter bins hold fewer"), (7, 120, 127, "raise bits.counts")):
        job = Job.of(load_config(QuantizeConfig, None, [*chosen, f"bits.counts={bits}"]))
        first = f"trial 0, bin {5 if bits == 8 else 3}, channel 0"
        told = f"{path}: {cut} counts above {most}, up to 300, the first in {first}; as inputs they are cut to {most}: "
        told += advice
        assert list(room.beforehand(job, Run(tmp_path / "new"))) == [told]
    replaced = f"run {stage.parent} has a network, which this one replaces once it is done: another --name keeps both"
    assert list(room.beforehand(Job.of(config()), Run(stage.parent))) == [replaced]
    assert not list(room.beforehand(Job.of(config()), Run(tmp_path / "new")))


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
