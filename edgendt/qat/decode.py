"""Velocity decoders: POYO over several sessions, its adaptation to a new one, and the GRU; training data and scores.

Velocity is standardised per session and axis by its training trials, so that sessions of other units of length train
together. Every score is R² over the bins of trials, mean over axes (edgendt.metrics).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from edgendt.data import Dataset, Split
from edgendt.data.events import SpikeTimes
from edgendt.data.tokens import Cut, causal, ending_at, gather, spikes_last, whole
from edgendt.fixed import Codes
from edgendt.metrics import Array, decode, velocity_r2
from edgendt.models.gru import GRU
from edgendt.models.poyo import Tokens
from edgendt.qat.poyo import given
from edgendt.qat.train import Masking, Phase, Plan, Progress

SCORE_BATCH = 32  # windows
Scores = dict[str, float | None]
Cuts = Callable[[SpikeTimes, int, Array, int], Iterator[Cut]]  # tokens.causal or tokens.whole


@dataclass(frozen=True)
class Target:
    """Standardised velocity of one session. mean, std [axes] of its training trials."""

    mean: Array
    std: Array

    @classmethod
    def of(cls, data: Dataset, trials: Array) -> Target:
        part = data.select(trials)
        assert part.vel is not None
        vel = part.vel[part.mask]
        return cls(vel.mean(0), np.where(vel.std(0) > 0, vel.std(0), 1.0))

    def code(self, vel: Array) -> Array:
        scaled: Array = (vel - self.mean) / self.std
        return scaled

    def decode(self, scaled: Array) -> Array:
        vel: Array = scaled * self.std + self.mean
        return vel


@dataclass(frozen=True)
class Sessions:
    """Sessions of spike times with their splits, as POYO trains on them.

    least_units: in a window of training a random share of the units, from this one up to all, is heard. Windows end
    with a random bin, so that the network learns to answer from the past alone as well as from a whole window.
    """

    data: tuple[SpikeTimes, ...]
    splits: tuple[Split, ...]
    window_ms: int = 1000
    least_units: float = 0.5

    @property
    def units(self) -> int:
        return sum(session.units for session in self.data)

    @property
    def name(self) -> str:
        """Of the first one's data."""
        return self.data[0].binned.name

    def digest(self) -> bytes:
        """Of the data."""
        parts = (part.tobytes() for data in self.data for part in (data.unit, data.ms, data.vel))
        return hashlib.sha256(b"".join(parts)).digest()

    @cached_property
    def targets(self) -> tuple[Target, ...]:
        return tuple(Target.of(d.binned, s.train) for d, s in zip(self.data, self.splits, strict=True))

    def calibration(self, trials: int = 16) -> Tokens:
        """Whole windows of the first training trials of every session, for the formats of a quantized network."""
        parts = (split.train[:trials] for split in self.splits)
        cuts = [cut for i, part in enumerate(parts) for cut in whole(self.data[i], i, part, self.window_ms)]
        return Tokens.of(gather(self.data, cuts))

    def most_tokens(self) -> int:
        """Of any window of any trial, all units heard."""
        most = 0
        for data in self.data:
            for trial in range(data.binned.trials):
                _, ms = data.trial(trial, 0, int(data.edges_ms(data.binned.bins)))
                spikes = np.arange(len(ms)) - np.searchsorted(ms, ms - self.window_ms, side="right") + 1
                most = max(most, 2 * data.units + int(spikes.max(initial=0)))
        return most

    def loss(self, net: Callable[..., Tensor], plan: Plan) -> Tensor:
        """Squared error of the standardised velocity of a batch of windows."""
        rng = np.random.default_rng(int(torch.randint(2**31, ())))
        trials = [(i, int(trial)) for i, split in enumerate(self.splits) for trial in split.train]
        cuts, kept = [], []
        for i in rng.choice(len(trials), plan.batch):
            session, trial = trials[i]
            data = self.data[session]
            last = int(rng.integers(1, data.binned.lengths[trial], endpoint=True))
            cuts.append(ending_at(data, session, trial, last, self.window_ms))
            kept.append(rng.random(data.units) < rng.uniform(self.least_units, 1.0))
        windows = gather(self.data, cuts, kept)
        targets = self.targets
        vel = np.stack([targets[i].code(v) for i, v in zip(windows.session, windows.vel, strict=True)])
        asked = torch.from_numpy(windows.asked)
        error = net(Tokens.of(windows)) - torch.from_numpy(vel).float()
        return error[asked].square().mean()

    def validation(self, net: nn.Module, plan: Plan) -> float:
        """1 − R² of whole windows on the validation trials, mean over sessions; causal ones would take one per bin."""
        scores = [self.score(net, i, split.val, whole) for i, split in enumerate(self.splits)]
        net.train()
        return 1.0 - float(np.mean([score for score in scores if score is not None]))

    def scores(self, net: nn.Module) -> Scores:
        """Velocity R² on test trials, mean over sessions: of a bin from its spikes and the past; of whole windows."""

        def r2(cuts: Cuts) -> float | None:
            return mean([self.score(net, i, split.test, cuts) for i, split in enumerate(self.splits)])

        return {"velocity_r2": r2(causal), "whole_window_r2": r2(whole)}

    def windows(self) -> Iterator[tuple[Cut, dict[str, Codes]]]:
        """The test trials in whole windows, each bin asked for once, as a Program takes them, spikes last."""
        for i, (data, split) in enumerate(zip(self.data, self.splits, strict=True)):
            for cut in whole(data, i, split.test, self.window_ms):
                yield cut, spikes_last(given(Tokens.of(gather(self.data, [cut])), 0))

    def score(self, net: nn.Module, session: int, trials: Array, cuts: Cuts) -> float | None:
        """Velocity R² on some trials of a session."""
        part = self.data[session].binned.select(trials)
        return velocity_r2(self.predict(net, session, trials, cuts), part.vel, part.mask)

    @torch.no_grad()
    def predict(self, net: nn.Module, session: int, trials: Array, cuts: Cuts) -> Array:
        """Velocity [trials, bins, axes], zero on padding."""
        net.eval()
        data, target = self.data[session], self.targets[session]
        row = {int(trial): i for i, trial in enumerate(trials)}
        vel = np.zeros_like(data.vel[trials])
        for batch in batches(cuts(data, session, trials, self.window_ms)):
            out = net(Tokens.of(gather(self.data, batch))).double().numpy()
            for cut, found in zip(batch, out, strict=True):
                vel[row[cut.trial], cut.first : cut.last] = target.decode(found[: cut.last - cut.first])
        return vel


def mean(scores: list[float | None]) -> float | None:
    """Of those that are known."""
    known = [score for score in scores if score is not None]
    return float(np.mean(known)) if known else None


def batches(cuts: Iterator[Cut]) -> Iterator[list[Cut]]:
    """SCORE_BATCH windows at a time."""
    kept = list(cuts)
    for first in range(0, len(kept), SCORE_BATCH):
        yield kept[first : first + SCORE_BATCH]


@dataclass(frozen=True)
class Counts:
    """One session per bin, as the GRU trains on it."""

    data: Dataset
    split: Split

    @cached_property
    def target(self) -> Target:
        return Target.of(self.data, self.split.train)

    def network(self, seed: int) -> GRU:
        """A GRU before training, its inputs standardised by the training trials."""
        part = self.data.select(self.split.train)
        counts = part.spikes[part.mask]
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return GRU(torch.tensor(counts.mean(0)), torch.tensor(counts.std(0)), self.target.mean.size)

    def trained(self, seed: int, progress: Progress) -> GRU:
        """A trained GRU: the weights that are best on validation trials, the last ones where there are none."""
        plan = Plan("gru", 400, 32, 5e-3, 1e-2, 0.1, Masking(), seed, val_every=50 if len(self.split.val) else None)
        return cast(GRU, Phase(plan, self.network(seed), self, None).run(progress))

    def loss(self, net: Callable[..., Tensor], plan: Plan) -> Tensor:
        """Squared error of the standardised velocity of whole trials."""
        trials = self.split.train[torch.randperm(len(self.split.train))[: plan.batch].numpy()]
        part = self.data.select(trials)
        assert part.vel is not None
        error = net(torch.tensor(part.spikes).float()) - torch.tensor(self.target.code(part.vel)).float()
        return error[torch.tensor(part.mask)].square().mean()

    def validation(self, net: nn.Module, plan: Plan) -> float:
        """1 − R² on the validation trials."""
        score = self.score(net, self.split.val)
        net.train()
        return 1.0 - (score or 0.0)

    @torch.no_grad()
    def score(self, net: nn.Module, trials: Array) -> float | None:
        """Velocity R² on some trials."""
        part = self.data.select(trials)
        out = net.eval()(torch.tensor(part.spikes).float()).double().numpy()
        return velocity_r2(self.target.decode(out), part.vel, part.mask)


def ridge_score(data: Dataset, split: Split) -> float | None:
    """Velocity R² on the test trials of ridge from five bins of counts, fitted on training and validation trials."""
    others, test = data.select(np.concatenate([split.train, split.val])), data.select(split.test)
    assert others.vel is not None
    return velocity_r2(decode((others.spikes, others.vel, others.mask), test.spikes), test.vel, test.mask)
