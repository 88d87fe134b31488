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
    split: int = (
        0  # log2 of the groups of segments that share the keys of the weighted values: key k is group k mod 2^split's
    )

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
    def value_lanes_of_head(self) -> int:
        """Lanes that hold different channels of one head's values."""
        return self.group_lanes >> self.split

    @property
    def value_rows(self) -> int:
        """Keys of each group that shares them."""
        return -(-self.op.window >> self.split)

    @property
    def value_tiles(self) -> int:
        """Tiles of a head's channels."""
        return -(-self.op.head_size // self.value_lanes_of_head)

    @property
    def value_words(self) -> int:
        """Words of a group that hold channels in the last value tile."""
        rest = self.op.head_size - (self.value_tiles - 1) * self.value_lanes_of_head
        return -(-rest // self.engine.pipes)

    @property
    def v_words(self) -> int:
        """Words of V in the flat order of its lanes and tiles, to the last that holds a channel."""
        flat = self.value_lanes().ravel()
        return int(np.flatnonzero(flat >= 0)[-1]) // self.engine.pipes + 1

    @property
    def set_rows(self) -> int:
        """Result words of one head set."""
        return (self.value_tiles - 1) * (self.engine.words >> self.split) + self.groups * self.value_words

    @property
    def exp_stride(self) -> int:
        """Bytes between the exponentials of neighbouring keys: a word holds one beat."""
        return self.engine.pipes // self.engine.sfus

    @property
    def exp_words(self) -> int:
        return -(-self.op.window // self.engine.sfus)

    @property
    def aged(self) -> bool:
        """Exponentials and weighted values go from the oldest key to the newest: whole beats, one tile of keys."""
        whole_beats = self.key_tiles == 1 and self.op.window % self.engine.sfus == 0
        return self.engine.folds and whole_beats and self.op.causal

    @property
    def kv_words(self) -> tuple[int, int]:
        """KV bytes per lane for the keys and for the values."""
        tiles = self.sets * self.value_tiles
        return self.sets * self.key_tiles * self.op.head_size, tiles * self.value_rows

    def interleaved(self) -> Positions:
        """Channel at each position of q and k: heads side by side. [size]"""
        position = np.arange(self.op.size)
        return position % self.op.heads * self.op.head_size + position // self.op.heads

    def value_lanes(self) -> Positions:
        """Channel of each lane of a group of segments in each tile of V. [sets * value_tiles, lanes >> split]"""
        each = self.value_lanes_of_head
        group, within = np.divmod(np.arange(self.groups * each), each)
        rows = []
        for head_set in range(self.sets):
            for tile in range(self.value_tiles):
                channel = tile * each + within
                code = (head_set * self.groups + group) * self.op.head_size + channel
                rows.append(np.where(channel < self.op.head_size, code, -1))
        return np.array(rows)

    def result(self) -> Positions:
        """Channel at each position of the attention's result. [sets * set_rows * pipes]"""
        lanes = self.value_lanes().reshape(self.sets, self.value_tiles, self.groups, self.group_words >> self.split, -1)
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
            "value_split": self.split,
            "value_rows": self.value_rows,
        }


def layouts(engine: Engine, op: Attention) -> list[Heads]:
    """What the array can work with: powers of two of head groups, and shares of the keys that shorten the values."""
    found = []
    for groups in possible_groups(engine, op):
        whole = Heads(engine, op, groups)
        found.append(whole)
        for split in range(1, engine.splits.bit_length()):
            share = 1 << split
            fits = groups * share <= engine.segments and whole.group_words % share == 0 and share <= engine.sfus
            shared = Heads(engine, op, groups, split)
            if fits and shared.value_tiles * shared.value_rows < found[-1].value_tiles * found[-1].value_rows:
                found.append(shared)
    return found


def possible_groups(engine: Engine, op: Attention) -> list[int]:
    """Group counts that the array can work with: powers of two that divide everything they must."""
    most = min(engine.segments, engine.pipes // engine.sfus, 8)
    counts = [1 << i for i in range(4) if 1 << i <= most and op.heads % (1 << i) == 0]
    return [count for count in counts if engine.lane_count // count % engine.pipes == 0]
