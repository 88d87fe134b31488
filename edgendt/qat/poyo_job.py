"""One POYO to be made: its sessions, its phases of training, its scores on the test trials beside ridge and GRU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from edgendt.data import split
from edgendt.data.load import load_times
from edgendt.errors import BadInput
from edgendt.models.poyo import POYO, POYOConfig, preset
from edgendt.models.poyo_checkpoint import PoyoCheckpoint
from edgendt.models.poyo_checkpoint import read as read_checkpoint
from edgendt.qat.decode import Counts, Scores, Sessions, mean, ridge_score
from edgendt.qat.poyo import QuantPOYO
from edgendt.qat.poyo_graph import KEYS, layout
from edgendt.qat.recipe import PoyoConfig, QuantizeConfig, check, check_seed, resolve_poyo
from edgendt.qat.train import Masking, Phase, Plan, Progress, Writer

M = TypeVar("M", bound=nn.Module)
GEOMETRY = [field.name for field in fields(PoyoConfig) if field.name not in ("preset", "least_units")]


@dataclass(frozen=True)
class PoyoNetworks:
    """What training makes: the float network, the float control of the same extra steps, the integer network."""

    float: POYO
    control: POYO
    integer: QuantPOYO


@dataclass(frozen=True)
class PoyoJob:
    """A resolved config with its sessions: everything that training and scoring need."""

    config: QuantizeConfig
    sessions: Sessions
    geometry: POYOConfig
    checkpoint: PoyoCheckpoint | None = None

    @classmethod
    def of(cls, config: QuantizeConfig) -> PoyoJob:
        """Load and split the data, check the options. Raises BadInput."""
        check_seed(config.seed)
        config = resolve_poyo(config)
        check(config)
        chosen, asked = config.data, config.poyo or PoyoConfig()
        data = load_times(chosen.source, config.seed, chosen.session, chosen.conditions)
        if len({session.vel.shape[2] for session in data}) > 1:
            raise BadInput(f"{chosen.source}: the velocity of every session must have as many axes")
        splits = tuple(split(session.binned, config.seed, chosen.val, chosen.test, 0.0) for session in data)
        changes = {name: value for name in GEOMETRY if (value := getattr(asked, name)) is not None}
        checkpoint = read_checkpoint(config.train.checkpoint) if config.train.checkpoint else None
        for name, found in (checkpoint.model if checkpoint else {}).items():
            if changes.setdefault(name, found) != found:
                raise BadInput(f"poyo.{name} is {changes[name]}, but the checkpoint has {found}: leave it out")
        try:
            units = sum(session.units for session in data)
            axes = data[0].vel.shape[2]
            if changes.setdefault("outputs", axes) != axes:
                raise ValueError(f"the checkpoint has {changes['outputs']} outputs, the velocity {axes} axes")
            geometry = preset(asked.preset, units, len(data), **changes)
        except ValueError as error:
            raise BadInput(f"poyo: {error}") from error
        job = cls(config, Sessions(data, splits, geometry.window_ms, asked.least_units), geometry, checkpoint)
        job._check()
        if checkpoint is not None:
            checkpoint.network(geometry)  # BadInput before anything is trained
        return job

    def _check(self) -> None:
        """BadInput for what the integers cannot hold, before any training."""
        config, source = self.geometry, self.config.data.source
        if not 0 <= self.sessions.least_units <= 1:
            raise BadInput(f"poyo.least_units must be a share of 0 to 1, got {self.sessions.least_units}")
        longest = max(round(session.binned.bin_s * 1000) for session in self.sessions.data)
        if not longest <= config.window_ms < 1 << 16:
            raise BadInput(f"poyo.window_ms must be {longest}, one bin, to {(1 << 16) - 1}, got {config.window_ms}")
        if (most := self.sessions.most_tokens()) > KEYS:
            advice = "lower poyo.window_ms or choose fewer units"
            raise BadInput(f"{source}: a window holds {most} tokens, the sums {KEYS} at most: {advice}")
        known = [step.name for step in layout(config) if step.kind == "linear"]
        for name in self.config.bits.overrides:
            if name not in known:
                raise BadInput(f"bits.overrides must name a Linear ({', '.join(known)}), got {name!r}")

    @property
    def name(self) -> str:
        """Of the data."""
        return self.sessions.name

    def digest(self) -> bytes:
        """Of the data."""
        return self.sessions.digest()

    def untrained(self) -> QuantPOYO:
        """An integer network of the same size: what engines make of it is known before training."""
        network = new_poyo(self.geometry, self.config.seed)
        return QuantPOYO.from_float(network, self.sessions.calibration(1), self.config.bits)

    def plan(self, phase: str) -> Plan:
        """The phase `float`, `control` or `qat`."""
        train, qat, seed = self.config.train, self.config.qat, self.config.seed
        steps, batch, lr = train.steps or 0, train.batch or 1, train.lr or 0.0
        every = train.val_every or None
        if phase == "float":
            decay = train.weight_decay or 0.0
            return Plan(phase, steps, batch, lr, decay, train.warmup, Masking(), seed, val_every=every)
        more = Plan(phase, qat.steps, batch, qat.lr or 0.0, 0.0, qat.warmup, Masking(), seed + 1)
        return replace(more, surrogate=qat.surrogate) if phase == "qat" else more

    def train(self, folder: Path, progress: Progress, writer: Writer | None = None) -> PoyoNetworks:
        """All three networks; `folder` keeps the checkpoints from which a repeated call goes on."""

        def run(phase: str, network: M) -> M:
            Phase(self.plan(phase), network, self.sessions, folder / f"{phase}.pt").run(progress, writer)
            return network

        network = self.train_float(run)
        control = POYO(self.geometry)
        control.load_state_dict(network.state_dict())
        seen = self.sessions.calibration(max(1, self.config.qat.calibration_trials // len(self.sessions.data)))
        return PoyoNetworks(
            network,
            run("control", control),
            run("qat", QuantPOYO.from_float(network, seen, self.config.bits)),
        )

    def train_float(self, run: Callable[[str, POYO], POYO]) -> POYO:
        """The float network: the checkpoint's, with rows of its own for a session that it does not know; or trained."""
        if self.checkpoint is None:
            return run("float", new_poyo(self.geometry, self.config.seed))
        with torch.random.fork_rng():
            torch.manual_seed(self.config.seed)
            network, new = self.checkpoint.network(self.geometry)
        return run("float", network) if new else network

    def scores(self, networks: PoyoNetworks, progress: Progress) -> dict[str, Scores]:
        """`Sessions.scores` of every network. baseline: ridge; as the GRU, which `progress` sees training, it knows the
        past alone.
        """
        found = {name: self.sessions.scores(getattr(networks, name)) for name in ("float", "control", "integer")}
        both = list(zip(self.sessions.data, self.sessions.splits, strict=True))
        ridge = [ridge_score(data.binned, parts) for data, parts in both]
        counts = [Counts(data.binned, parts) for data, parts in both]
        gru = [task.trained(self.config.seed, progress).eval() for task in counts]
        recurrent = [task.score(net, task.split.test) for task, net in zip(counts, gru, strict=True)]
        return found | {name: {"velocity_r2": mean(r2)} for name, r2 in (("baseline", ridge), ("gru", recurrent))}


def new_poyo(config: POYOConfig, seed: int) -> POYO:
    """A float network before training."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return POYO(config)
