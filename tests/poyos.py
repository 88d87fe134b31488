"""Small POYO networks for tests, far from where training starts, and windows for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from edgendt.data.events import SpikeTimes, jittered
from edgendt.data.lorenz import lorenz_sessions
from edgendt.data.tokens import Cut, gather
from edgendt.fixed import Codes
from edgendt.models.poyo import POYO, POYOConfig, Tokens
from edgendt.program import Program
from edgendt.qat.formats import Bits
from edgendt.qat.poyo import QuantPOYO, given

DATA = lorenz_sessions(0, sessions=3, trials=12, bins=10, channels=6, bin_s=0.1)
SESSIONS = tuple(jittered(data) for data in DATA)
CUTS = [Cut(0, 0, 0, 1000, 0, 10), Cut(1, 1, 0, 400, 2, 4), Cut(1, 2, 0, 1000, 9, 10)]


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


def random_poyo(seed: int = 0, bits: Bits | None = None, **geometry: Any) -> Program:
    """A network as a Program."""
    return QuantPOYO.from_float(network(seed=seed, **geometry), tokens(), bits).program(f"poyo{seed}")


def windows() -> list[Mapping[str, Codes]]:
    """What CUTS give to a Program: windows of other numbers of tokens, one of a single query."""
    return [given(tokens([cut]), 0) for cut in CUTS]
