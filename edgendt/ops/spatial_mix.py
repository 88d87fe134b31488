"""SpatialMix: each channel takes a weighted sum of all channels of its bin, summed exactly, narrowed once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgendt.fixed import Codes, Int, check_sums, narrow


@dataclass(frozen=True)
class SpatialMix:
    """y = narrow((A z^T)^T): A [size, size], z [bins, size] -> [bins, size]. Source: Le & Shlizerman 2022.

    A is one for all bins, or each bin has its own: [bins · size, size].
    """

    kind: ClassVar[str] = "spatial_mix"
    constants: ClassVar[tuple[str, ...]] = ()
    arity: ClassVar[int] = 2

    size: int
    a: Int
    z: Int
    y: Int

    @property
    def shift(self) -> int:
        return self.a.frac + self.z.frac - self.y.frac

    def check(self, accumulator: Int) -> None:
        """ValueError when a sum can leave the accumulator."""
        reach = self.size * self.a.limit * self.z.limit + (1 << max(self.shift - 1, 0))
        check_sums(accumulator, reach, f" with {self.size} channels")

    def run(self, a: Codes, z: Codes) -> Codes:
        """a: [size, size] or [bins · size, size], z: [bins, size] -> [bins, size]."""
        return narrow((a.reshape(-1, self.size, self.size) @ z[:, :, None])[:, :, 0], self.shift, self.y)
