"""Which integer format each tensor of a quantized NDT has: bits from the user, fractions from calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

READOUT_BITS = 16
MOST_COUNT_BITS = 8  # a byte of the link per count
LINEARS = ("q", "k", "v", "o", "f1", "f2")
SPATIAL_LINEARS = ("sq", "sk", "f3", "f4")


@dataclass(frozen=True)
class Bits:
    """Bits per kind of tensor; `overrides` gives the weight bits of one Linear by node name ("layer0.q": 8).

    per_output: every output of a Linear has a power-of-two weight scale of its own.
    """

    weight: int = 4
    embed: int = 8
    readout: int = 8
    activation: int = 8
    residual: int = 12
    counts: int = 8
    per_output: bool = False
    overrides: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        limits = {"weight": (2, 8), "embed": (2, 8), "readout": (2, 8), "activation": (2, 8)}
        limits |= {"residual": (8, 16), "counts": (1, MOST_COUNT_BITS)}
        values = {name: getattr(self, name) for name in limits}
        for name, bits in self.overrides.items():
            limits[name], values[name] = (2, 8), bits
        for name, (low, high) in limits.items():
            if not low <= values[name] <= high:
                raise ValueError(f"bits of {name} must be {low}..{high}, got {values[name]}")

    def of(self, linear: str) -> int:
        """Weight bits of the Linear of that node name."""
        default = {"embed_linear": self.embed, "readout": self.readout}.get(linear, self.weight)
        return self.overrides.get(linear, default)


def linear_names(layers: int, spatial: bool = False) -> tuple[str, ...]:
    """Node names of every Linear, in order."""
    names = (*LINEARS, *SPATIAL_LINEARS) if spatial else LINEARS
    inner = tuple(f"layer{i}.{name}" for i in range(layers) for name in names)
    return ("embed_linear", *inner, "readout")


def check_overrides(bits: Bits, layers: int, spatial: bool = False) -> None:
    """ValueError for an override that names no Linear of this network."""
    known = linear_names(layers, spatial)
    for name in bits.overrides:
        if name not in known:
            raise ValueError(f"bits.overrides must name a Linear ({', '.join(known)}), got {name!r}")
