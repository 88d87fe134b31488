"""The torch sibling of any op with given integer constants, run on codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgendt.fixed import Codes
from edgendt.ops import Attention, LayerNorm, Linear, Op, Position, Rotary, SpatialMix, SpatialWeights, Table, Transpose
from edgendt.ops.layernorm import NORM_FRAC
from edgendt.program import wants
from edgendt.qat.add import Add as TorchAdd
from edgendt.qat.attention import Attention as TorchAttention
from edgendt.qat.fixed import to_codes
from edgendt.qat.layernorm import LayerNorm as TorchLayerNorm
from edgendt.qat.linear import Linear as TorchLinear
from edgendt.qat.position import Position as TorchPosition
from edgendt.qat.rotary import Rotary as TorchRotary
from edgendt.qat.spatial_mix import SpatialMix as TorchSpatialMix
from edgendt.qat.spatial_weights import SpatialWeights as TorchSpatialWeights
from edgendt.qat.table import Table as TorchTable
from edgendt.qat.transpose import Transpose as TorchTranspose


def values(codes: Codes, fracs: Any) -> Tensor:
    """Codes at fractions (one, or an array that broadcasts) as float32 values."""
    return torch.from_numpy(np.ldexp(np.asarray(codes, dtype=np.float64), -np.asarray(fracs))).float()


def module(op: Op, constants: Mapping[str, Codes]) -> Any:
    """The sibling holding these integer constants (weights in the full range)."""
    if isinstance(op, Linear):
        w_frac = op.shifts + op.y.frac - op.x.frac
        bias = values(constants["bias"], op.x.frac + w_frac)
        return TorchLinear(op, values(constants["weight"], w_frac[:, None]), bias, narrow=False)
    if isinstance(op, LayerNorm):
        beta = values(constants["beta"], NORM_FRAC + op.gamma.frac)
        return TorchLayerNorm(op, values(constants["gamma"], op.gamma.frac), beta)
    if isinstance(op, Position):
        return TorchPosition(op, values(constants["table"], op.y.frac))
    if isinstance(op, Rotary):
        return TorchRotary(op)
    if isinstance(op, Table):
        return TorchTable(op, constants["table"], torch.tanh)
    if isinstance(op, Transpose):
        return TorchTranspose(op)
    if isinstance(op, SpatialWeights):
        return TorchSpatialWeights(op)
    if isinstance(op, SpatialMix):
        return TorchSpatialMix(op)
    return TorchAttention(op) if isinstance(op, Attention) else TorchAdd(op)


def run(op: Op, inputs: Sequence[Codes], constants: Mapping[str, Codes], grad: bool = False) -> Codes:
    """Codes in, codes out, as op.run; `grad`: through the path that training takes."""
    sibling = module(op, constants)
    real = [values(codes, form.frac) for codes, (_, form) in zip(inputs, wants(op), strict=True)]
    with torch.set_grad_enabled(grad):
        out = sibling(*real)
    return to_codes(out.double() * 2.0**op.y.frac).reshape(-1, op.size)
