"""The ops of a Program, each defined once; everything else in the project equals these."""

from __future__ import annotations

from edgendt.ops.add import Add
from edgendt.ops.attention import Attention
from edgendt.ops.cross_attention import CrossAttention
from edgendt.ops.geglu import GEGLU
from edgendt.ops.layernorm import LayerNorm
from edgendt.ops.linear import Linear
from edgendt.ops.lookup import Lookup
from edgendt.ops.position import Position
from edgendt.ops.rotary import Rotary
from edgendt.ops.spatial_mix import SpatialMix
from edgendt.ops.spatial_weights import SpatialWeights
from edgendt.ops.table import Table
from edgendt.ops.transpose import Transpose

Op = (
    Linear
    | Add
    | Position
    | LayerNorm
    | Attention
    | Rotary
    | Transpose
    | SpatialWeights
    | SpatialMix
    | Lookup
    | GEGLU
    | CrossAttention
    | Table
)
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
    Lookup,
    GEGLU,
    CrossAttention,
    Table,
)

__all__ = [
    "GEGLU",
    "OPS",
    "Add",
    "Attention",
    "CrossAttention",
    "LayerNorm",
    "Linear",
    "Lookup",
    "Op",
    "Position",
    "Rotary",
    "SpatialMix",
    "SpatialWeights",
    "Table",
    "Transpose",
]
