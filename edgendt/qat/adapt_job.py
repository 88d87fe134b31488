"""A POYO learns a session that it does not know: rows of its units and its session are trained, nothing else moves."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from edgendt.artifact import Run, read_json
from edgendt.config import read_toml
from edgendt.data import split
from edgendt.data.dataset import Split
from edgendt.data.load import load_times
from edgendt.data.split import LEAST_TRAIN
from edgendt.data.tokens import causal
from edgendt.errors import BadInput, reading
from edgendt.models.poyo import POYO, POYOConfig, adapted
from edgendt.qat.decode import Scores, Sessions, ridge_score
from edgendt.qat.poyo import QuantPOYO
from edgendt.qat.poyo_graph import KEYS
from edgendt.qat.poyo_job import PoyoNetworks
from edgendt.qat.recipe import POYO as KIND
from edgendt.qat.recipe import check_least, check_rate, check_seed
from edgendt.qat.saved import read_state
from edgendt.qat.train import Masking, Phase, Plan, Progress, Writer

M = TypeVar("M", bound=nn.Module)
SAME = ("trials", "bins", "channels", "spikes", "bin_s")  # of a session, whatever its file is called


@dataclass(frozen=True)
class SessionConfig:
    """source: `lorenz` or FILE.npz, by default that of the run; session inside the file; shares of trials."""

    source: str | None = None
    session: str = ""
    conditions: int | None = None
    val: float = 0.1
    test: float = 0.2


@dataclass(frozen=True)
class AdaptConfig:
    """seed: split, first rows, windows. trials: the network learns from so many of the session's training trials, the
    first ones, and keeps its last weights; by default from all of them, and keeps those that are best on validation.
    steps, batch, in windows, and lr: of each network.
    """

    seed: int = 0
    trials: int | None = None
    steps: int = 200
    batch: int = 16
    lr: float = 2e-2
    data: SessionConfig = field(default_factory=SessionConfig)


@dataclass(frozen=True)
class Parent:
    """A finished run of a POYO: its networks, what it says of its sessions, where they came from."""

    run: Run
    float: POYO
    control: POYO
    integer: QuantPOYO
    sessions: Sequence[Mapping[str, Any]]
    source: str

    @classmethod
    def of(cls, run: Run) -> Parent:
        """BadInput for a run of another network, or one that was not trained here."""
        stage = run.stage("quantize")
        state = read_state(stage / "qat.pt") if (stage / "qat.pt").is_file() else {}
        if state.get("model") != KIND:
            raise BadInput(f"run {run.path} is no POYO: give one that `edgendt quantize --model poyo` made")
        with reading(str(stage)):
            saved = torch.load(stage / "float.pt", weights_only=True)
            net, control = (_network(saved["config"], saved[name]) for name in ("weights", "control"))
            sessions = read_json(stage / "data.json")["sessions"]
            source = read_toml(stage / "config.toml")["data"]["source"]
        return cls(run, net, control, QuantPOYO.from_state(state), sessions, source)

    @property
    def files(self) -> tuple[Path, ...]:
        """What it was read from and others are made from."""
        return tuple(self.run.path / "quantize" / name for name in ("float.pt", "qat.pt"))


def _network(config: Mapping[str, Any], weights: Mapping[str, Any]) -> POYO:
    net = POYO(POYOConfig(**config))
    net.load_state_dict(weights)
    return net.eval()


@dataclass(frozen=True)
class AdaptJob:
    """A resolved config with its session and the POYO that learns it. geometry: of what comes out."""

    config: AdaptConfig
    sessions: Sessions
    geometry: POYOConfig
    parent: Parent

    @classmethod
    def of(cls, run: Run, config: AdaptConfig) -> AdaptJob:
        """Read the run, load and split the session, check the options. Raises BadInput."""
        _check(config)
        parent = Parent.of(run)
        config = replace(config, data=replace(config.data, source=config.data.source or parent.source))
        chosen, source = config.data, str(config.data.source)
        if "," in chosen.session:
            raise BadInput(f"data.session must be one session, for a run adapts to one, got {chosen.session!r}")
        (data,) = load_times(source, config.seed, chosen.session, chosen.conditions)
        where = data.binned.source or data.binned.name
        if any(all(data.summary[key] == known[key] for key in SAME) for known in parent.sessions):
            raise BadInput(
                f"{where}: run {run.path} was trained on this session and knows it: choose another by --session or "
                "--data, of lorenz by seed"
            )
        parts = few(split(data.binned, config.seed, chosen.val, chosen.test, 0.0), config.trials, where)
        geometry = replace(parent.integer.config, units=data.units, sessions=1)
        job = cls(config, Sessions((data,), (parts,), geometry.window_ms), geometry, parent)
        job._check_session(where)
        return job

    def _check_session(self, where: str) -> None:
        """BadInput for a session that the network cannot take, for its window and outputs are what they are."""
        (data,), path = self.sessions.data, self.parent.run.path
        if (axes := data.vel.shape[2]) != self.geometry.outputs:
            raise BadInput(f"{where}: velocity has {axes} axes, run {path} answers {self.geometry.outputs}")
        if (bin_ms := round(data.binned.bin_s * 1000)) > self.geometry.window_ms:
            raise BadInput(
                f"{where}: a bin lasts {bin_ms} ms, the windows of run {path} {self.geometry.window_ms}: adapt a "
                "run of a larger poyo.window_ms"
            )
        if (most := self.sessions.most_tokens()) > KEYS:
            raise BadInput(
                f"{where}: a window holds {most} tokens, the sums {KEYS} at most: adapt a run of a smaller "
                f"poyo.window_ms than {self.geometry.window_ms}, or choose fewer units"
            )

    @property
    def name(self) -> str:
        """Of the network and the data."""
        return f"{self.parent.run.name}-{self.sessions.name.rpartition('/')[2]}"

    @property
    def trials(self) -> int:
        """That the network learns from."""
        return len(self.sessions.splits[0].train)

    def digest(self) -> bytes:
        """Of the data and of the network that learns it."""
        files = (path.read_bytes() for path in self.parent.files)
        return hashlib.sha256(b"".join((self.sessions.digest(), *files))).digest()

    def untrained(self) -> QuantPOYO:
        """The integer network with the rows that training starts from."""
        with torch.random.fork_rng():
            torch.manual_seed(self.config.seed)
            return self.parent.integer.adapted(self.geometry.units)

    def train(self, folder: Path, progress: Progress, writer: Writer | None = None) -> PoyoNetworks:
        """All three networks; `folder` keeps the checkpoints from which a repeated call goes on."""
        chosen = self.config
        every = max(1, chosen.steps // 8) if chosen.trials is None else None
        plan = Plan("", chosen.steps, chosen.batch, chosen.lr, 1e-2, 0.1, Masking(), chosen.seed, val_every=every)

        def run(phase: str, network: M) -> M:
            asked = replace(plan, name=phase, surrogate=0.9 if phase == "qat" else None)
            Phase(asked, network, self.sessions, folder / f"{phase}.pt").run(progress, writer)
            return network

        return PoyoNetworks(
            run("float", self._adapted(self.parent.float)),
            run("control", self._adapted(self.parent.control)),
            run("qat", self.untrained()),
        )

    def _adapted(self, network: POYO) -> POYO:
        with torch.random.fork_rng():
            torch.manual_seed(self.config.seed)
            return adapted(network, self.geometry.units)

    def scores(self, networks: PoyoNetworks, progress: Progress) -> dict[str, Scores]:
        """`Sessions.scores` of every network, and `before_r2`. baseline: ridge, fitted on the same trials."""
        found: dict[str, Scores] = {}
        for name in ("float", "control", "integer"):
            before = self.before(getattr(self.parent, name))
            found[name] = {"before_r2": before} | self.sessions.scores(getattr(networks, name))
        ridge = ridge_score(self.sessions.data[0].binned, self.sessions.splits[0])
        return found | {"baseline": {"velocity_r2": ridge}}

    def before(self, network: nn.Module) -> float | None:
        """Causal velocity R² of a network of the run as it is, its rows in the units' order; None where it has not one
        row for each of them. Velocity is scaled by the trials that are learned from, for units of length may differ.
        """
        known = self.parent.integer.config
        if (known.units, known.sessions) != (self.geometry.units, 1):
            return None
        return self.sessions.score(network, 0, self.sessions.splits[0].test, causal)


def few(parts: Split, trials: int | None, where: str) -> Split:
    """The split with its first training trials alone, and none to choose weights on; as it is for None."""
    if trials is None:
        return parts
    if not LEAST_TRAIN <= trials <= len(parts.train):
        got = f"{LEAST_TRAIN} to {len(parts.train)}, the training trials of {where}"
        raise BadInput(f"trials must be {got}, got {trials}")
    return replace(parts, train=parts.train[:trials], val=np.empty(0, np.int64))


def _check(config: AdaptConfig) -> None:
    """BadInput for a number that no training can use."""
    check_seed(config.seed)
    check_least("steps", config.steps)
    check_least("batch", config.batch)
    check_rate("lr", config.lr)
