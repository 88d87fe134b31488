"""One network to be made: its data, its phases of training, its scores on the test trials."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from torch import nn

from edgendt import metrics
from edgendt.data import Dataset, Split, load, split
from edgendt.errors import BadInput
from edgendt.metrics import Array
from edgendt.models import ridge
from edgendt.models.checkpoint import Checkpoint
from edgendt.models.checkpoint import read as read_checkpoint
from edgendt.models.ndt import NDT, NDTConfig
from edgendt.qat.formats import Bits, check_overrides
from edgendt.qat.limits import LIMITS, check_limits
from edgendt.qat.ndt import QuantNDT
from edgendt.qat.recipe import ModelConfig, QuantizeConfig, check, check_seed, of_checkpoint, resolve
from edgendt.qat.train import Masked, Masking, Phase, Plan, Progress, Tensors, Writer, new_ndt, rates
from edgendt.qat.velocity import Velocity, features, scores

M = TypeVar("M", bound=nn.Module)
Scores = dict[str, float | None]
SAME = {field.name for field in fields(ModelConfig)} & {field.name for field in fields(NDTConfig)}


@dataclass(frozen=True)
class Networks:
    """What training makes: the float network, the float control of the same extra steps, the integer network."""

    float: NDT
    control: NDT
    integer: QuantNDT
    velocity: Velocity | None = None  # what the integer network's outputs behind the rates are


@dataclass(frozen=True)
class Job:
    """A resolved config with its data: everything that training and scoring need."""

    config: QuantizeConfig
    data: Dataset
    split: Split
    tensors: Tensors
    geometry: NDTConfig
    checkpoint: Checkpoint | None = None

    @classmethod
    def of(cls, config: QuantizeConfig) -> Job:
        """Load and split the data, check the options. Raises BadInput."""
        check_seed(config.seed)
        chosen = config.data
        checkpoint = read_checkpoint(config.train.checkpoint) if config.train.checkpoint else None
        if checkpoint is not None:
            config = replace(config, model=of_checkpoint(config.model, checkpoint))
        data = load(chosen.source, config.seed, chosen.session, chosen.conditions)
        config = resolve(config, data.bins, data.channels)
        check(config)
        parts = split(data, config.seed, chosen.val, chosen.test, chosen.held_out)
        if checkpoint is not None:
            checkpoint.of_inputs(parts.held_in.tolist(), data.channels)  # BadInput before anything is trained
        return cls(config, data, parts, Tensors.of(data, parts), _geometry(config, data, parts), checkpoint)

    @property
    def name(self) -> str:
        """Of the data."""
        return self.data.name

    def digest(self) -> bytes:
        """Of the data."""
        return hashlib.sha256(self.data.spikes.tobytes()).digest()

    def plan(self, phase: str) -> Plan:
        """The phase `float`, `control` or `qat`."""
        train, qat = self.config.train, self.config.qat
        first = Plan(
            name=phase,
            steps=train.steps or 0,
            batch=train.batch or 1,
            lr=train.lr or 0.0,
            weight_decay=train.weight_decay or 0.0,
            warmup=train.warmup,
            masking=Masking(
                train.mask_bins or 0.0,
                train.mask_channels or 0.0,
                train.mask_entries or 0.0,
                train.thin or 0.0,
            ),
            contrast=train.contrast or 0.0,
            seed=self.config.seed,
            val_every=train.val_every or None,
            refit=train.val_every == 0,
        )
        if phase == "float":
            return first
        masking = replace(first.masking, entries=max(first.masking.entries, first.masking.thin), thin=0.0)
        more = replace(first, masking=masking, steps=qat.steps, lr=qat.lr or 0.0, warmup=qat.warmup)
        more = replace(more, seed=first.seed + 1, val_every=None)
        return replace(more, surrogate=qat.surrogate) if phase == "qat" else more

    def train(self, folder: Path, progress: Progress, writer: Writer | None = None) -> Networks:
        """All three networks; `folder` keeps the checkpoints from which a repeated call goes on."""
        network = self.train_float(folder / "float.pt", progress, writer)
        control = self.train_control(network, folder / "control.pt", progress, writer)
        integer = self.train_qat(network, None, folder / "qat.pt", progress, writer)
        velocity = self.fit_velocity(integer)
        return Networks(network, control, velocity.append_to(integer) if velocity else integer, velocity)

    def train_float(self, checkpoint: Path | None, progress: Progress, writer: Writer | None = None) -> NDT:
        """The float network: the checkpoint's, or trained: the best weights on validation, or the last ones where it
        trains on those trials too.
        """
        if self.checkpoint is not None:
            network = NDT(self.geometry)
            network.load_state_dict(self.checkpoint.of_inputs(self.split.held_in.tolist(), self.data.channels))
            return network
        train = self.data.select(self.split.train)
        network = new_ndt(self.geometry, train.spikes[train.mask].mean(0), self.config.seed)
        return self._run("float", network, checkpoint, progress, writer)

    def train_control(
        self, network: NDT, checkpoint: Path | None, progress: Progress, writer: Writer | None = None
    ) -> NDT:
        """A copy of the float network, trained on in float for as many steps as QAT takes."""
        copy = NDT(self.geometry)
        copy.load_state_dict(network.state_dict())
        return self._run("control", copy, checkpoint, progress, writer)

    def train_qat(
        self,
        network: NDT,
        bits: Bits | None,
        checkpoint: Path | None,
        progress: Progress,
        writer: Writer | None = None,
    ) -> QuantNDT:
        """The integer network, from the float one; scales are calibrated on whole training trials and frozen."""
        quantized = QuantNDT.from_float(network, bits or self.config.bits, self.calibration_counts())
        return self._run("qat", quantized, checkpoint, progress, writer)

    def fit_velocity(self, network: QuantNDT) -> Velocity | None:
        """The velocity readout of an integer network; None where velocity was not recorded or no output is left."""
        others = self.data.select(self._fitting())
        if others.vel is None or network.config.outputs + others.vel.shape[2] > LIMITS["outputs"]:
            return None
        return Velocity.fit(network, features(network, self.tensors, self._fitting()), others.vel, others.mask)

    def score_velocity(self, networks: Networks) -> Scores | None:
        """Velocity R² on the test trials: the decoder behind the integer network's rates, the readout in real numbers,
        the readout as the chip computes it. None without a readout.
        """
        test = self.data.select(self.split.test)
        if networks.velocity is None or test.vel is None:
            return None
        decoded = metrics.velocity_r2(self.velocity(networks.integer, self.split.test), test.vel, test.mask)
        found = scores(networks.integer, networks.velocity, self.tensors, self.split.test, test.vel, test.mask)
        return {"decoder_r2": decoded, **found}

    def _run(self, phase: str, network: M, checkpoint: Path | None, progress: Progress, writer: Writer | None) -> M:
        Phase(self.plan(phase), network, Masked(self.tensors, self.split), checkpoint).run(progress, writer)
        return network

    def calibration_counts(self) -> Array:
        """[trials, bins, held-in channels] of training trials, all cut to the length most of them reach: no padding.

        A network of whole windows takes them as they are, padded.
        """
        chosen = self.data.select(self.split.train[: self.config.qat.calibration_trials])
        if not self.geometry.causal:
            return chosen.spikes[:, :, self.split.held_in].astype(np.float64)
        length = int(np.quantile(chosen.lengths, 0.25, method="lower"))
        return chosen.spikes[chosen.lengths >= length][:, :length][:, :, self.split.held_in].astype(np.float64)

    def rates(self, network: nn.Module, trials: Array) -> Array:
        """Predicted rates of all channels, [trials, bins, channels]."""
        return rates(network, self.tensors, trials)

    def scores(self, networks: Networks, progress: Progress) -> dict[str, Scores]:
        """Every network on the test trials, once; ridge, the baseline, has no steps of training to show."""
        return {
            "float": self.score(networks.float),
            "control": self.score(networks.control),
            "integer": self.score(networks.integer),
            "baseline": self.score_baseline(),
        }

    def score(self, network: nn.Module) -> Scores:
        """Scores of a network on the test trials; the velocity decoder is fitted on its rates of the other trials."""
        return self._scores(self.rates(network, self.split.test), self.velocity(network, self.split.test))

    def score_baseline(self) -> Scores:
        """Ridge on the same inputs: smoothed counts to rates, `metrics.HISTORY` bins of counts to velocity."""
        counts = self.data.spikes[:, :, self.split.held_in]
        fitted = ridge.fit(self.data, self.split)
        velocity = self._decode(counts[self._fitting()], counts[self.split.test])
        return self._scores(fitted.predict(counts[self.split.test]), velocity)

    def velocity(self, network: nn.Module, trials: Array) -> Array | None:
        """Velocity decoded from a network's rates, [trials, bins, axes]; None where it was not recorded."""
        if self.data.vel is None:
            return None
        return self._decode(self.rates(network, self._fitting()), self.rates(network, trials))

    def _fitting(self) -> Array:
        return np.concatenate([self.split.train, self.split.val])

    def _decode(self, fit: Array, seen: Array) -> Array | None:
        others = self.data.select(self._fitting())
        return None if others.vel is None else metrics.decode((fit, others.vel, others.mask), seen)

    def _scores(self, predicted: Array, velocity: Array | None) -> Scores:
        """predicted, velocity: rates and decoded velocity of the test trials."""
        test, out = self.data.select(self.split.test), self.split.held_out
        return {
            "co_bps": metrics.co_bps(predicted[:, :, out], test.spikes[:, :, out], test.mask) if len(out) else None,
            "rate_r2": metrics.rate_r2(predicted, test.rates, test.mask),
            "velocity_r2": None
            if velocity is None or test.vel is None
            else metrics.velocity_r2(velocity, test.vel, test.mask),
        }


def _geometry(config: QuantizeConfig, data: Dataset, parts: Split) -> NDTConfig:
    """The network's shape; BadInput for one that nothing holds, or that is shorter than the longest trial."""
    model = config.model
    endless = model.position == "rotary" and model.causal
    max_bins = model.max_bins if endless else model.max_bins or data.bins
    if max_bins is not None and max_bins < data.bins:
        raise BadInput(f"model.max_bins is {max_bins}, but the longest trial of {data.name} has {data.bins} bins")
    if not model.causal and max_bins is not None and max_bins > data.bins:
        raise BadInput(f"model.max_bins must be {data.bins}, the longest trial, for whole windows, got {max_bins}")
    if model.lookup and model.most is None:
        model = replace(model, most=_largest(data, parts))
    try:
        check_overrides(config.bits, model.layers, bool(model.spatial_heads))
        found = geometry_of(replace(model, max_bins=max_bins), data.channels, parts.held_in.tolist())
        check_limits(found, config.bits)
        return found
    except ValueError as error:
        raise BadInput(f"model: {error}") from error


def geometry_of(model: ModelConfig, channels: int, held_in: Sequence[int]) -> NDTConfig:
    """The shape of a network that sees the channels `held_in` of all `channels`; a resolved model."""
    columns = tuple(held_in)
    own = {name: value for name in SAME if (value := getattr(model, name)) is not None}
    own |= {"identity": columns if model.identity or model.lookup else (), "courses": columns if model.courses else ()}
    return NDTConfig(len(columns), channels, **own | {"max_bins": model.max_bins})


def _largest(data: Dataset, parts: Split) -> int:
    """The largest count that a network hears in training, 1 at least."""
    return max(1, int(data.spikes[parts.train][:, :, parts.held_in].max()))
