"""Which power of two a tensor's scale should be, without torch: the smallest squared error among a few."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgendt.fixed import Int
from edgendt.ops.layernorm import BETA, NORM_FRAC

EXPONENTS = 5  # how many fractions are tried, from the coarsest that clips nothing
FRACS = (-12, 16)  # limits of any fraction: shifts stay within five bits
GAMMA_BITS = 8


def unclipped_frac(values: NDArray[Any], y: Int, headroom: float = 1.0) -> int:
    """The largest fraction at which `headroom` times the largest magnitude still has a code in y."""
    largest = float(np.abs(values).max()) * headroom if values.size else 0.0
    if largest == 0:
        return min(y.bits - 1, FRACS[1])
    return int(np.clip(np.floor(np.log2(y.hi / largest)), *FRACS))


def on_grid(values: NDArray[Any], y: Int, frac: int, narrow: bool = False) -> NDArray[np.float64]:
    """Values rounded and clipped to the format of y at fraction `frac`."""
    codes = np.rint(np.ldexp(np.asarray(values, np.float64), frac)).clip(y.lo + narrow, y.hi)
    rounded: NDArray[np.float64] = np.ldexp(codes, -frac)
    return rounded


def best_frac(values: NDArray[Any], y: Int, narrow: bool = False) -> int:
    """The fraction of `EXPONENTS` candidates with the smallest squared error; y gives bits and sign."""
    first = unclipped_frac(values, y)
    candidates = range(first, min(first + EXPONENTS, FRACS[1] + 1))
    return min(candidates, key=lambda frac: float(np.square(on_grid(values, y, frac, narrow) - values).mean()))


def gamma_frac(gamma: NDArray[Any], beta: NDArray[Any], bits: Int) -> int:
    """`best_frac` of gamma, coarser where beta would leave its 24 bits at fraction 12 + gamma.frac."""
    frac = best_frac(gamma, bits)
    largest = 2 * float(np.abs(beta).max())
    while largest * 2.0 ** (NORM_FRAC + frac) > BETA.hi:
        frac -= 1
    return frac


def relative_rms(error: NDArray[Any], values: NDArray[Any]) -> float:
    """Root of the mean square of an error over that of the values; 0 where there are none."""
    of = float(np.sqrt(np.square(np.asarray(values, np.float64)).mean())) if values.size else 0.0
    wrong = float(np.sqrt(np.square(np.asarray(error, np.float64)).mean())) if error.size else 0.0
    return wrong / of if of else wrong
