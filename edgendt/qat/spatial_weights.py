"""Torch sibling of edgendt/ops/spatial_weights.py: integers forward, the gradient of the float softmax backward."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgendt import ops
from edgendt.fixed import Codes
from edgendt.ops.attention import RECIP
from edgendt.qat.attention import exponentials_by_gap
from edgendt.qat.fixed import Fixed, power, straight, table


class SpatialWeights(nn.Module):
    """Weights between channels. Scores stay below 2**24 (float32); shares are added in float64, which holds them."""

    by_gap: Tensor
    recip: Tensor

    def __init__(self, op: ops.SpatialWeights) -> None:
        super().__init__()
        self.op = op
        self.output_quant = Fixed(op.y)
        self.register_buffer("by_gap", table(exponentials_by_gap(op)), persistent=False)
        self.register_buffer("recip", table(RECIP), persistent=False)

    def forward(self, q: Tensor, k: Tensor, surrogate: bool = False) -> Tensor:
        """q, k [..., size, bins] -> [..., size, size]. surrogate: the float softmax, narrowed."""
        q, k = (self.split(x) for x in (q, k))
        if not surrogate and not torch.is_grad_enabled():
            return self.exact(q, k)
        weights = (q @ k.transpose(-1, -2) / self.op.head_size**0.5).softmax(-1).mean(-3)
        soft: Tensor = self.output_quant(weights)
        return soft if surrogate else straight(soft, self.exact(q, k))

    @torch.no_grad()
    def exact(self, q: Tensor, k: Tensor) -> Tensor:
        """The integers. q, k [..., heads, size, d_h] values -> [..., size, size] values."""
        op = self.op
        scores = (q * 2.0**op.q.frac) @ (k * 2.0**op.k.frac).transpose(-1, -2)
        gaps = scores.amax(-1, keepdim=True) - scores
        e = self.by_gap[gaps.clamp_(max=len(self.by_gap) - 1).int()]
        total = e.sum(-1, keepdim=True)
        length = torch.frexp(total).exponent  # total's bit length
        g = self.recip[(total * power(10 - length)).floor().long()]
        share = (e * (g * power(op.longest - length))).sum(-3)
        y = share.mul_(2.0**-op.mean_shift).round_()
        return y.clamp_(op.y.lo, op.y.hi).mul_(op.y.scale).to(q.dtype)

    def split(self, x: Tensor) -> Tensor:
        """[..., size, bins] -> [..., heads, size, d_h]; head h owns bins h * d_h onwards."""
        return x.reshape(*x.shape[:-1], self.op.heads, self.op.head_size).transpose(-2, -3)

    def constants(self) -> dict[str, Codes]:
        """None: C, the shifts and the tables follow from the op."""
        return {}
