"""The integer POYO: its graph is the float network, torch equals the Program at every node, adaptation moves rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from needs import needs_package, shared

torch = needs_package("torch")

from poyos import DATA, SESSIONS, network, tokens, windows  # noqa: E402

from edgendt.data import load, split  # noqa: E402
from edgendt.data.events import jittered  # noqa: E402
from edgendt.data.tokens import Cut, spikes_last, whole  # noqa: E402
from edgendt.errors import BadInput  # noqa: E402
from edgendt.fixed import Codes  # noqa: E402
from edgendt.models.poyo import Tokens  # noqa: E402
from edgendt.ops import Rotary  # noqa: E402
from edgendt.qat.decode import Sessions  # noqa: E402
from edgendt.qat.formats import Bits  # noqa: E402
from edgendt.qat.poyo import QuantPOYO, given, real  # noqa: E402
from edgendt.qat.poyo_graph import macs  # noqa: E402
from edgendt.qat.train import Masking, Phase, Plan  # noqa: E402

SPLITS = tuple(split(data, 0, held_out=0) for data in DATA)
PLAN = Plan("qat", 6, 4, 1e-3, 0.0, 0.3, Masking(), seed=5, surrogate=0.5)


def silent(phase: str, done: int, steps: int) -> None:
    """No bar."""


def reference(net: QuantPOYO, seen: Tokens, window: int) -> dict[str, Codes]:
    """Every node's codes of one window, by the Program."""
    return net.program().trace(given(seen, window))


def compare(net: QuantPOYO, seen: Tokens) -> int:
    """Every node of every window: torch equals the Program. How many codes were compared."""
    count = 0
    for window in range(len(seen.unit)):
        got, expected = net.trace(seen, window), reference(net, seen, window)
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
def test_torch_equals_the_program_at_every_node_of_padded_windows(seed: int) -> None:
    bits = (Bits(), Bits(weight=8, residual=16), Bits(weight=3))[seed]
    net = QuantPOYO.from_float(network(seed=seed), tokens(), bits)
    assert compare(net, tokens()) > 40_000
    assert all(codes.min() < codes.max() for codes in reference(net, tokens(), 0).values())


def test_the_order_of_tokens_is_no_part_of_the_answer() -> None:
    program, rng = QuantPOYO.from_float(network(), tokens()).program(), np.random.default_rng(0)
    for window in windows():
        order, sent = rng.permutation(len(window["tokens"])), spikes_last(window)
        assert (sent["tokens"] != window["tokens"]).any()
        mixed = {**window, **{name: window[name][order] for name in ("tokens", "token_ms")}}
        for other in (sent, mixed):
            np.testing.assert_array_equal(program.run(other), program.run(window))


def test_keys_and_values_of_a_token_are_a_table_of_its_unit_and_kind() -> None:
    net, seen = QuantPOYO.from_float(network(), tokens()), tokens()
    for window in range(len(seen.unit)):
        codes, n = reference(net, seen, window), int(seen.length[window])
        where = np.asarray(seen.unit[window, :n]), np.asarray(seen.kind[window, :n])
        for name, table in zip(("read.k", "read.v"), net.token_table(), strict=True):
            assert table.shape == (12, 3, 16)
            np.testing.assert_array_equal(table[where], codes[name])


def test_a_trained_network_still_equals_the_program() -> None:
    found = Sessions(SESSIONS[:2], SPLITS[:2])
    net = QuantPOYO.from_float(network(), tokens())
    before = reference(net, tokens(), 0)["readout"]
    Phase(PLAN, net, found, None).run(silent)
    assert compare(net, tokens()) > 40_000
    assert (reference(net, tokens(), 0)["readout"] != before).any()


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
    expected = reference(net, tokens(), 0)
    module.op = replace(module.op, inverse=False)
    got = net.trace(tokens(), 0)
    assert next(name for name in expected if (got[name] != expected[name]).any()) == "layer1.back"


def test_a_saved_network_is_the_same_network(tmp_path: Path) -> None:
    net = QuantPOYO.from_float(network(), tokens(), Bits(weight=3, overrides={"layer0.f1": 8}))
    torch.save(net.state(), tmp_path / "q.pt")
    again = QuantPOYO.from_state(torch.load(tmp_path / "q.pt", weights_only=True))
    for name, codes in reference(net, tokens(), 1).items():
        np.testing.assert_array_equal(reference(again, tokens(), 1)[name], codes)
    with pytest.raises(BadInput, match="must be a POYO's of schema 1, got None of 1"):
        QuantPOYO.from_state({"schema": 1})


@pytest.mark.parametrize("table", [False, True])
def test_products_are_those_of_the_ops(table: bool) -> None:
    net, seen = QuantPOYO.from_float(network(), tokens()), tokens()
    rows = {"tokens": int(seen.length[0]), "queries": seen.query_ms.shape[1]}
    program, saved = net.program(), 0
    if table:  # what is read, not computed: keys and values of tokens, and the first block's queries
        read = [program.node(f"read.{part}") for part in "qkv"]
        many = [program.rows("read.q"), rows["tokens"], rows["tokens"]]
        saved = sum(n * node.op.inputs * node.op.outputs for n, node in zip(many, read, strict=True))  # type: ignore[union-attr]
    assert macs(net.config, rows["tokens"], rows["queries"], table) == program.products(rows) - saved


def test_adaptation_in_integers_moves_rows_alone() -> None:
    net = QuantPOYO.from_float(network(), tokens())
    new, found = net.adapted(SESSIONS[2].units), Sessions(SESSIONS[2:], SPLITS[2:])
    Phase(replace(PLAN, lr=0.1), new, found, None).run(silent)
    old, fresh = net.state_dict(), new.state_dict()
    moved = {name for name in old if old[name].shape != fresh[name].shape or not torch.equal(old[name], fresh[name])}
    assert moved == {"parts.embed.table", "parts.query.table"}
    seen = tokens([Cut(0, 3, 0, 1000, 0, 10)], SESSIONS[2:])
    assert compare(new, seen) > 10_000 and new.fracs == net.fracs


def test_real_windows_equal_the_program() -> None:
    path = str(shared("realdata/miller_reach_myow.npz"))
    data = (jittered(load(path, session="chewie_20131003_100ms_all")),)
    net = network(data, dim=64, latents=8, head_size=64, self_heads=4)
    cuts = list(whole(data[0], 0, np.arange(20), 1000))
    seen = tokens(cuts[:20], data)
    assert int(seen.length.max()) > 700
    assert compare(QuantPOYO.from_float(net, seen), seen) > 10_000_000
