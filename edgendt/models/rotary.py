"""Rotary position in real numbers, by the phases that the integer op rounds to its table."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgendt.ops.rotary import TURN


def turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Channels (2i, 2i + 1) of every head as a point, turned.

    x [..., rows, size]; cos, sin [..., rows, pairs of a head].
    """
    even, odd = x.unflatten(-1, (-1, cos.shape[-1], 2)).unbind(-1)  # [..., rows, heads, pairs]
    cos, sin = cos.unsqueeze(-2), sin.unsqueeze(-2)
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-3)


class Rotary(nn.Module):
    """Turns pair i of every head by time * steps[i] / 2**16 turns."""

    steps: Tensor

    def __init__(self, steps: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("steps", torch.tensor(steps), persistent=False)

    def forward(self, x: Tensor, times: Tensor | None = None) -> Tensor:
        """x [..., rows, size], times [..., rows] integers (without them 0, 1, 2, ...) -> the same shape as x."""
        if times is None:
            times = torch.arange(x.shape[-2], device=x.device)
        angle = (times[..., None] * self.steps % TURN).to(x) * (2 * math.pi / TURN)
        return turned(x, angle.cos(), angle.sin())
