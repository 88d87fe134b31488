"""What becomes of values when the grid of their Quant does: the error on calibration data, or a bound without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgendt.fixed import Int
from edgendt.scales import relative_rms


@dataclass(frozen=True)
class Levels:
    """Multiples of `step`, from low to high."""

    step: float
    low: int
    high: int

    @classmethod
    def of(cls, y: Int) -> Levels:
        """Those of a format."""
        return cls(float(y.scale), y.lo, y.hi)

    @property
    def reach(self) -> float:
        """The largest magnitude."""
        return self.step * max(-self.low, self.high)

    def on(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Values rounded to levels and clipped."""
        rounded: NDArray[np.float64] = np.rint(np.asarray(values, np.float64) / self.step).clip(self.low, self.high)
        return rounded * self.step


def error(values: NDArray[Any], old: Levels, new: Levels) -> float:
    """Of `new` in the place of `old`, relative RMS."""
    return relative_rms(new.on(values) - old.on(values), values)


def bound(old: Levels, new: Levels) -> float:
    """The most by which any value that `old` does not clip moves, over the reach of `old`.

    The level of either is at most half its step from the value, so they are at most half of both steps apart, and by
    multiples of the finer one where that divides the coarser. What lies beyond the levels of `new` is lost.
    """
    fine, coarse = sorted((old.step, new.step))
    apart, times = (old.step + new.step) / 2, coarse / fine
    if times.is_integer():
        apart = (times + 1) // 2 * fine if times > 1 else 0.0
    lost = max(old.high * old.step - new.high * new.step, new.low * new.step - old.low * old.step)
    return max(apart, lost) / old.reach


def moved(seen: NDArray[Any] | None, old: Levels, new: Levels) -> dict[str, float]:
    """`error` where there are data, else `bound`: fields of a note."""
    return {"bound": bound(old, new)} if seen is None else {"error": error(seen, old, new)}
