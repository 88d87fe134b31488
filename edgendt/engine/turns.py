"""Rows of windows of tokens, turned by their times: channels in order, head behind head, a head's angles for all."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgendt.engine import layout as lay
from edgendt.engine.heads import Positions
from edgendt.engine.lookup import looked_up
from edgendt.engine.schedule import Emitter, Tap, Tensor
from edgendt.engine.turn import pairwise
from edgendt.errors import UnsupportedOp
from edgendt.ops import Lookup, Rotary
from edgendt.program import Node


class Turns:
    """Writes queries, keys and values as they are or turned; gives them room in the cache."""

    def __init__(self, emit: Emitter, by_name: Mapping[str, Node]) -> None:
        self.emit, self.by_name = emit, by_name
        self.free: list[tuple[int, int, int]] = []  # of the cache: base, words, the last phase that reads them
        self.rows: Tensor | None = None  # the last values that were turned

    def cache(self, words: int) -> int:
        """Base of so many KV bytes per lane that no phase still reads."""
        for index, (base, there, read) in enumerate(self.free):
            if there >= words and read < self.emit.phase:
                self.free[index] = (base + words, there - words, read)
                return base
        return self.emit.grow("kv", words)

    def raw(self, node: Node, order: Positions) -> Tensor | None:
        """Codes in this order, as residual words, that `node` will turn; None when it turns nothing."""
        if not isinstance(node.op, Rotary):
            return None
        emit, feed = self.emit, self.by_name[node.inputs[0]]
        words = -(-len(order) // self.emit.engine.pipes)
        base, tag = emit.place_res(words), emit.tag()
        fields = {"dst": lay.DST_RES, "dst_base": base, "dst_tag": tag, "tag_clear": 1, "tag_fin": 1}
        apart = emit.unread(base, words)
        if isinstance(feed.op, Lookup):
            index = looked_up(emit, feed, order, fields, apart)
        else:
            index = emit.linear(feed, emit.tensors[feed.inputs[0], "act"], order, fields, apart=apart)
        emit.taps[index] = Tap(feed.name, base, order)
        return emit.own(Tensor(order, base, words, feed.op.y, tag, "res", index))

    def written(self, node: Node, order: Positions, fields: dict[str, int], raw: Tensor | None) -> int:
        """The pass of a Linear, or the turn of what one has written. Returns its index."""
        if raw is None:
            index = self.emit.linear(node, self.emit.tensors[node.inputs[0], "act"], order, fields)
        else:
            index = self._turn(node, raw, fields)
        stride = self.emit.rows.act_words if fields.get("rows_dst") else 0
        self.emit.taps[index] = Tap(node.name, fields.get("dst_base", 0), order, stride)
        return index

    def _turn(self, node: Node, source: Tensor, fields: dict[str, int]) -> int:
        """A Rotary whose channels lie in order, head behind head: the angles are those of one head."""
        op, sfus = node.op, self.emit.engine.sfus
        assert isinstance(op, Rotary)
        if len(node.inputs) < 2:
            raise UnsupportedOp(op.kind, node.name, "rows of a window of tokens turn by times that are given")
        if op.head_size % sfus:
            raise UnsupportedOp(op.kind, node.name, f"heads must be whole beats of {sfus} channels, got {op.head_size}")
        fields = {
            "n_red": op.size,
            "xstride": op.shift,
            "xbase": 1,
            "bias_base": self._angles(node, op),
            "words": op.head_size // sfus,
            "xsigned": int(op.inverse),
        } | fields
        return pairwise(self.emit, node, source, fields)

    def _angles(self, node: Node, op: Rotary) -> int:
        """Base of a head's angles."""
        emit, sfus = self.emit, self.emit.engine.sfus
        rows = np.repeat(op.steps, 2) | np.arange(op.head_size) % 2 << lay.STEP_BITS
        if rows.tobytes() not in emit.angles:
            emit.words.steps.append(rows)
            base = emit.angles[rows.tobytes()] = emit.grow("angle", len(rows) // sfus)
            if base * sfus + len(rows) > lay.ANGLES:
                raise UnsupportedOp(op.kind, node.name, f"rotaries of different steps have over {lay.ANGLES} channels")
        return emit.angles[rows.tobytes()]
