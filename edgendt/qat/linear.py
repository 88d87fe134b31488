"""Torch sibling of edgendt/ops/linear.py: values in, values out, the integers of SEMANTICS in between."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgendt import ops
from edgendt.fixed import Codes, Int
from edgendt.qat.fixed import Fixed

BIAS_BITS = 24  # the accumulator's: a bias starts there


class Linear(nn.Module):
    """y = narrow(W x + b). float32 sums codes exactly while they stay below 2**24, which Program.check demands."""

    def __init__(self, op: ops.Linear, weight: Tensor, bias: Tensor | None, *, narrow: bool = True) -> None:
        """weight [outputs, inputs] and bias [outputs] are real values; None: no bias. narrow: see Fixed."""
        super().__init__()
        self.op = op
        self.weight = nn.Parameter(weight.detach().clone().float())
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone().float())
        fracs = op.w_frac
        self.weight_quant = Fixed(op.w, narrow=narrow, through=True, fracs=fracs)
        sums = None if fracs is None else tuple(op.x.frac + frac for frac in fracs)
        self.bias_quant = Fixed(Int(BIAS_BITS, op.x.frac + op.w.frac), through=True, fracs=sums)
        self.output_quant = Fixed(op.y)

    def forward(self, x: Tensor) -> Tensor:
        """x [..., inputs] -> [..., outputs]."""
        bias = None if self.bias is None else self.bias_quant(self.bias)
        out: Tensor = self.output_quant(nn.functional.linear(x, self.weight_quant(self.weight), bias))
        return out

    @torch.no_grad()
    def constants(self) -> dict[str, Codes]:
        """weight [outputs, inputs], bias [outputs]: what the Program holds."""
        bias = torch.zeros(self.op.outputs) if self.bias is None else self.bias
        return {"weight": self.weight_quant.codes(self.weight), "bias": self.bias_quant.codes(bias)}
