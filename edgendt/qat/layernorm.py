"""Torch sibling of edgendt/ops/layernorm.py: integers forward, the gradient of the float LayerNorm backward."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgendt import ops
from edgendt.fixed import Codes, Int
from edgendt.ops.layernorm import BETA, NORM_FRAC, RSQRT
from edgendt.qat.fixed import Fixed, power, straight, table


class LayerNorm(nn.Module):
    """SEMANTICS' LayerNorm. Everything is summed and multiplied in float64, which holds these integers (< 2**53)."""

    rsqrt: Tensor

    def __init__(self, op: ops.LayerNorm, gamma: Tensor, beta: Tensor) -> None:
        """gamma, beta [size], real values."""
        super().__init__()
        self.op = op
        self.gamma = nn.Parameter(gamma.detach().clone().float())
        self.beta = nn.Parameter(beta.detach().clone().float())
        self.gamma_quant = Fixed(op.gamma, through=True)
        self.beta_quant = Fixed(Int(BETA.bits, NORM_FRAC + op.gamma.frac), through=True)
        self.output_quant = Fixed(op.y)
        self.eps = op.eps_code / (op.size**2 * 4.0**op.x.frac)
        self.register_buffer("rsqrt", table(RSQRT), persistent=False)

    def forward(self, x: Tensor, surrogate: bool = False) -> Tensor:
        """x [..., size] -> [..., size]. surrogate: the float LayerNorm, narrowed, instead of the integers."""
        gamma, beta = self.gamma_quant(self.gamma), self.beta_quant(self.beta)
        if not surrogate and not torch.is_grad_enabled():
            return self.exact(x, gamma, beta)
        soft: Tensor = self.output_quant(nn.functional.layer_norm(x, (self.op.size,), gamma, beta, self.eps))
        if surrogate:
            return soft
        return straight(soft, self.exact(x, gamma, beta))

    @torch.no_grad()
    def exact(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        """The integers. Values in, values out, as forward; gamma and beta as values."""
        op = self.op
        codes = x.double() * 2.0**op.x.frac
        s1 = codes.sum(-1, keepdim=True)
        v = op.size * codes.square().sum(-1, keepdim=True) - s1.square() + op.eps_code
        length = torch.frexp(v).exponent  # v's bit length
        length = length + (length & 1)
        r = self.rsqrt[(v * power(10 - length)).floor().long()]
        centred = codes.mul_(op.size).sub_(s1)
        t = centred.mul_(r * power(-3 - (length - 2) // 2)).round_()
        acc = t.mul_(gamma.double() * 2.0**op.gamma.frac).add_(beta.double() * 2.0 ** (NORM_FRAC + op.gamma.frac))
        y = acc.mul_(2.0**-op.shift).round_().clamp_(op.y.lo, op.y.hi)
        return y.mul_(op.y.scale).to(x.dtype)

    @torch.no_grad()
    def constants(self) -> dict[str, Codes]:
        """gamma, beta [size]: what the Program holds."""
        return {"gamma": self.gamma_quant.codes(self.gamma), "beta": self.beta_quant.codes(self.beta)}
