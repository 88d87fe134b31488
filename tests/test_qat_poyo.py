"""The integer POYO: its graph is the float network, torch equals the ops at every node, adaptation moves rows alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from needs import needs_package, shared

torch = needs_package("torch")

from edgendt.data import load, split  # noqa: E402
from edgendt.data.events import SpikeTimes, jittered  # noqa: E402
from edgendt.data.lorenz import lorenz_sessions  # noqa: E402
from edgendt.data.tokens import Cut, gather, whole  # noqa: E402
from edgendt.errors import BadInput  # noqa: E402
from edgendt.models.poyo import POYO, POYOConfig, Tokens  # noqa: E402
from edgendt.ops import Linear, Rotary  # noqa: E402
from edgendt.ops.cross_attention import CrossAttention  # noqa: E402
from edgendt.qat.decode import Sessions  # noqa: E402
from edgendt.qat.formats import Bits  # noqa: E402
from edgendt.qat.poyo import QuantPOYO, real  # noqa: E402
from edgendt.qat.poyo_graph import macs  # noqa: E402
from edgendt.qat.train import Masking, Phase, Plan  # noqa: E402

DATA = lorenz_sessions(0, sessions=3, trials=12, bins=10, channels=6, bin_s=0.1)
SESSIONS = tuple(jittered(data) for data in DATA)
SPLITS = tuple(split(data, 0, held_out=0) for data in DATA)
CUTS = [Cut(0, 0, 0, 1000, 0, 10), Cut(1, 1, 0, 400, 2, 4), Cut(1, 2, 0, 1000, 9, 10)]
PLAN = Plan("qat", 6, 4, 1e-3, 0.0, 0.3, Masking(), seed=5, surrogate=0.5)


def network(sessions: tuple[SpikeTimes, ...] = SESSIONS[:2], seed: int = 0, **geometry: Any) -> POYO:
    """A float network far from where training starts, so that every node's codes vary."""
    small = {"dim": 16, "depth": 2, "latents": 2, "head_size": 8, "self_heads": 3}
    torch.manual_seed(seed)
    net = POYO(POYOConfig(sum(data.units for data in sessions), len(sessions), **small | geometry))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(2).add_(0.1 * torch.randn_like(parameter))
        for table in (net.unit.weight, net.kind.weight, net.session.weight, net.latents):
            table.mul_(20)
    return net.eval()


def tokens(cuts: list[Cut] = CUTS, sessions: tuple[SpikeTimes, ...] = SESSIONS) -> Tokens:
    return Tokens.of(gather(sessions, cuts))


def silent(phase: str, done: int, steps: int) -> None:
    """No bar."""


def compare(net: QuantPOYO, seen: Tokens) -> int:
    """Every node of every window: torch equals the ops. How many codes were compared."""
    count = 0
    for window in range(len(seen.unit)):
        got, expected = net.trace(seen, window), net.reference(seen, window)
        assert got.keys() == expected.keys()
        for name, codes in expected.items():
            np.testing.assert_array_equal(got[name], codes, err_msg=f"{name}, window {window}")
            count += codes.size
    return count


@torch.no_grad()
def test_the_graph_is_the_float_network() -> None:
    net, seen = network(), tokens()
    assert torch.allclose(real(net, seen)["readout"], net(seen), atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_torch_equals_the_ops_at_every_node_of_padded_windows(seed: int) -> None:
    bits = (Bits(), Bits(weight=8, residual=16), Bits(weight=3))[seed]
    net = QuantPOYO.from_float(network(seed=seed), tokens(), bits)
    assert compare(net, tokens()) > 40_000
    assert all(codes.min() < codes.max() for codes in net.reference(tokens(), 0).values())


def test_keys_and_values_of_a_token_are_a_table_of_its_unit_and_kind() -> None:
    net, seen = QuantPOYO.from_float(network(), tokens()), tokens()
    for window in range(len(seen.unit)):
        codes, n = net.reference(seen, window), int(seen.length[window])
        where = np.asarray(seen.unit[window, :n]), np.asarray(seen.kind[window, :n])
        for name, table in zip(("read.k", "read.v"), net.token_table(), strict=True):
            assert table.shape == (12, 3, 16)
            np.testing.assert_array_equal(table[where], codes[name])


def test_a_trained_network_still_equals_the_ops() -> None:
    found = Sessions(SESSIONS[:2], SPLITS[:2])
    net = QuantPOYO.from_float(network(), tokens())
    before = net.reference(tokens(), 0)["readout"]
    Phase(PLAN, net, found, None).run(silent)
    assert compare(net, tokens()) > 40_000
    assert (net.reference(tokens(), 0)["readout"] != before).any()


def test_surrogates_are_another_network() -> None:
    net, seen = QuantPOYO.from_float(network(), tokens()), tokens()
    assert not torch.equal(net(seen), net(seen, surrogate=True))
    with torch.no_grad():
        exact = net(seen)
    assert torch.equal(net(seen), exact)  # the path that training takes


def test_a_fault_in_one_op_is_found() -> None:
    net = QuantPOYO.from_float(network(), tokens())
    module: Any = net.parts["layer1/back"]
    assert isinstance(module.op, Rotary) and module.op.inverse
    expected = net.reference(tokens(), 0)
    module.op = replace(module.op, inverse=False)
    got = net.trace(tokens(), 0)
    assert next(name for name in expected if (got[name] != expected[name]).any()) == "layer1.back"


def test_a_saved_network_is_the_same_network(tmp_path: Path) -> None:
    net = QuantPOYO.from_float(network(), tokens(), Bits(weight=3, overrides={"layer0.f1": 8}))
    torch.save(net.state(), tmp_path / "q.pt")
    again = QuantPOYO.from_state(torch.load(tmp_path / "q.pt", weights_only=True))
    for name, codes in net.reference(tokens(), 1).items():
        np.testing.assert_array_equal(again.reference(tokens(), 1)[name], codes)
    with pytest.raises(BadInput, match="must be a POYO's of schema 1, got None of 1"):
        QuantPOYO.from_state({"schema": 1})


@pytest.mark.parametrize("table", [False, True])
def test_products_are_those_of_the_ops(table: bool) -> None:
    net, seen = QuantPOYO.from_float(network(), tokens()), tokens()
    codes, total = net.reference(seen, 0), 0
    for step, op, _ in net.nodes():
        if isinstance(op, Linear) and not (table and step.name in ("read.q", "read.k", "read.v")):
            total += len(codes[step.name]) * op.inputs * op.outputs
        if isinstance(op, CrossAttention):
            q, k, _v = (codes[name] for name in step.inputs)
            total += 2 * len(q) * len(k) * op.size
    assert macs(net.config, int(seen.length[0]), len(codes["readout"]), table) == total


def test_adaptation_in_integers_moves_rows_alone() -> None:
    net = QuantPOYO.from_float(network(), tokens())
    new, found = net.adapted(SESSIONS[2].units), Sessions(SESSIONS[2:], SPLITS[2:])
    Phase(replace(PLAN, lr=0.1), new, found, None).run(silent)
    old, fresh = net.state_dict(), new.state_dict()
    moved = {name for name in old if old[name].shape != fresh[name].shape or not torch.equal(old[name], fresh[name])}
    assert moved == {"parts.embed.table", "parts.query.table"}
    seen = tokens([Cut(0, 3, 0, 1000, 0, 10)], SESSIONS[2:])
    assert compare(new, seen) > 10_000 and new.fracs == net.fracs


def test_real_windows_equal_the_ops() -> None:
    path = str(shared("realdata/miller_reach_myow.npz"))
    data = (jittered(load(path, session="chewie_20131003_100ms_all")),)
    net = network(data, dim=64, latents=8, head_size=64, self_heads=4)
    cuts = list(whole(data[0], 0, np.arange(20), 1000))
    seen = tokens(cuts[:20], data)
    assert int(seen.length.max()) > 700
    assert compare(QuantPOYO.from_float(net, seen), seen) > 10_000_000
