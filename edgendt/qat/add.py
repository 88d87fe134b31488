"""Torch sibling of edgendt/ops/add.py."""

from __future__ import annotations

from torch import Tensor, nn

from edgendt import ops
from edgendt.fixed import Codes
from edgendt.qat.fixed import Fixed


class Add(nn.Module):
    """h' = saturate(h + x); the quantizer has nothing to round, both are in the residual format."""

    def __init__(self, op: ops.Add) -> None:
        super().__init__()
        self.op = op
        self.output_quant = Fixed(op.y)

    def forward(self, h: Tensor, x: Tensor) -> Tensor:
        """h, x [..., size] -> [..., size]."""
        out: Tensor = self.output_quant(h + x)
        return out

    def constants(self) -> dict[str, Codes]:
        """None: an addition has no constants."""
        return {}
