"""The quantize stage's files of a POYO."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgendt.artifact import write_json
from edgendt.config import dump_config
from edgendt.data.load import BUILT_IN
from edgendt.data.stimulus import packed
from edgendt.export import export_program
from edgendt.lower import lower
from edgendt.qat.adapt_job import AdaptJob
from edgendt.qat.decode import Scores
from edgendt.qat.poyo_job import PoyoJob, PoyoNetworks
from edgendt.qat.saved import write_state
from edgendt.synth.usual import rooms
from edgendt.wiring import VELOCITY, Group


def write(stage: Path, job: PoyoJob | AdaptJob, networks: PoyoNetworks, scores: dict[str, Scores]) -> None:
    """Every file of the quantize stage but the event files."""
    found: dict[str, Any] = dict(scores)
    if isinstance(job, AdaptJob):
        found = {"parent": str(job.parent.run.path), "trials": job.trials, "metrics": scores}
    export_program(networks.integer.program(meta=meta(job)), stage / "model.onnx")
    lower(stage / "model.onnx").save(stage / "program.edt")
    write_json(stage / "metrics.json", found)
    write_json(stage / "data.json", described(job))
    (stage / "config.toml").write_text(dump_config(job.config))
    networks.integer.save(stage / "qat.pt")
    saved = {"config": asdict(job.geometry), "weights": networks.float.state_dict()}
    write_state(saved | {"control": networks.control.state_dict()}, stage / "float.pt")
    cuts, windows = zip(*job.sessions.windows(), strict=True)
    vel = np.concatenate([job.sessions.data[cut.session].vel[cut.trial, cut.first : cut.last] for cut in cuts])
    arrays: dict[str, Any] = {"vel": vel, **packed(windows)}
    np.savez_compressed(stage / "stimulus.npz", **arrays)


def told(job: PoyoJob | AdaptJob) -> list[str]:
    """What is known before training: recordings without spike times, and what `too_long` says."""
    drawn = [] if job.config.data.source in BUILT_IN else [data for data in job.sessions.data if data.drawn]
    said = [f"{data.source}: what its spikes did within a bin is not known" for data in drawn]
    return said + [long for long in [too_long(job)] if long is not None]


def too_long(job: PoyoJob | AdaptJob) -> str | None:
    """Known before training: the longest window, the named engines that lack room for it and what to change; None
    where none does.
    """
    room, longest = rooms(job.untrained().program()), job.sessions.most_tokens()
    short = [many for many in room.values() if many < longest]
    if not room:
        return "no named engine holds this network: `edgendt estimate` says why"
    if not short:
        return None
    words = {name: f"{name} (room for {many:,})" for name, many in room.items()}
    fit = [words.pop(name) for name, many in room.items() if many >= longest]
    of = f" of run {job.parent.run.path}" if isinstance(job, AdaptJob) else ""
    advice = [f"lower poyo.window_ms{of}, now {job.geometry.window_ms}"] if any(short) else []
    advice += [] if all(short) else ["choose a smaller network"]
    advice += [f"take --engine {' or '.join(fit)}"] if fit else []
    return f"windows of up to {longest:,} tokens do not fit engine {', '.join(words.values())}: {', or '.join(advice)}"


def meta(job: PoyoJob | AdaptJob) -> dict[str, Any]:
    """What travels with the Program: its outputs are standardised velocity; of one session, how it comes back."""
    group = Group(tuple(range(job.geometry.outputs)))
    targets = [(target.std.tolist(), target.mean.tolist()) for target in job.sessions.targets]
    if len(targets) == 1:
        scale, offset = targets[0]
        group = replace(group, scale=tuple(scale), offset=tuple(offset))
    sessions = [
        {"name": data.binned.name, "bin_s": data.binned.bin_s, "units": data.units, "scale": scale, "offset": offset}
        for data, (scale, offset) in zip(job.sessions.data, targets, strict=True)
    ]
    return {"data": job.sessions.name, "sessions": sessions, "outputs": {VELOCITY: group.to_json()}}


def described(job: PoyoJob | AdaptJob) -> dict[str, Any]:
    """The data in all, and session by session; train, val, test: pairs of session and trial."""
    sessions = [data.summary for data in job.sessions.data]
    parts = {
        key: [[i, int(trial)] for i, split in enumerate(job.sessions.splits) for trial in getattr(split, key)]
        for key in ("train", "val", "test")
    }
    totals = {key: sum(session[key] for session in sessions) for key in ("trials", "bins", "channels", "spikes")}
    units = {"held_in": list(range(job.geometry.units)), "held_out": [], "clipped": 0}
    return {"name": job.sessions.name, "bin_s": sessions[0]["bin_s"], **totals, **parts, **units, "sessions": sessions}
