"""Torch sibling of edgendt/ops/lookup.py."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgendt.fixed import Codes
from edgendt.ops.lookup import Lookup as Op
from edgendt.qat.fixed import Fixed


class Lookup(nn.Module):
    """y = saturate(table[row] + kinds[which]); both tables are learned, in the op's format."""

    def __init__(self, op: Op, table: Tensor, kinds: Tensor) -> None:
        """table [entries, size], kinds [which, size], real values."""
        super().__init__()
        self.op = op
        self.table = nn.Parameter(table.detach().clone().float())
        self.kinds = nn.Parameter(kinds.detach().clone().float())
        self.table_quant = Fixed(op.y, through=True)
        self.output_quant = Fixed(op.y)

    def forward(self, x: Tensor) -> Tensor:
        """x [..., 2] int64, each (row, which) -> [..., size]."""
        row, which = x.unbind(-1)
        entry = row * self.op.step + which * self.op.pairs
        out: Tensor = self.output_quant(self.table_quant(self.table)[entry] + self.table_quant(self.kinds)[which])
        return out

    @torch.no_grad()
    def constants(self) -> dict[str, Codes]:
        """table [entries, size], kinds [which, size]: what the Program holds."""
        return {"table": self.table_quant.codes(self.table), "kinds": self.table_quant.codes(self.kinds)}
