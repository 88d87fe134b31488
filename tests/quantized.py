"""Small quantized NDTs for tests: random float networks, calibrated, a few steps of training."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

from edgendt.fixed import Codes
from edgendt.models.ndt import NDT, NDTConfig
from edgendt.program import Node, Program
from edgendt.qat.formats import Bits
from edgendt.qat.ndt import QuantNDT

BINS = 50  # where the network has no last one
GEOMETRIES: dict[str, tuple[NDTConfig, Bits]] = {
    "default": (NDTConfig(30, 30, max_bins=40), Bits()),
    "overrides": (
        NDTConfig(12, 5, d_model=24, layers=3, heads=3, ffn=40, window=5, max_bins=30, dropout=0.2),
        Bits(overrides={"layer1.f1": 8, "layer0.q": 2, "embed_linear": 5, "readout": 6}),
    ),
    "3 bits": (NDTConfig(7, 9, d_model=20, layers=2, heads=1, ffn=33, window=64, max_bins=90), Bits(3, 3, 3)),
    "8 bits": (
        NDTConfig(20, 11, d_model=96, layers=1, heads=2, ffn=300, window=16, max_bins=50),
        Bits(8, 8, 8, residual=16),
    ),
    "a scale per output": (NDTConfig(9, 40, d_model=24, layers=1, heads=2, max_bins=20), Bits(per_output=True)),
    "rotary": (
        NDTConfig(9, 8, d_model=24, layers=2, heads=2, ffn=20, window=6, max_bins=None, position="rotary"),
        Bits(overrides={"embed_linear": 6}),
    ),
    "rotary window": (
        NDTConfig(9, 8, d_model=24, layers=2, heads=2, ffn=20, window=10, max_bins=10, causal=False, position="rotary"),
        Bits(),
    ),
    "bidirectional": (
        NDTConfig(
            9, 11, d_model=12, layers=2, heads=2, ffn=20, window=14, max_bins=14, causal=False, position="sinusoidal"
        ),
        Bits(),
    ),
    "some bins ahead": (
        NDTConfig(9, 11, d_model=12, layers=2, heads=2, ffn=20, window=14, max_bins=14, causal=False, back=4, ahead=2),
        Bits(),
    ),
    "stndt": (
        NDTConfig(
            9,
            13,
            d_model=12,
            ffn=20,
            window=16,
            max_bins=16,
            dropout=0.1,
            causal=False,
            identity=(0, 1, 2, 3, 4, 5, 6, 8, 10),
            spatial_heads=2,
        ),
        Bits(overrides={"layer1.sq": 8}),
    ),
    "causal stndt": (
        NDTConfig(6, 7, d_model=8, ffn=20, window=6, max_bins=14, identity=(0, 1, 3, 4, 5, 6), spatial_heads=2),
        Bits(overrides={"layer1.sk": 6}),
    ),
    "stndt, courses of counts": (
        NDTConfig(
            5,
            7,
            d_model=8,
            layers=2,
            ffn=20,
            window=12,
            max_bins=12,
            causal=False,
            spatial_heads=2,
            back=11,
            ahead=20,
            courses=(0, 2, 3, 5, 6),
        ),
        Bits(),
    ),
    "post-LN": (
        NDTConfig(9, 11, d_model=12, layers=2, heads=2, ffn=20, window=5, max_bins=20, post_norm=True),
        Bits(overrides={"layer0.q": 6}),
    ),
    "post-LN, rotary": (
        NDTConfig(9, 11, d_model=12, heads=3, ffn=20, window=5, max_bins=None, position="rotary", post_norm=True),
        Bits(per_output=True),
    ),
    "gelu": (
        NDTConfig(9, 11, d_model=12, layers=2, heads=2, ffn=20, window=5, max_bins=20, dropout=0.2, activation="gelu"),
        Bits(),
    ),
    "stndt, gelu": (
        NDTConfig(9, 11, d_model=12, ffn=20, window=12, max_bins=12, causal=False, spatial_heads=2, activation="gelu"),
        Bits(),
    ),
    "a row per count": (
        NDTConfig(5, 7, d_model=15, heads=3, ffn=20, window=5, max_bins=20, identity=(0, 2, 3, 5, 6), lookup=2, most=4),
        Bits(),
    ),
    "tiny": (NDTConfig(5, 4, d_model=8, layers=1, heads=8, ffn=3, window=1, max_bins=9), Bits(2, 4, 2, 6, 8, 3)),
}


def spikes(config: NDTConfig, trials: int, seed: int = 0) -> Codes:
    """counts: [trials, bins, channels], a few of them far beyond any count format."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(1.5, (trials, config.max_bins or BINS, config.channels))
    counts[rng.random(counts.shape) < 0.002] = 300
    return counts


@cache
def trained(name: str, steps: int = 12) -> QuantNDT:
    """One of GEOMETRIES after a few steps of QAT, half of them on surrogates, dropout on; eval mode."""
    config, bits = GEOMETRIES[name]
    torch.manual_seed(len(name))
    counts = spikes(config, 12)
    q = QuantNDT.from_float(NDT(config), bits, np.minimum(counts, 9)).train()
    optimizer = torch.optim.AdamW(q.parameters(), 3e-3)
    x = torch.tensor(counts, dtype=torch.float32)
    for step in range(steps):
        rates = q(x, surrogate=step < steps // 2)[..., : config.channels]
        loss = (rates.exp() - x[..., : rates.shape[-1]].clamp(max=9) * rates).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return q.eval()


def program_of(q: QuantNDT) -> Program:
    """The Program without the detour through a file."""
    nodes = tuple(Node(name, module.op, inputs, module.constants()) for name, module, inputs in q.nodes())
    return Program("q", q.config.channels, q.input, nodes)
