"""The ops of a Program, each defined once; everything else in the project equals these."""

from __future__ import annotations

from edgendt.ops.add import Add
from edgendt.ops.attention import Attention
from edgendt.ops.layernorm import LayerNorm
from edgendt.ops.linear import Linear
from edgendt.ops.position import Position

Op = Linear | Add | Position | LayerNorm | Attention
OPS: tuple[type[Op], ...] = (Linear, Add, Position, LayerNorm, Attention)

__all__ = ["OPS", "Add", "Attention", "LayerNorm", "Linear", "Op", "Position"]
