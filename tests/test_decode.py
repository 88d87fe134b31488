"""Velocity decoders: test trials change no training, every bin is predicted once, adaptation moves rows alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from needs import needs_package

torch = needs_package("torch")

from edgendt.data import Dataset, split  # noqa: E402
from edgendt.data.events import jittered  # noqa: E402
from edgendt.data.lorenz import lorenz_sessions  # noqa: E402
from edgendt.data.tokens import causal, whole  # noqa: E402
from edgendt.models.poyo import POYO, POYOConfig, Tokens, adapted  # noqa: E402
from edgendt.qat.decode import Counts, Sessions, Target, ridge_score  # noqa: E402
from edgendt.qat.train import Masking, Phase, Plan  # noqa: E402

DATA = lorenz_sessions(0, sessions=3, trials=12, bins=13, channels=6, bin_s=0.1)
SPLITS = tuple(split(data, 0, held_out=0) for data in DATA)
PLAN = Plan("poyo", 6, 4, 3e-3, 1e-3, 0.3, Masking(), seed=5, val_every=3)


def sessions(*which: int, data: tuple[Dataset, ...] = DATA) -> Sessions:
    return Sessions(tuple(jittered(data[i]) for i in which), tuple(SPLITS[i] for i in which))


def network(found: Sessions) -> POYO:
    torch.manual_seed(0)
    config = POYOConfig(found.units, len(found.data), dim=16, depth=1, latents=2, head_size=8, self_heads=2)
    return POYO(config)


def silent(phase: str, done: int, steps: int) -> None:
    """No bar."""


def trained(net: Any, task: Any, plan: Plan = PLAN) -> Any:
    return Phase(plan, net, task, None).run(silent)


def same(a: Any, b: Any) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def spoilt(data: Dataset, trials: np.ndarray) -> Dataset:
    """The session with other spikes and another velocity in some trials."""
    spikes, vel = data.spikes.copy(), np.array(data.vel)
    spikes[trials], vel[trials] = spikes[trials][:, ::-1] + 1, 99.0
    return replace(data, spikes=spikes, vel=vel)


def test_training_repeats_and_never_sees_a_test_trial() -> None:
    found = sessions(0, 1)
    first = trained(network(found), found)
    assert same(first, trained(network(found), found))
    # Spoilt spikes would move the jitter of the others, so the times of training trials are put back.
    spoiled = [spoilt(data, parts.test) for data, parts in zip(DATA, SPLITS, strict=True)]
    assert same(first, trained(network(found), with_times(sessions(0, 1, data=tuple(spoiled)), found)))


def with_times(changed: Sessions, old: Sessions) -> Sessions:
    """`changed`, with the spikes of every trial that is no test trial as they are in `old`."""
    data = []
    for new, was, parts in zip(changed.data, old.data, old.splits, strict=True):
        of = [new if trial in parts.test else was for trial in range(new.binned.trials)]
        spans = [slice(source.first[t], source.first[t + 1]) for t, source in enumerate(of)]
        unit, ms = (
            np.concatenate([getattr(source, name)[span] for source, span in zip(of, spans, strict=True)])
            for name in ("unit", "ms")
        )
        first = np.cumsum([0, *(span.stop - span.start for span in spans)])
        data.append(replace(new, unit=unit, ms=ms, first=first))
    return replace(changed, data=tuple(data))


class Oracle(torch.nn.Module):
    """Answers with the time asked for, standardised by nobody."""

    def forward(self, tokens: Tokens) -> Any:
        return tokens.query_ms[..., None].expand(-1, -1, 2).double()


@pytest.mark.parametrize("cuts", [causal, whole])
def test_every_bin_of_a_trial_is_predicted_by_its_own_window(cuts: Any) -> None:
    found = sessions(0, 1)
    predicted = found.predict(Oracle(), 1, SPLITS[1].test, cuts)
    start = {causal: [0] * 10 + [100, 200, 300], whole: [0] * 10 + [300] * 3}[cuts]
    expected = found.targets[1].decode((np.arange(13) * 100 + 50 - start)[:, None].repeat(2, 1))
    assert np.allclose(predicted, expected)


def test_standardised_velocity_comes_back() -> None:
    target = Target.of(DATA[0], SPLITS[0].train)
    vel = DATA[0].vel
    assert vel is not None and np.allclose(target.decode(target.code(vel)), vel)
    assert np.allclose(target.code(vel[SPLITS[0].train]).std((0, 1)), 1)


def test_adaptation_moves_the_rows_of_the_new_session_alone() -> None:
    found, new = sessions(0, 1), sessions(2)
    net = network(found)
    before = adapted(net, new.units)
    after = trained(adapted(net, new.units), new, replace(PLAN, lr=3e-2))
    moved = {name for name, value in after.state_dict().items() if not torch.equal(value, before.state_dict()[name])}
    assert moved <= {"unit.weight", "session.weight"} and "unit.weight" in moved


def test_training_helps_on_trials_it_never_saw() -> None:
    found = sessions(0)
    plan = replace(PLAN, steps=60, batch=8, lr=1e-2, val_every=None)
    scores = [
        found.score(net, 0, SPLITS[0].test, whole) for net in (network(found), trained(network(found), found, plan))
    ]
    assert scores[1] > scores[0] + 0.1  # type: ignore[operator]


def test_the_recurrent_baseline_trains_without_test_trials() -> None:
    counts = Counts(DATA[0], SPLITS[0])
    first = trained(counts.network(1), counts)
    other = Counts(spoilt(DATA[0], SPLITS[0].test), SPLITS[0])
    assert same(first, trained(other.network(1), other))
    plan = replace(PLAN, steps=80, batch=8, lr=1e-2, val_every=None)
    before, after = (counts.score(net, SPLITS[0].test) for net in (first, trained(counts.network(1), counts, plan)))
    assert before is not None and after is not None and after > before


def test_ridge_is_the_baseline_of_every_session() -> None:
    score = ridge_score(DATA[0], SPLITS[0])
    assert score is not None and 0 < score < 1
