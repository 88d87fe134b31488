"""From spikes to a quantized network: data, float training, control and QAT, scores, QONNX, Program."""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgendt import quantize_poyo
from edgendt.artifact import RUNS, Run, write_json
from edgendt.config import dump_config
from edgendt.errors import BadInput
from edgendt.qat.adapt_job import AdaptConfig, AdaptJob
from edgendt.qat.formats import MOST_COUNT_BITS
from edgendt.qat.job import Job, Networks, Scores
from edgendt.qat.poyo_job import PoyoJob
from edgendt.qat.recipe import POYO, QuantizeConfig
from edgendt.qat.saved import write_state
from edgendt.qat.train import Progress
from edgendt.wiring import RATES, VELOCITY, Group

__all__ = ["AdaptConfig", "QuantizeConfig", "adapt", "quantize"]
UNFINISHED = ".training"  # checkpoints of a run that has not finished; removed when it has
SHOWN_TRIALS = 32  # test trials in predictions.npz


def quantize(
    config: QuantizeConfig,
    root: Path = RUNS,
    name: str | None = None,
    progress: Progress | None = None,
    quiet: bool = False,
    warn: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Make the quantize stage of a run; {"run": path, "metrics": {"float", "control", "integer", "baseline"}}, and
    "velocity" (`Job.score_velocity`) where an NDT's recording has one; of a POYO also the metrics of a "gru".

    An interrupted call goes on where it stopped when it is repeated. progress(phase, done, steps): a bar on a
    terminal by default, nothing when quiet. warn: told, before training, what `beforehand` has to say.
    Raises BadInput for data or options that cannot be used.
    """
    asked = None if name is None else Run.new(name, root)
    job = PoyoJob.of(config) if config.model.kind == POYO else Job.of(config)
    run = asked or Run.new(default_name(job), root)
    return make(job, run, (config.data.source, config.train.checkpoint), progress, quiet, warn)


def adapt(
    parent: Run,
    config: AdaptConfig,
    root: Path = RUNS,
    name: str | None = None,
    progress: Progress | None = None,
    quiet: bool = False,
    warn: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Make the quantize stage of a run: that of the POYO `parent` with rows of a session that it does not know.

    {"run", "metrics", "parent", "trials"}: of the metrics `before_r2` is that of the parent as it is, None where its
    rows are not as many as the units; trials: that were learned from. All else as in `quantize`.
    """
    asked = None if name is None else Run.new(name, root)
    if asked is not None and asked.path.resolve() == parent.path.resolve():
        raise BadInput(f"name must be another than that of the run that is adapted, got {name!r}")
    job = AdaptJob.of(parent, config)
    run = asked or Run.new(default_name(job), root)
    made = make(job, run, [str(job.config.data.source), *job.parent.files], progress, quiet, warn)
    return made | {"parent": str(parent.path), "trials": job.trials}


def make(
    job: Job | PoyoJob | AdaptJob,
    run: Run,
    inputs: Iterable[str | Path],
    progress: Progress | None,
    quiet: bool,
    warn: Callable[[str], None] | None,
) -> dict[str, Any]:
    """Train, score and write; inputs: files that it was made from, or words that name none."""
    torch.set_num_threads(1)  # networks this small lose more in waiting for threads than they gain, and results repeat
    write_files: Callable[..., None] = write if isinstance(job, Job) else quantize_poyo.write
    if warn is not None:
        for said in beforehand(job, run):
            warn(said)
    shown: AbstractContextManager[Progress] = bars(quiet) if progress is None else nullcontext(progress)
    with shown as show, unfinished(run, job) as folder, closing(Events(folder / "tensorboard")) as writer:
        networks: Any = job.train(folder, show, writer)
        scores = job.scores(networks, show)
        velocity = job.score_velocity(networks) if isinstance(job, Job) else None
        for network, values in scores.items():
            for metric, value in values.items():
                if value is not None:
                    writer.add_scalar(f"test/{metric}/{network}", value, 0)
        writer.close()
        files = [path for path in map(Path, inputs) if path.is_file()]
        with run.write("quantize", inputs=files, config=asdict(job.config), seed=job.config.seed) as stage:
            write_files(stage, job, networks, scores)
            if velocity is not None:
                write_json(stage / "velocity.json", velocity)
            shutil.copytree(folder / "tensorboard", stage / "tensorboard")
    shutil.rmtree(folder)
    return {"run": str(run.path), "metrics": scores} | ({} if velocity is None else {"velocity": velocity})


def beforehand(job: Job | PoyoJob | AdaptJob, run: Run) -> Iterator[str]:
    """What is known before training: counts that are cut, windows that no engine holds, spike times that are drawn, a
    network that is replaced."""
    if isinstance(job, Job):
        counts, most = job.data.spikes, 2**job.config.bits.counts - 1
        if len(large := np.argwhere(counts > most)):
            first = "trial {}, bin {}, channel {}".format(*large[0])
            advice = "raise bits.counts" if job.config.bits.counts < MOST_COUNT_BITS else "shorter bins hold fewer"
            told = f"{len(large):,} counts above {most}, up to {counts.max():,}, the first in {first}"
            yield f"{job.data.source or job.data.name}: {told}; as inputs they are cut to {most}: {advice}"
    else:
        yield from quantize_poyo.told(job)
    if run.has("quantize"):
        yield f"run {run.path} has a network, which this one replaces once it is done: another --name keeps both"


def default_name(job: Job | PoyoJob | AdaptJob) -> str:
    """A name that tells the data, and the options by hash: other options never overwrite a run."""
    digest = hashlib.sha256(dump_config(job.config).encode()).hexdigest()[:6]
    stem = re.sub(r"[^A-Za-z0-9]+", "-", job.name.rpartition("/")[2]).strip("-").lower()
    return f"{stem[:60] or 'run'}-{digest}"


@contextmanager
def bars(quiet: bool) -> Iterator[Progress]:
    """A progress function that draws bars on stderr; nothing when quiet or not on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    columns = (TextColumn("{task.description:>8}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console, disable=quiet or not sys.stderr.isatty()) as drawn:
        tasks: dict[str, Any] = {}

        def show(phase: str, done: int, steps: int) -> None:
            if phase not in tasks:
                tasks[phase] = drawn.add_task(phase, total=steps)
            drawn.update(tasks[phase], completed=done)

        yield show


@contextmanager
def unfinished(run: Run, job: Job | PoyoJob | AdaptJob) -> Iterator[Path]:
    """The folder of checkpoints; one of other options or other data is emptied first. It outlives an error."""
    folder = run.path / UNFINISHED
    digest = hashlib.sha256(dump_config(job.config).encode() + job.digest()).hexdigest()
    mark = folder / "made-from"
    if not mark.is_file() or mark.read_text() != digest:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        mark.write_text(digest)
    yield folder


class Events:
    """TensorBoard's event files, a folder per phase: the first part of a tag.

    A phase that goes on after an interruption begins a file anew, and what an earlier file says of steps that are taken
    again no longer counts (purge_step); that concerns every tag of a folder, so phases cannot share one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.writers: dict[str, Any] = {}

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        phase = tag.partition("/")[0]
        if phase not in self.writers:
            self.writers[phase] = SummaryWriter(str(self.folder / phase), purge_step=step)
        self.writers[phase].add_scalar(tag, value, step)

    def close(self) -> None:
        for writer in self.writers.values():
            writer.close()


def write(stage: Path, job: Job, networks: Networks, scores: dict[str, Scores]) -> None:
    """Every file of the quantize stage but the event files."""
    from edgendt.export import export_qonnx
    from edgendt.lower import lower

    meta = {"bin_s": job.data.bin_s, "data": job.data.name, "held_in": job.split.held_in.tolist()}
    if networks.velocity is not None:
        rates = Group(tuple(range(job.data.channels)), log=True)
        meta["outputs"] = {RATES: rates.to_json(), VELOCITY: networks.velocity.group.to_json()}
    kind = job.config.model.kind
    export_qonnx(networks.integer, stage / "model.onnx", name=kind, meta=meta, bins=job.data.bins)
    lower(stage / "model.onnx").save(stage / "program.edt")
    write_json(stage / "metrics.json", scores)
    write_json(stage / "data.json", describe(job))
    (stage / "config.toml").write_text(dump_config(job.config))
    networks.integer.save(stage / "qat.pt")
    saved = {"config": asdict(job.geometry), "weights": networks.float.state_dict()}
    write_state(saved | {"control": networks.control.state_dict()}, stage / "float.pt")
    np.savez_compressed(stage / "stimulus.npz", **stimulus(job))
    np.savez_compressed(stage / "predictions.npz", **predictions(job, networks))


def describe(job: Job) -> dict[str, Any]:
    """The data and how it was split; `clipped`: input counts beyond what the network's input format holds."""
    data, split = job.data, job.split
    inputs = data.spikes[:, :, split.held_in]
    return {
        "name": data.name,
        "trials": data.trials,
        "bins": int(data.lengths.sum()),
        "channels": data.channels,
        "bin_s": data.bin_s,
        "clipped": int((inputs > 2**job.config.bits.counts - 1).sum()),
        "largest_count": int(inputs.max()),
        **{key: getattr(split, key).tolist() for key in ("train", "val", "test", "held_in", "held_out")},
    }


def stimulus(job: Job) -> dict[str, Any]:
    """The network's inputs on the test trials, with truth where it is known; padded, `lengths` tells how far."""
    test = job.data.select(job.split.test)
    known = {"rates": test.rates, "vel": test.vel}
    return {
        "counts": test.spikes[:, :, job.split.held_in],
        "lengths": test.lengths,
        "bin_s": np.float64(test.bin_s),
        **{key: value for key, value in known.items() if value is not None},
    }


def predictions(job: Job, networks: Networks) -> dict[str, Any]:
    """What the float and the integer network say of the first test trials, for the report; rates per bin."""
    trials = job.split.test[:SHOWN_TRIALS]
    test = job.data.select(trials)
    shown = {
        "spikes": test.spikes,
        "lengths": test.lengths,
        "rates_float": job.rates(networks.float, trials).astype(np.float32),
        "rates_integer": job.rates(networks.integer, trials).astype(np.float32),
        "held_in": job.split.held_in,
        "held_out": job.split.held_out,
    }
    known = {"rates_true": test.rates, "vel": test.vel}
    known |= {f"vel_{name}": job.velocity(getattr(networks, name), trials) for name in ("float", "integer")}
    return shown | {key: value.astype(np.float32) for key, value in known.items() if value is not None}
