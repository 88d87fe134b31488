"""Velocity on the chip: ridge from a bin's final LayerNorm to z-scored velocity, as further rows of the readout."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from edgendt.fixed import Int
from edgendt.metrics import Array, Decoder, velocity_r2
from edgendt.qat.calibrate import weight_frac
from edgendt.qat.formats import READOUT_BITS
from edgendt.qat.ndt import QuantNDT
from edgendt.qat.train import Tensors, values
from edgendt.wiring import Group

HEADROOM = 2.0  # the output format holds so many times the largest value seen


@dataclass(frozen=True)
class Velocity:
    """A fitted readout. weight [axes, d] and bias [axes] act on the final LayerNorm's values; group: its outputs."""

    weight: Array
    bias: Array
    group: Group

    @classmethod
    def fit(cls, network: QuantNDT, features: Array, vel: Array, mask: Array) -> Velocity:
        """features [trials, bins, d] of `network`, vel [trials, bins, axes], mask [trials, bins]; α by folds of trials.

        Outputs are (vel − offset) / scale: z-scored, in steps of a power of two where the format needs it.
        """
        trial = np.broadcast_to(np.arange(len(mask))[:, None], mask.shape)[mask]
        x, y = features[mask], vel[mask]
        mean, spread = y.mean(0), np.where(y.std(0) > 0, y.std(0), 1.0)
        ridge = Decoder.fit(x, (y - mean) / spread, trial)
        largest = np.abs(ridge.predict(x)).max() * HEADROOM
        form = Int(READOUT_BITS, network.fracs["readout"])
        step = 2.0 ** max(0, math.ceil(math.log2(max(largest, 1e-9) / (form.hi * form.scale))))
        weight = (ridge.weights / ridge.scale[:, None]).T / step
        bias = ridge.mean / step - weight @ ridge.centre
        first = network.config.outputs
        rows = tuple(range(first, first + len(mean)))
        group = Group(rows, tuple((spread * step).tolist()), tuple(mean.tolist()))
        return cls(weight, bias, group)

    def append_to(self, network: QuantNDT) -> QuantNDT:
        """The network with these outputs behind its own, in the readout's bits, each row at its own fraction."""
        op = network.readout.op
        weight, bias = (torch.tensor(part, dtype=torch.float32) for part in (self.weight, self.bias))
        rows = zip(weight[:, None], bias[:, None], strict=True)
        return network.extended(weight, bias, [weight_frac(w, b, Int(op.w.bits), op.x) for w, b in rows])

    def predict(self, features: Array) -> Array:
        """What it reads in real numbers: features [trials, bins, d] -> velocity [trials, bins, axes]."""
        z = features @ self.weight.T + self.bias
        velocity: Array = z * np.array(self.group.scale) + np.array(self.group.offset)
        return velocity


def features(network: QuantNDT, data: Tensors, trials: Array) -> Array:
    """The final LayerNorm's values [trials, bins, d], exactly code · 2**-frac."""

    def last(counts: torch.Tensor) -> torch.Tensor:
        trace: dict[str, torch.Tensor] = {}
        network(counts, trace=trace)
        return trace["lnf"]

    network.eval()
    return values(last, data, trials)


def scores(
    network: QuantNDT, fitted: Velocity, data: Tensors, trials: Array, vel: Array, mask: Array
) -> dict[str, float | None]:
    """Velocity R² on `trials` of the readout in real numbers and of the network's own outputs."""
    y = network.readout.op.y
    codes = np.round(values(network.eval(), data, trials) / y.scale).astype(np.int64)
    return {
        "readout_float_r2": velocity_r2(fitted.predict(features(network, data, trials)), vel, mask),
        "readout_r2": velocity_r2(fitted.group.values(codes, y), vel, mask),
    }
