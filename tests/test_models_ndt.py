"""The float NDT: causal, windowed, counted from the trial's start, of the geometry asked for; its whole-window kin."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from needs import needs_package

torch = needs_package("torch")

from edgendt.models.ndt import NDT, NDTConfig, seen, sinusoids  # noqa: E402
from edgendt.models.stndt import nt_xent  # noqa: E402

SMALL = NDTConfig(channels=5, outputs=7, d_model=16, layers=2, heads=4, ffn=24, window=4, max_bins=20)

WHOLE = replace(SMALL, window=20, causal=False, position="sinusoidal")
STNDT = NDTConfig(5, 7, 8, 2, 4, 24, 20, 20, causal=False, identity=(0, 1, 3, 4, 6), spatial_heads=2)


def network(config: NDTConfig = SMALL) -> NDT:
    torch.manual_seed(0)
    return NDT(config).eval()


def test_a_query_sees_its_own_bin_and_the_window_before_it() -> None:
    assert seen(5, 2, 0).int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [0, 1, 1, 1, 0],
        [0, 0, 1, 1, 1],
    ]


@torch.no_grad()
def test_later_bins_change_nothing_before_them() -> None:
    counts = torch.poisson(torch.ones(2, 20, 5))
    later = counts.clone()
    later[:, 11:] += 3
    net = network()
    assert torch.allclose(net(counts)[:, :11], net(later)[:, :11], atol=1e-6)
    assert not torch.allclose(net(counts)[:, 11:], net(later)[:, 11:])


@torch.no_grad()
def test_a_bin_reaches_as_far_as_the_windows_of_all_layers() -> None:
    counts = torch.zeros(1, 20, 5)
    touched = counts.clone()
    touched[:, 2] = 4
    difference = (network()(counts) - network()(touched)).abs().amax(2)[0]
    reach = 2 + SMALL.layers * (SMALL.window - 1)
    assert (difference[2 : reach + 1] > 0).all()
    assert (difference[reach + 1 :] < 1e-6).all()


@torch.no_grad()
def test_padding_behind_a_trial_changes_nothing_in_it() -> None:
    counts = torch.poisson(torch.ones(1, 9, 5))
    padded = torch.nn.functional.pad(counts, (0, 0, 0, 6))
    assert torch.allclose(network()(counts), network()(padded)[:, :9], atol=1e-6)


def test_attributes_are_those_the_quantized_network_copies() -> None:
    net = network()
    assert net.embed.weight.shape == (16, 5) and net.pos.shape == (20, 16) and net.readout.weight.shape == (7, 16)
    for block in net.layers:
        assert {"ln1", "q", "k", "v", "o", "ln2", "f1", "f2"} <= set(dict(block.named_children()))
        assert all(getattr(block, name).bias is not None for name in ("q", "k", "v", "o", "f1", "f2"))


def test_a_trial_past_the_position_table_is_refused() -> None:
    with pytest.raises(ValueError, match="bins must be at most max_bins = 20, got 21"):
        network()(torch.zeros(1, 21, 5))


def test_with_rotary_position_an_answer_depends_on_the_window_alone_and_no_trial_is_too_long() -> None:
    torch.manual_seed(0)
    net = NDT(replace(SMALL, max_bins=None, position="rotary", layers=1)).eval()
    counts = torch.randint(0, 5, (1, 300, 5)).float()
    whole, end = net(counts)[0, -1], net(counts[:, -4:])[0, -1]
    assert torch.allclose(whole, end, atol=1e-5)
    assert not torch.allclose(end, net(counts[:, [-2, -3, -4, -1]])[0, -1], atol=1e-5)  # order counts


def test_a_whole_window_by_rotary_position_has_its_bins_and_no_table() -> None:
    torch.manual_seed(0)
    net = NDT(replace(SMALL, max_bins=6, window=6, position="rotary", causal=False)).eval()
    counts = torch.randint(0, 5, (1, 6, 5)).float()
    assert net.pos is None and net(counts).shape[1] == 6
    assert not torch.allclose(net(counts)[0, 0], net(counts[:, [0, 2, 1, 3, 4, 5]])[0, 0], atol=1e-5)  # order counts
    with pytest.raises(ValueError, match="bins must be the whole window's 6, got 5"):
        net(counts[:, :5])


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"heads": 3}, "heads must divide d_model"),
        ({"window": 0}, "window must be at least 1"),
        ({"layers": 0}, "layers must be at least 1"),
        ({"max_bins": None}, "max_bins must be at least 1, got None"),
        ({"position": "rotary"}, "max_bins must not be given with rotary position, which has no last bin, got 100"),
        (
            {"position": "rotary", "max_bins": None, "d_model": 10},
            "channels per head must be even with rotary position",
        ),
        ({"dropout": 1.0}, "dropout must be 0 to below 1"),
        ({"position": "rotary", "max_bins": None, "causal": False}, "max_bins must be at least 1, got None"),
        ({"causal": False}, r"window must be max_bins \(100\) where causal is false, got 32"),
        ({"position": "absolute"}, "position must be one of learned, sinusoidal, rotary, got absolute"),
        ({"identity": (0, 1)}, r"identity must give each of 5 channels a column, got \(0, 1\)"),
        ({"identity": (-1, 0, 1, 2, 3)}, "identity must give each of 5 channels a column"),
        ({"identity": (0, 1, 2, 3, 64)}, "d_model must be above 64, a channel's own column, got 64"),
        ({"lookup": 2}, "lookup and most must be at least 1, or 0 both, got 2 and 0"),
        ({"lookup": 2, "most": 3}, "identity must say which columns are whose"),
        ({"lookup": 2, "most": 3, "identity": (0, 1, 2, 3, 32)}, "d_model must be above 65, a channel's own column"),
        ({"courses": (0, 1, 2, 3, 4)}, "courses must give each of 5 channels a column of a spatial stream"),
        (
            {"spatial_heads": 2, "causal": False, "window": 100, "post_norm": True},
            "post_norm must be false with a spatial stream",
        ),
        (
            {"spatial_heads": 2, "courses": (0, 1, 2, 3, 4)},
            "courses must not be given where causal is true",
        ),
        ({"spatial_heads": 3}, "spatial_heads must be a power of two that divides 32 bins, got 3"),
        ({"spatial_heads": 3, "causal": False, "window": 100}, "spatial_heads must be a power of two that divides 100"),
    ],
)
def test_a_geometry_that_cannot_be_is_refused(wrong: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        NDTConfig(**{"channels": 5, "outputs": 7} | wrong)


@torch.no_grad()
def test_in_a_whole_window_the_last_bin_reaches_the_first() -> None:
    counts = torch.zeros(1, 20, 5)
    touched = counts.clone()
    touched[:, 19] = 4
    assert (network(WHOLE)(counts) - network(WHOLE)(touched)).abs().amax(2)[0].min() > 0
    with pytest.raises(ValueError, match="bins must be the whole window's 20, got 19"):
        network(WHOLE)(counts[:, :19])


def test_sinusoids_are_fixed_and_tell_bins_apart() -> None:
    table = sinusoids(20, 15)
    assert table.shape == (20, 15) and table[0].tolist() == [0.0] * 8 + [1.0] * 7
    assert torch.allclose(table[7, [0, 8]], torch.tensor([math.sin(7), math.cos(7)]))
    assert not network(WHOLE).pos.requires_grad and torch.cdist(table, table).fill_diagonal_(1).min() > 0.5


@torch.no_grad()
def test_identity_gives_each_channel_its_own_column() -> None:
    net = network(STNDT)
    embedded = (net.embed(torch.eye(5)) - net.embed.bias) * math.sqrt(8)
    assert torch.allclose(embedded, torch.eye(8)[[0, 1, 3, 4, 6]], atol=1e-6)
    assert not net.embed.weight.requires_grad


@torch.no_grad()
def test_a_count_enters_as_its_row_in_the_block_of_its_channel() -> None:
    net = network(replace(SMALL, identity=(0, 1, 3, 4, 6), lookup=2, most=3))
    rows, counts = net.embed.weight, torch.tensor([[0.0, 1.0, 3.0, 2.5, 9.0]])
    expected = rows[[0, 1, 0, 3, 2, 0, 3, 0]].clone()  # a block that no channel enters is row 0; beyond 3 is row 3
    expected[4] = (rows[2] + rows[3]) / 2
    assert torch.allclose(net.embed(counts)[0], expected.flatten(), atol=1e-6)


@torch.no_grad()
def test_layernorms_behind_the_sums_see_them() -> None:
    net = network(replace(SMALL, post_norm=True))
    block, h, allowed = net.layers[0], torch.randn(2, 20, 16), seen(20, 3, 0)
    sums = block.ln1(h + block.attention(h, allowed))
    assert torch.allclose(block(h, allowed), block.ln2(sums + block.hidden(sums)))


@torch.no_grad()
def test_the_spatial_stream_adds_what_its_weights_say() -> None:
    spatial = network(STNDT).layers[0].spatial
    h, z = torch.randn(2, 20, 8), torch.randn(2, 20, 8)
    weights = spatial.weights(h.transpose(1, 2))
    assert torch.allclose(weights.sum(-1), torch.ones(2, 8)) and weights.shape == (2, 8, 8)
    for part in (spatial.f4.weight, spatial.f4.bias):
        part.zero_()
    expected = z.clone()
    for channel in range(8):
        for other in range(8):
            expected[:, :, channel] += weights[:, channel, other, None] * spatial.ln3(z)[:, :, other]
    assert torch.allclose(spatial(h.transpose(1, 2), z), expected, atol=1e-5)


def test_contrastive_loss_is_small_for_views_of_one_trial_and_large_for_mixed_ones() -> None:
    trials = torch.eye(6)
    alike, mixed = nt_xent(trials, trials), nt_xent(trials, trials.roll(1, 0) + 0.0)
    assert alike < 0.001 and mixed > 5  # partners are by place
    others = torch.randn(6, 40)
    assert nt_xent(others, torch.randn(6, 40)) > nt_xent(others, others + 0.1 * torch.randn(6, 40))
