"""The training loop of every network, resumable bit for bit, and what the NDT is trained on: masked Poisson loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from edgendt.data import Dataset, Split
from edgendt.errors import BadInput, EdgendtError
from edgendt.metrics import Array
from edgendt.models.stndt import nt_xent
from edgendt.qat.saved import write_state

if TYPE_CHECKING:
    from edgendt.models.ndt import NDT, NDTConfig

Progress = Callable[[str, int, int], None]  # (phase, steps done, steps of the phase)
CHECKPOINT_EVERY = 100
SCORE_BATCH = 64


class Writer(Protocol):
    """What TensorBoard's SummaryWriter offers and the loop needs."""

    def add_scalar(self, tag: str, value: float, step: int) -> object: ...


@dataclass(frozen=True)
class Masking:
    """What training keeps from the network, for it to predict.

    bins, channels, entries: shares of inputs hidden whole. thin: share of the spikes of every other input that are set
    aside one by one, as targets; the rest is scaled up to the usual size. The two parts of a Poisson count are
    independent: neither gives the other away.
    """

    bins: float = 0.1
    channels: float = 0.1
    entries: float = 0.1
    thin: float = 0.0


@dataclass(frozen=True)
class Plan:
    """One phase of training. warmup, surrogate: shares of the steps. contrast: see masked_loss."""

    name: str
    steps: int
    batch: int
    lr: float
    weight_decay: float
    warmup: float
    masking: Masking
    seed: int
    surrogate: float | None = None  # QAT: the share of steps in float surrogates; None for a float network
    val_every: int | None = None  # keep the weights that are best on validation, looked at so often; None: the last
    refit: bool = False  # train on the validation trials too
    contrast: float = 0.0


@dataclass(frozen=True)
class Tensors:
    """A data set as the loop uses it: counts [trials, bins, channels], mask [trials, bins], channel numbers."""

    counts: Tensor
    mask: Tensor
    held_in: Tensor
    held_out: Tensor

    @classmethod
    def of(cls, data: Dataset, split: Split) -> Tensors:
        return cls(
            torch.tensor(data.spikes, dtype=torch.float32),
            torch.tensor(data.mask),
            torch.tensor(split.held_in),
            torch.tensor(split.held_out),
        )


def new_ndt(config: NDTConfig, mean: Array, seed: int) -> NDT:
    """A float NDT before training. mean [outputs]: expected counts per bin, where the log-rates start.

    The head starts at 0.3 and the embedder at 0.2 of the usual size: counts times √d would else drown the positions.
    """
    from edgendt.models.ndt import NDT

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = NDT(config)
    with torch.no_grad():
        net.readout.bias.copy_(torch.tensor(mean).clamp(min=1e-3).log())
        net.readout.weight.mul_(0.3)
        if not config.identity:
            net.embed.weight.mul_(0.2)
    return net


def schedule(step: int, plan: Plan) -> float:
    """Share of the peak learning rate at a step: linear warm-up, then half a cosine down to zero."""
    warm = max(1.0, plan.warmup * plan.steps)
    if step < warm:
        return min(1.0, (step + 1) / warm)
    return 0.5 * (1.0 + math.cos(math.pi * (step - warm) / max(1.0, plan.steps - warm)))


def hidden(shape: torch.Size, masking: Masking) -> Tensor:
    """[trials, bins, inputs] bool: which inputs to hide; whole bins, whole channels, single entries."""
    trials, bins, inputs = shape
    hide = torch.rand(trials, bins, 1) < masking.bins
    hide = hide | (torch.rand(trials, 1, inputs) < masking.channels)
    return hide | (torch.rand(trials, bins, inputs) < masking.entries)


def masked_loss(
    net: Callable[[Tensor], Tensor], data: Tensors, trials: Tensor, masking: Masking, contrast: float = 0.0
) -> Tensor:
    """Poisson loss per entry over what `masking` keeps from the inputs and held-out channels, never over padding.

    contrast: weight of the contrastive loss between two views of a trial, masked apart, whose Poisson losses are then
    averaged. Its features are the log-rates of all bins, less their mean over the batch: the readout is the projection.
    """
    loss, log_rates = masked_view(net, data, trials, masking)
    if not contrast:
        return loss
    other, others = masked_view(net, data, trials, masking)
    first, second = ((x - x.mean(0)).flatten(1) for x in (log_rates, others))
    return (loss + other) / 2 + contrast * nt_xent(first, second)


def masked_view(
    net: Callable[[Tensor], Tensor], data: Tensors, trials: Tensor, masking: Masking
) -> tuple[Tensor, Tensor]:
    """(Poisson loss of one masked view, its log-rates [trials, bins, outputs] with padding at 0)."""
    counts = data.counts[trials]
    inputs = counts[:, :, data.held_in]
    hide = hidden(inputs.shape, masking)
    seen = inputs * ~hide
    if masking.thin:
        seen = torch.binomial(seen, torch.full_like(seen, 1.0 - masking.thin))
    unseen, share = counts.clone(), torch.ones_like(counts)  # spikes to predict, and their share of all expected ones
    unseen[:, :, data.held_in] = inputs - seen
    share[:, :, data.held_in] = torch.where(hide, 1.0, masking.thin)
    mask, log_rates = data.mask[trials][..., None], net(seen / (1.0 - masking.thin))
    loss = ((share * log_rates.exp() - unseen * log_rates) * mask).sum() / (share * mask).sum().clamp(min=1.0)
    return loss, log_rates * mask


@torch.no_grad()
def validation_loss(net: nn.Module, data: Tensors, trials: Tensor, plan: Plan) -> float:
    """Poisson loss of the held-out channels on whole inputs; without such channels, the loss under fixed masks."""
    net.eval()
    losses, weights = [], []
    with torch.random.fork_rng():
        torch.manual_seed(plan.seed)
        for part in torch.split(trials, SCORE_BATCH):
            if len(data.held_out):
                counts, mask = data.counts[part], data.mask[part]
                log_rates = net(counts[:, :, data.held_in])[mask][:, data.held_out]
                loss = (log_rates.exp() - counts[mask][:, data.held_out] * log_rates).mean()
            else:
                loss = masked_loss(net, data, part, plan.masking)
            losses.append(float(loss))
            weights.append(int(data.mask[part].sum()))
    net.train()
    return float(np.average(losses, weights=weights))


@torch.no_grad()
def rates(net: nn.Module, data: Tensors, trials: Any) -> Array:
    """Predicted rates [trials, bins, channels] in eval mode, expected counts per bin (padding included)."""
    return np.exp(values(net.eval(), data, trials)[:, :, : data.counts.shape[2]])


@torch.no_grad()
def values(net: Callable[[Tensor], Tensor], data: Tensors, trials: Any) -> Array:
    """What `net` makes of the counts of some trials: [trials, bins, n], float64."""
    parts = [net(data.counts[part][:, :, data.held_in]) for part in torch.split(torch.as_tensor(trials), SCORE_BATCH)]
    return np.asarray(torch.cat(parts).double().numpy())


class Task(Protocol):
    """What a network is trained on."""

    def loss(self, net: Callable[..., Tensor], plan: Plan) -> Tensor:
        """The loss of one batch, drawn by torch's generator."""

    def validation(self, net: nn.Module, plan: Plan) -> float:
        """What the weights that are kept make least; leaves `net` in training mode."""


class Masked:
    """Poisson loss of hidden inputs and held-out channels, over the trials of a split."""

    def __init__(self, data: Tensors, split: Split) -> None:
        self.data, self.train, self.val = data, torch.tensor(split.train), torch.tensor(split.val)

    def trials(self, plan: Plan) -> Tensor:
        """Those that `plan` trains on."""
        return torch.cat([self.train, self.val]) if plan.refit else self.train

    def loss(self, net: Callable[..., Tensor], plan: Plan) -> Tensor:
        among = self.trials(plan)
        trials = among[torch.randperm(len(among))[: plan.batch]]
        return masked_loss(net, self.data, trials, plan.masking, plan.contrast)

    def validation(self, net: nn.Module, plan: Plan) -> float:
        return validation_loss(net, self.data, self.val, plan)


class Phase:
    """One phase under way: network, optimizer, step, best weights so far; saved and restored as one checkpoint.

    Every step seeds torch from (plan.seed, step), so a resumed phase repeats an uninterrupted one bit for bit.
    """

    def __init__(self, plan: Plan, net: nn.Module, task: Task, checkpoint: Path | None) -> None:
        self.plan, self.net, self.task, self.checkpoint = plan, net, task, checkpoint
        moving = [parameter for parameter in net.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(moving, lr=plan.lr, weight_decay=plan.weight_decay)
        self.step, self.best_loss = 0, math.inf
        self.best: dict[str, Tensor] = {}
        if checkpoint is not None and checkpoint.exists():
            self._restore(checkpoint)

    def run(self, progress: Progress, writer: Writer | None = None) -> nn.Module:
        """Train to the end; the network, in eval mode. Raises EdgendtError when the loss is no longer finite."""
        plan = self.plan
        progress(plan.name, self.step, plan.steps)
        with torch.random.fork_rng():
            while self.step < plan.steps:
                loss = self._one_step()
                self.step += 1
                self._watch(loss, writer)
                progress(plan.name, self.step, plan.steps)
                if self.checkpoint is not None and (self.step % CHECKPOINT_EVERY == 0 or self.step == plan.steps):
                    self._save(self.checkpoint)
        if self.best:
            self.net.load_state_dict(self.best)
        return self.net.eval()

    def _one_step(self) -> float:
        plan = self.plan
        torch.manual_seed((plan.seed << 24) + self.step)
        self.net.train()
        for group in self.optimizer.param_groups:
            group["lr"] = plan.lr * schedule(self.step, plan)
        loss = self.task.loss(self._forward, plan)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        return float(loss.detach())

    def _forward(self, inputs: Any) -> Tensor:
        options = {}
        if self.plan.surrogate is not None:
            options["surrogate"] = self.step < round(self.plan.surrogate * self.plan.steps)
        out: Tensor = self.net(inputs, **options)
        return out

    def _watch(self, loss: float, writer: Writer | None) -> None:
        """Log the loss, refuse a diverged one, keep the weights that are best on validation."""
        plan, step = self.plan, self.step
        if not math.isfinite(loss):
            raise EdgendtError(f"{plan.name} training diverged at step {step}: lower its learning rate ({plan.lr})")
        if writer is not None:
            writer.add_scalar(f"{plan.name}/loss", loss, step)
        if plan.val_every is None or (step % plan.val_every and step != plan.steps):
            return
        val = self.task.validation(self.net, plan)
        if writer is not None:
            writer.add_scalar(f"{plan.name}/validation", val, step)
        if val < self.best_loss:
            self.best_loss = val
            self.best = {key: value.detach().clone() for key, value in self.net.state_dict().items()}

    def _save(self, path: Path) -> None:
        """Write beside, then rename: an interruption leaves the old checkpoint whole."""
        state = {"step": self.step, "net": self.net.state_dict(), "optimizer": self.optimizer.state_dict()}
        state |= {"best": self.best, "best_loss": self.best_loss}
        beside = path.with_name(path.name + ".part")
        write_state(state, beside)
        beside.replace(path)

    def _restore(self, path: Path) -> None:
        try:
            state = torch.load(path, weights_only=True)
            self.net.load_state_dict(state["net"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.best, self.best_loss = state["step"], state["best"], state["best_loss"]
        except Exception as error:  # whatever unpickling strange bytes raises
            raise BadInput(f"checkpoint {path} is damaged: remove it, and its phase trains anew") from error
