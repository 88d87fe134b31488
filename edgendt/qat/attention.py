"""Torch sibling of edgendt/ops/attention.py: integers forward, the gradient of float attention backward."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from edgendt import ops
from edgendt.fixed import Codes
from edgendt.ops.attention import EXP_ZERO, RECIP
from edgendt.qat.fixed import Fixed, power, straight, table


def exponentials_by_gap(op: ops.Attention | ops.SpatialWeights) -> Codes:
    """e for every score difference m - s = 0, 1, 2 … up to where it is zero (or no score can reach); ends with 0."""
    zero = (EXP_ZERO << op.scale.shift) // op.scale.c + 1
    furthest = 2 * op.head_size * op.q.limit * op.k.limit + 1
    gaps = np.arange(min(zero, furthest), dtype=np.int64)
    return np.append(op.scale.exponentials(-gaps), 0)


class Attention(nn.Module):
    """SEMANTICS' attention. Scores and weighted values stay below 2**24 (float32), but for values of many keys, which
    are summed in float64; the division is in float64.
    """

    by_gap: Tensor
    recip: Tensor

    def __init__(self, op: ops.Attention) -> None:
        super().__init__()
        self.op = op
        self.output_quant = Fixed(op.y)
        self.register_buffer("by_gap", table(exponentials_by_gap(op)).float(), persistent=False)
        self.register_buffer("recip", table(RECIP), persistent=False)
        self.sums = torch.float32 if op.window * 255 * op.v.limit < 1 << 24 else torch.float64

    def forward(self, q: Tensor, k: Tensor, v: Tensor, surrogate: bool = False) -> Tensor:
        """q, k, v [..., bins, size] -> [..., bins, size]. surrogate: float attention, narrowed."""
        return self.attend(q, k, v, self.allowed(q.shape[-2], q.device), surrogate)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, allowed: Tensor, surrogate: bool) -> Tensor:
        """q [..., queries, size], k, v [..., keys, size] -> as q.

        allowed: bool, broadcast to [..., heads, queries, keys]; every query sees at least one key.
        """
        q, k, v = (self.split(x) for x in (q, k, v))
        if not surrogate and not torch.is_grad_enabled():
            return self.merge(self.exact(q, k, v, allowed))
        attended = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
        soft: Tensor = self.output_quant(attended)
        if not surrogate:
            soft = straight(soft, self.exact(q, k, v, allowed))
        return self.merge(soft)

    @torch.no_grad()
    def exact(self, q: Tensor, k: Tensor, v: Tensor, allowed: Tensor) -> Tensor:
        """The integers. q, k, v [..., heads, rows, d_h] values -> q's shape, values."""
        op = self.op
        scores = (q * 2.0**op.q.frac) @ (k * 2.0**op.k.frac).transpose(-1, -2)
        scores = scores.masked_fill_(~allowed, -torch.inf)
        gaps = scores.amax(-1, keepdim=True) - scores
        e = self.by_gap[gaps.clamp_(max=len(self.by_gap) - 1).int()]
        total = e.sum(-1, keepdim=True).double()
        weighted = (e.to(self.sums) @ (v * 2.0**op.v.frac).to(self.sums)).double()
        length = torch.frexp(total).exponent  # total's bit length
        g = self.recip[(total * power(10 - length)).floor().long()]
        y = weighted.mul_(g * power(op.y.frac - op.v.frac - 14 - length)).round_()
        return y.clamp_(op.y.lo, op.y.hi).mul_(op.y.scale).to(q.dtype)

    def allowed(self, bins: int, device: torch.device) -> Tensor:
        """[bins, bins] bool: which keys a query sees. ValueError for bins of no whole window."""
        first, stop = torch.tensor(self.op.sees(bins), device=device).T
        key = torch.arange(bins, device=device)
        return (key >= first[:, None]) & (key < stop[:, None])

    def split(self, x: Tensor) -> Tensor:
        """[..., bins, size] -> [..., heads, bins, d_h]; head h owns columns h * d_h onwards."""
        return x.reshape(*x.shape[:-1], self.op.heads, self.op.head_size).transpose(-2, -3)

    def merge(self, x: Tensor) -> Tensor:
        """[..., heads, bins, d_h] -> [..., bins, size]."""
        return x.transpose(-2, -3).flatten(-2)

    def constants(self) -> dict[str, Codes]:
        """None: C, the shift and the tables follow from the op."""
        return {}
