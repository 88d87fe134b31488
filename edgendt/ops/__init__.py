"""The ops of a Program, each defined once; everything else in the project equals these."""

from __future__ import annotations

from edgendt.ops.add import Add
from edgendt.ops.attention import Attention
from edgendt.ops.layernorm import LayerNorm
from edgendt.ops.linear import Linear
from edgendt.ops.position import Position
from edgendt.ops.rotary import Rotary

Op = Linear | Add | Position | LayerNorm | Attention | Rotary
OPS: tuple[type[Op], ...] = (Linear, Add, Position, LayerNorm, Attention, Rotary)

__all__ = ["OPS", "Add", "Attention", "LayerNorm", "Linear", "Op", "Position", "Rotary"]
