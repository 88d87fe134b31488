"""Torch sibling of edgendt/ops/spatial_mix.py."""

from __future__ import annotations

from torch import Tensor, nn

from edgendt import ops
from edgendt.fixed import Codes
from edgendt.qat.fixed import Fixed


class SpatialMix(nn.Module):
    """y = narrow((A z^T)^T). float32 sums codes exactly while they stay below 2**24, which the op's check demands."""

    def __init__(self, op: ops.SpatialMix) -> None:
        super().__init__()
        self.op = op
        self.output_quant = Fixed(op.y)

    def forward(self, a: Tensor, z: Tensor) -> Tensor:
        """a [..., size, size], or [..., bins, size, size] of each bin, z [..., bins, size] -> [..., bins, size]."""
        mixed = (a @ z.unsqueeze(-1)).squeeze(-1) if a.dim() > z.dim() else z @ a.transpose(-1, -2)
        out: Tensor = self.output_quant(mixed)
        return out

    def constants(self) -> dict[str, Codes]:
        """None: the weights are another op's codes."""
        return {}
