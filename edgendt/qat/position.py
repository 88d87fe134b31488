"""Torch sibling of edgendt/ops/position.py."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgendt import ops
from edgendt.fixed import Codes
from edgendt.qat.fixed import Fixed


class Position(nn.Module):
    """h = saturate(x + table[bin]); the table is learned, in the residual format, embedder's bias included."""

    def __init__(self, op: ops.Position, table: Tensor) -> None:
        """table [bins, size], real values."""
        super().__init__()
        self.op = op
        self.table = nn.Parameter(table.detach().clone().float())
        self.table_quant = Fixed(op.y, through=True)
        self.output_quant = Fixed(op.y)

    def forward(self, x: Tensor) -> Tensor:
        """x [..., bins, size] -> the same. ValueError past the last row."""
        bins = x.shape[-2]
        if bins > self.op.bins:
            raise ValueError(f"bins must be at most {self.op.bins} (position rows), got {bins}")
        out: Tensor = self.output_quant(x + self.table_quant(self.table[:bins]))
        return out

    @torch.no_grad()
    def constants(self) -> dict[str, Codes]:
        """table [bins, size]: what the Program holds."""
        return {"table": self.table_quant.codes(self.table)}
