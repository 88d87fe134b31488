"""Integer formats and the one rounding rule of the project: ties to even, then saturate."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Int:
    """Codes of `bits` bits; value = code * 2**-frac."""

    bits: int
    frac: int = 0
    signed: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 32:
            raise ValueError(f"bits must be 1..32, got {self.bits}")

    @property
    def lo(self) -> int:
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def hi(self) -> int:
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    @property
    def limit(self) -> int:
        """The largest magnitude a code can have."""
        return max(self.hi, -self.lo)

    @property
    def scale(self) -> float:
        return 2.0**-self.frac

    def holds(self, codes: ArrayLike) -> bool:
        """True when every code is in range."""
        array = np.asarray(codes)
        return array.size == 0 or bool(array.min() >= self.lo and array.max() <= self.hi)


def rne(a: ArrayLike, shift: ArrayLike) -> Codes:
    """a * 2**-shift to the nearest integer, ties to even; a negative shift multiplies exactly.

    `shift` is one number or an array that broadcasts against `a`.
    """
    codes = np.asarray(a, dtype=np.int64)
    right = np.asarray(shift, dtype=np.int64)
    down = np.maximum(right, 0)
    # (half - 1) + the bit that becomes the LSB, then floor: rounds a tie up only when the LSB is odd.
    lsb = (codes >> down) & 1
    half = np.where(down > 0, (np.int64(1) << np.maximum(down - 1, 0)) - 1 + lsb, 0)
    return ((codes + half) >> down) << np.maximum(-right, 0)


def saturate(a: ArrayLike, y: Int) -> Codes:
    """Clip codes to the range of `y`."""
    return np.clip(np.asarray(a, dtype=np.int64), y.lo, y.hi)


def narrow(a: ArrayLike, shift: ArrayLike, y: Int) -> Codes:
    """The only narrowing there is: saturate(rne(a, shift), y)."""
    return saturate(rne(a, shift), y)


def nearest(x: float | Fraction) -> int:
    """A real constant to the nearest integer, ties to even; made once, in Python."""
    return round(x)


def bit_length(a: ArrayLike) -> Codes:
    """Bit length of non-negative integers below 2**62, as `int.bit_length`, elementwise."""
    codes = np.asarray(a, dtype=np.int64)
    # frexp is exact below 2**53; larger values are brought there by dropping low bits, which keeps the leading one.
    big = codes >= 1 << 52
    _, exponent = np.frexp(np.where(big, codes >> 12, codes).astype(np.float64))
    return exponent.astype(np.int64) + np.where(big, 12, 0)


def check_sums(accumulator: Int, reach: int, what: str = "") -> None:
    """ValueError when sums of at most `reach` leave the accumulator; what: said behind that figure."""
    if reach > accumulator.hi:
        bits = reach.bit_length() + 1
        advice = f"set accumulator to {bits} (32 at most), or " if bits <= 32 else ""
        said = f"accumulator must stay within {accumulator.bits} bits, can reach {reach}{what}"
        raise ValueError(f"{said}: {advice}sum fewer or smaller products")


def as_codes(values: Any, y: Int, name: str) -> Codes:
    """`values` as int64 codes, refused when one is fractional or leaves `y`."""
    array = np.asarray(values)
    codes = array.astype(np.int64)
    if not np.array_equal(codes, array):
        raise ValueError(f"{name} must be integers, got {array.dtype} with fractions")
    if not y.holds(codes):
        raise ValueError(f"{name} must be {y.lo}..{y.hi}, got {codes.min()}..{codes.max()}")
    return codes
