"""Torch sibling of edgendt/ops/cross_attention.py: integers forward, the gradient of float attention backward."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgendt.fixed import Codes
from edgendt.ops.cross_attention import CrossAttention as Op
from edgendt.qat.attention import Attention


class CrossAttention(nn.Module):
    """Attention's integers over the keys of another sequence."""

    def __init__(self, op: Op) -> None:
        super().__init__()
        self.op = op
        self.attention = Attention(op.attention)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, length: Tensor | None = None, surrogate: bool = False) -> Tensor:
        """q [batch, queries, size], k, v [batch, rows, size] -> [batch, queries, size].

        length: keys of every window [batch], the rows behind them are padding; None: all rows. Each at least 1.
        surrogate: float attention, narrowed.
        """
        rows = k.shape[-2]
        if length is None:
            length = torch.full(k.shape[:-2], rows, device=k.device)
        seen = torch.arange(rows, device=k.device) < length[..., None]
        return self.attention.attend(q, k, v, seen[..., None, None, :], surrogate)

    def constants(self) -> dict[str, Codes]:
        """None, as Attention's."""
        return {}
