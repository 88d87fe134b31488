"""The float POYO: differences of time alone, no padding, tokens in any order; sessions share all but their rows."""

from __future__ import annotations

import doctest
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from needs import ROOT, needs_package

torch = needs_package("torch")

from edgendt.data.events import jittered  # noqa: E402
from edgendt.data.lorenz import lorenz_sessions  # noqa: E402
from edgendt.data.tokens import Cut, gather  # noqa: E402
from edgendt.models.gru import GRU  # noqa: E402
from edgendt.models.poyo import (  # noqa: E402
    POYO,
    PRESETS,
    POYOConfig,
    Tokens,
    adapted,
    preset,
    weights,
)
from edgendt.ops.rotary import TURN  # noqa: E402

SESSIONS = tuple(jittered(data) for data in lorenz_sessions(0, sessions=2, trials=3, bins=10, channels=4, bin_s=0.1))
CUTS = [Cut(0, 0, 0, 1000, 0, 10), Cut(1, 1, 0, 700, 5, 7), Cut(1, 2, 0, 1000, 0, 10)]
SMALL = POYOConfig(8, 2, dim=16, depth=1, latents=2, head_size=8, self_heads=2)


def network(config: POYOConfig = SMALL) -> POYO:
    torch.manual_seed(0)
    net = POYO(config)
    with torch.no_grad():
        for table in (net.unit.weight, net.kind.weight, net.session.weight, net.latents):
            table.mul_(50)  # far from where they start, so that every token matters
    return net.double().eval()


def tokens(cuts: list[Cut] = CUTS) -> Tokens:
    return Tokens.of(gather(SESSIONS, cuts))


def test_the_published_size_has_1_3_million_weights() -> None:
    assert PRESETS.keys() == {"compact", "small", "1.3m"}
    assert weights(POYO(preset("1.3m", units=100))) == pytest.approx(1.3e6, rel=0.05)
    assert weights(POYO(preset("small", units=100))) < 0.4e6


def test_the_numbers_on_the_page_are_true() -> None:
    result = doctest.testfile(str(ROOT / "docs" / "poyo.md"), module_relative=False)
    assert result.attempted == 31 and result.failed == 0


def test_a_phase_advances_by_whole_numbers() -> None:
    steps = preset("small", 1).steps
    assert len(steps) == 32 and steps[16:] == (0,) * 16
    assert steps[0] == round(TURN / 10) and steps[15] == round(TURN / 4000)
    assert list(steps) == sorted(steps, reverse=True) and min(steps[:16]) > 0


def test_latents_stand_in_the_middle_of_their_steps() -> None:
    assert SMALL.latent_ms == tuple(62 + 125 * step for step in range(8) for _ in range(2))


@torch.no_grad()
def test_only_differences_of_time_matter() -> None:
    net, seen = network(), tokens()
    later = seen._replace(ms=seen.ms + 40, query_ms=seen.query_ms + 40)
    moved = network()
    moved.latent_ms += 40
    assert torch.allclose(moved(later), net(seen), atol=1e-6)
    assert not torch.allclose(net(later), net(seen), atol=1e-4)


@torch.no_grad()
def test_padding_changes_nothing() -> None:
    net, seen = network(), tokens()
    for i, cut in enumerate(CUTS):
        alone = net(tokens([cut]))[0]
        assert torch.allclose(net(seen)[i, : len(alone)], alone, atol=1e-12)
    spoilt = seen._replace(unit=seen.unit.clone())
    for row, length in zip(spoilt.unit, seen.length, strict=True):
        row[length:] = 7
    assert torch.equal(net(spoilt), net(seen))


@torch.no_grad()
def test_tokens_may_come_in_any_order() -> None:
    net, seen = network(), tokens(CUTS[:1])
    order = torch.randperm(seen.unit.shape[1])
    mixed = seen._replace(unit=seen.unit[:, order], kind=seen.kind[:, order], ms=seen.ms[:, order])
    assert torch.allclose(net(mixed), net(seen), atol=1e-12)


@torch.no_grad()
@pytest.mark.parametrize("what", ["unit", "kind", "ms", "session", "query_ms"])
def test_everything_about_a_token_and_a_query_matters(what: str) -> None:
    net, seen = network(), tokens(CUTS[:1])
    values = getattr(seen, what)
    most = {"unit": 8, "kind": 3, "session": 2}.get(what, 1000)
    changed = seen._replace(**{what: (values + (1 if most < 1000 else 90)) % most})
    assert not torch.allclose(net(changed), net(seen), atol=1e-4)


def test_adaptation_trains_rows_alone_and_keeps_the_rest() -> None:
    net = network().float()
    new = adapted(net, 5)
    assert new.config == replace(SMALL, units=5, sessions=1)
    moving = {name for name, parameter in new.named_parameters() if parameter.requires_grad}
    assert moving == {"unit.weight", "session.weight"}
    old, fresh = net.state_dict(), new.state_dict()
    assert all(torch.equal(old[name], fresh[name]) for name in old if name not in moving)
    assert torch.allclose(fresh["session.weight"][0], old["session.weight"].mean(0))


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"latents": 0}, "latents must be at least 1"),
        ({"head_size": 7}, "head_size must be even, for channels rotate in pairs, got 7"),
        ({"step_ms": 130}, "step_ms must divide window_ms 1000, got 130"),
        ({"shortest_ms": 1.0}, "periods must be 2 <= shortest_ms"),
        ({"dropout": 1.0}, "dropout must be 0 to below 1"),
    ],
)
def test_a_geometry_that_cannot_be_is_refused(wrong: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        POYOConfig(4, **wrong)
    with pytest.raises(ValueError, match=rule):
        preset("small", 4, **wrong)


def test_a_preset_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"preset must be one of compact, small, 1\.3m, got 'big'"):
        preset("big", 4)


@torch.no_grad()
def test_the_recurrent_baseline_is_causal() -> None:
    counts = torch.from_numpy(np.random.default_rng(0).poisson(1.0, (2, 9, 4))).float()
    net = GRU(torch.ones(4), torch.ones(4)).eval()
    later = counts.clone()
    later[:, 6:] += 2
    assert torch.equal(net(counts)[:, :6], net(later)[:, :6]) and not torch.equal(net(counts), net(later))
