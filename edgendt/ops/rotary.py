"""Rotary position: pairs of channels turn by angles that grow with time; no bin is the last (Su et al. 2021)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgendt.fixed import Codes, Int, check_sums, narrow, nearest

TURN = 1 << 16  # phases of a full turn
ANGLES = 1024  # of them in the table
FRAC = 10  # of a table entry
COS: Codes = np.array([nearest(2**FRAC * math.cos(2 * math.pi * a / ANGLES)) for a in range(ANGLES)], dtype=np.int64)
SIN: Codes = np.roll(COS, ANGLES // 4)  # SIN[a] = COS[a - 256]
SHORTEST = 4  # default: units of time of the fastest pair's turn; the slowest takes SHORTEST windows


def geometric(pairs: int, window: int) -> tuple[int, ...]:
    """Default steps of `pairs` pairs: turns of 4 to 4 * window units of time, in equal ratios.

    The slowest pair turns by a quarter over the whole window, so it tells any two keys apart.
    """
    shares = [i / (pairs - 1) for i in range(pairs)] if pairs > 1 else [1.0]
    return tuple(max(1, nearest(TURN / (SHORTEST * window**share))) for share in shares)


@dataclass(frozen=True)
class Rotary:
    """(y_2i, y_2i+1) = (x_2i, x_2i+1) turned by time * steps[i] / 2**16 turns: [rows, size] -> [rows, size].

    `steps` has one entry per pair of a head, 0 for a pair that stands still; the heads lie behind one another and all
    use them. `inverse` turns the other way: the same entries, the sine negated.
    """

    kind: ClassVar[str] = "rotary"
    constants: ClassVar[tuple[str, ...]] = ()
    arity: ClassVar[int] = 1

    size: int
    steps: tuple[int, ...]
    x: Int
    y: Int
    inverse: bool = False

    def __post_init__(self) -> None:
        if not self.steps or self.size % self.head_size:
            raise ValueError(f"steps must be one per pair of a head of {self.size} channels, got {len(self.steps)}")
        if not all(0 <= step <= TURN // 2 for step in self.steps):
            raise ValueError(f"steps must be 0..{TURN // 2}, got {min(self.steps)}..{max(self.steps)}")

    @property
    def pairs(self) -> int:
        """Of a head."""
        return len(self.steps)

    @property
    def head_size(self) -> int:
        return 2 * self.pairs

    @property
    def heads(self) -> int:
        return self.size // self.head_size

    @property
    def shift(self) -> int:
        """Right shift of a sum of two products."""
        return FRAC + self.x.frac - self.y.frac

    def check(self, accumulator: Int) -> None:
        """ValueError when a sum of two products can leave the accumulator."""
        check_sums(accumulator, self.x.limit << FRAC + 1)

    def addresses(self, times: Codes) -> Codes:
        """times: [..., rows], any integers -> entries of the table, the nearest to the phase. [..., rows, pairs]"""
        phase = times[..., None] % TURN * np.array(self.steps) % TURN
        half = TURN // ANGLES // 2
        found: Codes = (phase + half) // (2 * half) % ANGLES
        return found

    def run(self, x: Codes, times: Codes | None = None) -> Codes:
        """x: [rows, size], times: [rows] or [rows, 1] (without them rows are times 0, 1, 2, …) -> [rows, size]."""
        a = self.addresses(np.arange(len(x)) if times is None else times.reshape(len(x)))[:, None]
        cos, sin = COS[a], -SIN[a] if self.inverse else SIN[a]
        even, odd = np.moveaxis(x.reshape(len(x), self.heads, self.pairs, 2), -1, 0)
        turned = np.stack([even * cos - odd * sin, even * sin + odd * cos], axis=-1)
        return narrow(turned, self.shift, self.y).reshape(x.shape)
