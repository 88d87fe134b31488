"""How attention lies on the array: head groups over segments, tiles, positions of q, k, v and the result.

A group of lanes serves one head at a time. `groups` heads work at once (a head set); lane (g, i) of the array is lane
i of group g. Positions are the order in which codes are stored; -1 marks a hole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgendt.engine.config import Engine
from edgendt.ops import Attention

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Heads:
    """Geometry of one attention on one engine with `groups` head groups."""

    engine: Engine
    op: Attention
    groups: int

    @property
    def group_lanes(self) -> int:
        return self.engine.lane_count // self.groups

    @property
    def group_words(self) -> int:
        return self.group_lanes // self.engine.pipes

    @property
    def sets(self) -> int:
        """Head sets: heads / groups."""
        return self.op.heads // self.groups

    @property
    def key_tiles(self) -> int:
        return -(-self.op.window // self.group_lanes)

    @property
    def key_words(self) -> int:
        """Words of a group that can hold keys."""
        return min(self.group_words, -(-self.op.window // self.engine.pipes))

    @property
    def value_tiles(self) -> int:
        """Tiles of a head's channels."""
        return -(-self.op.head_size // self.group_lanes)

    @property
    def value_words(self) -> int:
        """Words of a group that hold channels in the last value tile."""
        rest = self.op.head_size - (self.value_tiles - 1) * self.group_lanes
        return -(-rest // self.engine.pipes)

    @property
    def v_words(self) -> int:
        """Words of V in the flat order of its lanes and tiles, to the last that holds a channel."""
        flat = self.value_lanes().ravel()
        return int(np.flatnonzero(flat >= 0)[-1]) // self.engine.pipes + 1

    @property
    def set_rows(self) -> int:
        """Result words of one head set."""
        return (self.value_tiles - 1) * self.engine.words + self.groups * self.value_words

    @property
    def exp_stride(self) -> int:
        """Bytes between the exponentials of neighbouring keys: a word holds one beat."""
        return self.engine.pipes // self.engine.sfus

    @property
    def exp_words(self) -> int:
        return -(-self.op.window // self.engine.sfus)

    @property
    def kv_words(self) -> tuple[int, int]:
        """KV bytes per lane for the keys and for the values."""
        tiles = self.sets * self.value_tiles
        return self.sets * self.key_tiles * self.op.head_size, tiles * self.op.window

    def interleaved(self) -> Positions:
        """Channel at each position of q and k: heads side by side. [size]"""
        position = np.arange(self.op.size)
        return position % self.op.heads * self.op.head_size + position // self.op.heads

    def value_lanes(self) -> Positions:
        """Channel that each lane computes in each tile of V. [sets * value_tiles, lanes]"""
        lane = np.arange(self.engine.lane_count)
        group, within = lane // self.group_lanes, lane % self.group_lanes
        rows = []
        for head_set in range(self.sets):
            for tile in range(self.value_tiles):
                channel = tile * self.group_lanes + within
                code = (head_set * self.groups + group) * self.op.head_size + channel
                rows.append(np.where(channel < self.op.head_size, code, -1))
        return np.array(rows)

    def result(self) -> Positions:
        """Channel at each position of the attention's result. [sets * set_rows * pipes]"""
        lanes = self.value_lanes().reshape(self.sets, self.value_tiles, self.groups, self.group_words, -1)
        parts = []
        for head_set in range(self.sets):
            parts += [lanes[head_set, tile].ravel() for tile in range(self.value_tiles - 1)]
            parts.append(lanes[head_set, -1, :, : self.value_words].ravel())
        return np.concatenate(parts)

    def configuration(self) -> dict[str, int]:
        """Configuration registers by the names of layout.CFG."""
        group_segs = self.engine.segments // self.groups
        return {
            "window": self.op.window,
            "gshift": group_segs.bit_length() - 1,
            "groups": self.groups,
            "group_words": self.group_words,
            "key_words": self.key_words,
            "head_dim": self.op.head_size,
            "head_sets": self.sets,
            "heads": self.op.heads,
            "key_tiles": self.key_tiles,
            "set_stride": self.key_tiles * self.op.head_size,
            "group_segs": group_segs,
        }


def possible_groups(engine: Engine, op: Attention) -> list[int]:
    """Group counts that the array can work with: powers of two that divide everything they must."""
    most = min(engine.segments, engine.pipes // engine.sfus, 8)
    counts = [1 << i for i in range(4) if 1 << i <= most and op.heads % (1 << i) == 0]
    return [count for count in counts if engine.lane_count // count % engine.pipes == 0]
