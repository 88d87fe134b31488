"""How a Linear lies on the array: one or two weights per word, its reduction whole or shared by groups of segments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgendt.engine.config import Engine

PAIR_BITS = 4  # of each weight of a pair


@dataclass(frozen=True)
class Tiling:
    """Outputs of a tile in flat order: `words` words of P; with pairs first all low ones, then all high ones.

    split: log2 of the groups of segments; group g reduces inputs g, g + 2^split, ...
    """

    engine: Engine
    paired: bool = False
    split: int = 0

    @property
    def words(self) -> int:
        """Words of a full tile: its drain steps."""
        return self.engine.words * (1 + self.paired) >> self.split

    @property
    def outputs(self) -> int:
        """Outputs of a full tile."""
        return self.words * self.engine.pipes

    def elements(self, inputs: int) -> int:
        """Elements of one tile."""
        return -(-inputs >> self.split)

    def tiles(self, outputs: int) -> int:
        return -(-outputs // self.outputs)

    def cycles(self, inputs: int, outputs: int, rate: int) -> int:
        """Cycles until the last word has left: a tile takes as long as it, or the one before it to drain.

        rate: inputs that the source gives per cycle, which holds the first tile up.
        """
        tiles, elements = self.tiles(outputs), self.elements(inputs)
        last = -(-outputs // self.engine.pipes) - (tiles - 1) * self.words
        return max(elements, -(-inputs // rate)) + (tiles - 1) * max(elements, self.words) + last

    def rows(self, inputs: int, outputs: int) -> int:
        """Weight words per lane."""
        return self.tiles(outputs) * self.elements(inputs)

    def codes(self, weight: NDArray[np.int64]) -> NDArray[np.int64]:
        """weight: [outputs, inputs] -> the words of every lane. [rows, lanes]"""
        outputs, inputs = weight.shape
        tiles, elements, share = self.tiles(outputs), self.elements(inputs), 1 << self.split
        padded = np.zeros((tiles * self.outputs, elements * share), np.int64)
        padded[:outputs, :inputs] = weight
        lanes = self.engine.lane_count // share
        parts = padded.reshape(tiles, 1 + self.paired, lanes, elements, share).transpose(1, 0, 3, 4, 2)
        parts = parts.reshape(1 + self.paired, tiles * elements, share * lanes)
        return pair(*parts) if self.paired else parts[0]


def pair(low: NDArray[np.int64], high: NDArray[np.int64]) -> NDArray[np.int64]:
    """Two 4-bit weights as the nine bits of one word: {high - (low < 0), low}."""
    return (high - (low < 0)) << PAIR_BITS | low & (1 << PAIR_BITS) - 1


def both(words: NDArray[np.int64]) -> NDArray[np.int64]:
    """The two weights of words that `pair` made, as a byte: {high, low}."""
    borrow = words >> (PAIR_BITS - 1) & 1
    return words + (borrow << PAIR_BITS)


def best(engine: Engine, bits: int, inputs: int, outputs: int, rate: int) -> Tiling:
    """The tiling of fewest cycles; of those the one of fewest weight words."""
    paired = [False, True] if engine.packed and bits <= PAIR_BITS else [False]
    splits = range(engine.splits.bit_length())
    tilings = [Tiling(engine, pairs, split) for pairs in paired for split in splits]
    return min(tilings, key=lambda one: (one.cycles(inputs, outputs, rate), one.rows(inputs, outputs)))
