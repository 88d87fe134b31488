"""The ops of a Program, each defined once; everything else in the project equals these."""

from __future__ import annotations

from edgendt.ops.add import Add
from edgendt.ops.attention import Attention
from edgendt.ops.layernorm import LayerNorm
from edgendt.ops.linear import Linear
from edgendt.ops.position import Position
from edgendt.ops.rotary import Rotary
from edgendt.ops.spatial_mix import SpatialMix
from edgendt.ops.spatial_weights import SpatialWeights
from edgendt.ops.transpose import Transpose

Op = Linear | Add | Position | LayerNorm | Attention | Rotary | Transpose | SpatialWeights | SpatialMix
OPS: tuple[type[Op], ...] = (
    Linear,
    Add,
    Position,
    LayerNorm,
    Attention,
    Rotary,
    Transpose,
    SpatialWeights,
    SpatialMix,
)

__all__ = [
    "OPS",
    "Add",
    "Attention",
    "LayerNorm",
    "Linear",
    "Op",
    "Position",
    "Rotary",
    "SpatialMix",
    "SpatialWeights",
    "Transpose",
]
