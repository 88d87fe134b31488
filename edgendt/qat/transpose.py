"""Torch sibling of edgendt/ops/transpose.py."""

from __future__ import annotations

from torch import Tensor, nn

from edgendt import ops
from edgendt.fixed import Codes


class Transpose(nn.Module):
    """y = x^T of a whole window, or of the bins up to each one."""

    def __init__(self, op: ops.Transpose) -> None:
        super().__init__()
        self.op = op

    def forward(self, x: Tensor) -> Tensor:
        """x [..., bins, channels] -> [..., channels, bins], causal [..., n, channels] -> [..., n, channels, bins].

        ValueError for bins of no whole window.
        """
        if self.op.causal:
            return nn.functional.pad(x, (0, 0, self.op.bins - 1, 0)).unfold(-2, self.op.bins, 1)
        if x.shape[-2] != self.op.bins:
            raise ValueError(f"bins must be the whole window's {self.op.bins}, got {x.shape[-2]}")
        return x.transpose(-1, -2)

    def constants(self) -> dict[str, Codes]:
        """None: a transpose has no constants."""
        return {}
