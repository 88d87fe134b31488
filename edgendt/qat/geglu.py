"""Torch sibling of edgendt/ops/geglu.py: the table forward, the gradient of GELU backward."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgendt.fixed import Codes
from edgendt.ops.geglu import GEGLU as Op
from edgendt.qat.fixed import Fixed, straight, table


class GEGLU(nn.Module):
    """y = narrow(a · TABLE[gate]). Products stay below 2**24, so float32 holds them."""

    entries: Tensor

    def __init__(self, op: Op) -> None:
        super().__init__()
        self.op = op
        self.output_quant = Fixed(op.y)
        self.register_buffer("entries", (table(op.table) * op.entry.scale).float(), persistent=False)

    def forward(self, a: Tensor, gate: Tensor, surrogate: bool = False) -> Tensor:
        """a, gate [..., size] -> [..., size]. surrogate: float GELU, narrowed, instead of the table."""
        soft: Tensor = self.output_quant(a * nn.functional.gelu(gate))
        return soft if surrogate else straight(soft, self.exact(a, gate))

    @torch.no_grad()
    def exact(self, a: Tensor, gate: Tensor) -> Tensor:
        """The integers. Values in, values out."""
        index = (gate / self.op.gate.scale).long() - self.op.gate.lo
        y: Tensor = self.output_quant(a * self.entries[index])
        return y

    def constants(self) -> dict[str, Codes]:
        """None: the table follows from the gate's format."""
        return {}
