"""The training loop: it scores no padding, keeps the best weights, and goes on after an interruption bit for bit."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from needs import needs_package

torch = needs_package("torch")

from edgendt.data import Dataset, Split, split  # noqa: E402
from edgendt.data.lorenz import lorenz  # noqa: E402
from edgendt.errors import BadInput, EdgendtError  # noqa: E402
from edgendt.models.ndt import NDTConfig  # noqa: E402
from edgendt.qat import train  # noqa: E402
from edgendt.qat.formats import Bits  # noqa: E402
from edgendt.qat.ndt import QuantNDT  # noqa: E402
from edgendt.qat.saved import write_state  # noqa: E402

DATA = lorenz(0, 4, 5)
PARTS = split(DATA, 0)
CONFIG = NDTConfig(len(PARTS.held_in), DATA.channels, 8, 1, 2, 16, 8, DATA.bins, dropout=0.1)
PLAN = train.Plan("float", 24, 6, 3e-3, 1e-3, 0.3, train.Masking(), seed=5, val_every=4)


class Interrupted(Exception):
    """What stands for a power cut."""


def network() -> Any:
    return train.new_ndt(CONFIG, DATA.spikes.mean((0, 1)), 1)


def quantized() -> QuantNDT:
    return QuantNDT.from_float(network(), Bits(), DATA.spikes[:8][:, :, PARTS.held_in])


def silent(phase: str, done: int, steps: int) -> None:
    """No bar."""


def phase(net: Any, plan: train.Plan = PLAN, checkpoint: Path | None = None) -> train.Phase:
    return train.Phase(plan, net, train.Masked(train.Tensors.of(DATA, PARTS), PARTS), checkpoint)


def same(a: Any, b: Any) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


QAT = replace(PLAN, name="qat", surrogate=0.5, val_every=None)


@pytest.mark.parametrize(("make", "plan"), [(network, PLAN), (quantized, QAT)], ids=["float", "qat"])
def test_an_interrupted_training_goes_on_bit_for_bit(
    make: Any, plan: train.Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "CHECKPOINT_EVERY", 5)
    whole = phase(make(), plan).run(silent)

    def cut(name: str, done: int, steps: int) -> None:
        if done == 13:
            raise Interrupted

    checkpoint = tmp_path / "phase.pt"
    with pytest.raises(Interrupted):
        phase(make(), plan, checkpoint).run(cut)
    torch.manual_seed(999)  # another process starts with other random numbers
    resumed = phase(make(), plan, checkpoint)
    assert resumed.step == 10
    assert same(whole, resumed.run(silent))
    assert same(whole, phase(make(), plan, checkpoint).run(silent))  # a finished one trains no more


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04cut", b"\x80\x04K\x01."])
def test_a_damaged_checkpoint_is_one_sentence(content: bytes, tmp_path: Path) -> None:
    checkpoint = tmp_path / "float.pt"
    checkpoint.write_bytes(content)
    with pytest.raises(BadInput, match=r"float\.pt is damaged: remove it, and its phase trains anew"):
        phase(network(), PLAN, checkpoint)


def test_a_full_disk_is_told_with_the_file() -> None:
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        write_state({"weights": torch.zeros(100_000)}, "/dev/full")


def test_training_leaves_the_callers_random_numbers_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    phase(network()).run(silent)
    assert torch.equal(torch.rand(4), expected)


def test_training_learns() -> None:
    tensors, val = train.Tensors.of(DATA, PARTS), torch.tensor(PARTS.val)
    before = train.validation_loss(network(), tensors, val, PLAN)
    after = train.validation_loss(phase(network(), replace(PLAN, steps=60, lr=1e-2)).run(silent), tensors, val, PLAN)
    assert after < before


def test_the_weights_kept_are_the_best_on_validation() -> None:
    seen: list[float] = []

    class Writer:
        def add_scalar(self, tag: str, value: float, step: int) -> None:
            if tag == "float/validation":
                seen.append(value)

    plan = replace(PLAN, lr=0.3)  # so large that the last weights are not the best
    kept = phase(network(), plan).run(silent, Writer())
    loss = train.validation_loss(kept, train.Tensors.of(DATA, PARTS), torch.tensor(PARTS.val), plan)
    assert loss == min(seen) < seen[-1]


def test_padding_changes_neither_loss_nor_scores() -> None:
    lengths = np.random.default_rng(0).integers(20, 51, DATA.trials)
    clean = Dataset("clean", DATA.spikes * (np.arange(50) < lengths[:, None])[..., None], lengths, 0.02)
    dirty = Dataset("dirty", np.where(clean.mask[..., None], clean.spikes, 77), lengths, 0.02)
    trials, net = torch.arange(6), network().eval()
    for masking, contrast in ((train.Masking(), 0.0), (train.Masking(0, 0, 0.5), 0.0), (train.Masking(), 1.0)):
        losses = []
        for data in (clean, dirty):
            torch.manual_seed(0)
            losses.append(train.masked_loss(net, train.Tensors.of(data, PARTS), trials, masking, contrast))
        assert torch.allclose(losses[0], losses[1], rtol=1e-6)
    values = [train.validation_loss(net, train.Tensors.of(d, PARTS), trials, PLAN) for d in (clean, dirty)]
    assert values[0] == pytest.approx(values[1], rel=1e-6)


def test_a_hidden_input_is_not_seen() -> None:
    seen = []

    def net(counts: Any) -> Any:
        seen.append(counts)
        return torch.zeros(*counts.shape[:2], DATA.channels)

    train.masked_loss(net, train.Tensors.of(DATA, PARTS), torch.arange(4), train.Masking(0, 1.0, 0))
    assert not seen[0].any()


def test_the_contrastive_loss_asks_for_answers_that_tell_trials_apart() -> None:
    def added(answers: Any) -> float:
        losses = []
        for contrast in (1.0, 2.0):
            torch.manual_seed(0)  # the same views
            tensors, trials = train.Tensors.of(DATA, PARTS), torch.arange(4)
            losses.append(train.masked_loss(lambda _: answers, tensors, trials, train.Masking(), contrast))
        return float(losses[1] - losses[0])

    shape = (4, DATA.bins, DATA.channels)
    assert added(torch.zeros(shape)) == pytest.approx(math.log(7), abs=1e-4)  # one of the seven other views
    assert abs(added(torch.randn(shape))) < 1e-3


def test_thinning_asks_for_the_spikes_it_sets_aside() -> None:
    """The loss is least at the counts' own mean, though the network sees a part of them; hidden inputs stay hidden."""
    tensors, masking = train.Tensors.of(DATA, PARTS), train.Masking(0.2, 0.1, 0, thin=0.4)
    seen = []

    def loss(rate: float) -> float:
        def net(counts: Any) -> Any:
            seen.append(counts)
            return torch.full((*counts.shape[:2], DATA.channels), rate).log()

        torch.manual_seed(0)
        return float(train.masked_loss(net, tensors, torch.arange(DATA.trials), masking))

    mean = float(tensors.counts.mean())
    assert loss(mean) < min(loss(0.9 * mean), loss(1.1 * mean))
    kept, counts = seen[0] * 0.6, tensors.counts[:, :, tensors.held_in]
    assert torch.allclose(kept, kept.round(), atol=1e-5) and (kept <= counts + 1e-5).all()
    assert float(kept.sum() / counts.sum()) == pytest.approx(0.8 * 0.9 * 0.6, rel=0.1)


def test_a_refit_trains_on_validation_trials_too_and_never_on_test_trials() -> None:
    plan = replace(PLAN, refit=True, val_every=None)
    task = train.Masked(train.Tensors.of(DATA, PARTS), PARTS)
    assert not set(task.trials(plan).tolist()) & set(PARTS.test.tolist())
    assert sorted(task.trials(plan).tolist()) == sorted([*PARTS.train, *PARTS.val])
    assert task.trials(PLAN).tolist() == PARTS.train.tolist()


def test_held_out_channels_are_never_inputs() -> None:
    changed = DATA.spikes.copy()
    changed[:, :, PARTS.held_out] += 9
    net = network().eval()
    a = train.rates(net, train.Tensors.of(DATA, PARTS), PARTS.test)
    b = train.rates(net, train.Tensors.of(replace(DATA, spikes=changed), PARTS), PARTS.test)
    assert np.array_equal(a, b)


def test_without_held_out_channels_validation_hides_inputs() -> None:
    parts = Split(PARTS.train, PARTS.val, PARTS.test, np.arange(30), np.empty(0, np.int64))
    net = train.new_ndt(replace(CONFIG, channels=30), DATA.spikes.mean((0, 1)), 1)
    tensors, val = train.Tensors.of(DATA, parts), torch.tensor(parts.val)
    first = train.validation_loss(net, tensors, val, PLAN)
    assert first == train.validation_loss(net, tensors, val, PLAN)
    assert first != train.validation_loss(net, tensors, val, replace(PLAN, seed=6))


def test_the_last_part_of_qat_runs_integers() -> None:
    calls = []

    class Watched(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = quantized()

        def forward(self, counts: Any, surrogate: bool = False) -> Any:
            calls.append(surrogate)
            return self.inner(counts, surrogate=surrogate)

    phase(Watched(), replace(QAT, steps=20, surrogate=0.9)).run(silent)
    assert calls == [True] * 18 + [False] * 2


def test_the_rate_rises_then_falls_to_zero() -> None:
    rates = [train.schedule(step, PLAN) for step in range(PLAN.steps)]
    peak = int(np.argmax(rates))
    assert max(rates) == pytest.approx(1.0, abs=0.1) and 0 < peak < PLAN.steps / 2
    assert rates[-1] < 0.03 and all(rate > 0 for rate in rates)


def test_a_diverged_training_says_where() -> None:
    net = network()
    with torch.no_grad():
        net.readout.bias.fill_(float("inf"))
    with pytest.raises(EdgendtError, match="float training diverged at step 1: lower its learning rate"):
        phase(net).run(silent)
