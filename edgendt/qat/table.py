"""Torch sibling of edgendt/ops/table.py: its entries forward, the gradient of the float function backward."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from edgendt.fixed import Codes
from edgendt.ops import Table as Op
from edgendt.qat.fixed import Fixed, straight
from edgendt.qat.fixed import table as exactly


class Table(nn.Module):
    """y = table[x]; nothing here is learned."""

    entries: Tensor

    def __init__(self, op: Op, codes: Codes, function: Callable[[Tensor], Tensor]) -> None:
        """codes: the table; function: what it is a table of."""
        super().__init__()
        self.op, self.codes, self.function = op, codes, function
        self.output_quant = Fixed(op.y)
        self.register_buffer("entries", (exactly(codes) * op.y.scale).float(), persistent=False)

    def forward(self, x: Tensor, surrogate: bool = False) -> Tensor:
        """x [..., size] -> [..., size]. surrogate: the float function, narrowed, instead of the table."""
        if not surrogate and not torch.is_grad_enabled():
            return self.exact(x)
        soft: Tensor = self.output_quant(self.function(x))
        return soft if surrogate else straight(soft, self.exact(x))

    @torch.no_grad()
    def exact(self, x: Tensor) -> Tensor:
        """The integers. Values in, values out."""
        return self.entries[(x / self.op.x.scale).long() - self.op.x.lo]

    def constants(self) -> dict[str, Codes]:
        """table [2^x.bits]: what the Program holds."""
        return {"table": self.codes}
