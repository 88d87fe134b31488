"""Torch sibling of edgendt/ops/rotary.py: what it turns by are the table's entries, so its sums are the integers."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from edgendt import ops
from edgendt.fixed import Codes
from edgendt.models.rotary import turned
from edgendt.ops.rotary import COS, FRAC, SIN
from edgendt.qat.fixed import Fixed


class Rotary(nn.Module):
    """y = narrow(x turned by the table's cosine and sine); a sum of two products stays below 2**24 (float32)."""

    def __init__(self, op: ops.Rotary) -> None:
        super().__init__()
        self.op = op
        self.output_quant = Fixed(op.y)

    def forward(self, x: Tensor, times: Codes | Tensor | None = None) -> Tensor:
        """x [..., rows, size], times [..., rows] (without them 0, 1, 2, ...) -> the same shape as x."""
        a = self.op.addresses(np.arange(x.shape[-2]) if times is None else np.asarray(times))
        cos, sin = (torch.from_numpy(np.ldexp(entries[a], -FRAC)).to(x) for entries in (COS, SIN))
        out: Tensor = self.output_quant(turned(x, cos, -sin if self.op.inverse else sin))
        return out

    def constants(self) -> dict[str, Codes]:
        """None: the steps are the op's."""
        return {}
