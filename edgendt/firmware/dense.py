"""A Linear in the formats of hls4ml's Dense, in which nothing is ever lost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgendt.fixed import Codes, Int
from edgendt.node import Node
from edgendt.ops import Linear


@dataclass(frozen=True)
class Dense:
    """weight: codes [outputs, inputs] in the format w; bias: codes [outputs] in the accumulator's."""

    weight: Codes
    bias: Codes
    w: Int
    accumulator: Int

    @classmethod
    def of(cls, node: Node, op: Linear, accumulator: Int | None = None) -> Dense:
        """Weights of different fractions are held at the largest; the accumulator is the proven bound's width, or where
        one is given wide enough for any weights that a Program may have with it.
        """
        w_frac = np.full(op.outputs, op.w.frac) if op.w_frac is None else np.asarray(op.w_frac)
        frac = int(w_frac.max())
        finer = (frac - w_frac).astype(np.int64)
        weight, bias = node.constants["weight"] << finer[:, None], node.constants["bias"] << finer
        reach = int((np.abs(weight).sum(axis=1) * op.x.limit + np.abs(bias)).max())
        bits = max(reach.bit_length() + 1, 2) if accumulator is None else accumulator.bits + int(finer.max())
        w = Int(op.w.bits + int(finer.max()), frac, op.w.signed)
        return cls(weight, bias, w, Int(bits, frac + op.x.frac))
