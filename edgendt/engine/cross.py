"""Cross-attention as instructions: keys and values in a phase over their rows, queries of other rows in a later one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from edgendt.engine import layout as lay
from edgendt.engine.attend import Attend
from edgendt.engine.config import Engine
from edgendt.engine.emit import DST
from edgendt.engine.heads import Heads, Positions, layouts
from edgendt.engine.schedule import Open, Tap, Tensor
from edgendt.engine.turns import Turns
from edgendt.errors import UnsupportedOp
from edgendt.ops import CrossAttention, Rotary
from edgendt.program import Axis, Node


@dataclass(frozen=True)
class Reach:
    """How an attention lies on the array: one head at a time, its channels in order, all lanes for it."""

    heads: Heads
    axis: Axis  # of its keys

    @classmethod
    def of(cls, engine: Engine, op: CrossAttention, axis: Axis, most: int) -> Reach:
        keys = axis.length or min(op.keys, most)
        attention = replace(op.attention, window=keys, causal=False)
        alone = [one for one in layouts(engine, attention) if one.groups == 1]
        return cls(min(alone, key=lambda one: one.value_tiles * one.value_rows), axis)

    @property
    def keys(self) -> int:
        return self.heads.op.window

    @property
    def cache(self) -> tuple[int, int]:
        """KV bytes per lane for keys and for values."""
        heads = self.heads
        return heads.key_tiles * heads.op.size, heads.op.heads * heads.value_tiles * heads.value_rows

    def written(self) -> dict[str, int]:
        """SHAPE's fields while its keys and values are written: keys as if of one head."""
        heads = self.heads
        return {"n_red": heads.op.size, "sbase": heads.key_tiles, "split": heads.split, "xbase": heads.value_rows}


class Cross(Attend):
    """Emits one cross-attention: keys and values in a phase over their rows, the rest in a later one."""

    heads: Heads

    def __init__(self, turns: Turns, reach: Reach) -> None:
        super().__init__(turns.emit, reach.heads, 0)
        self.turns, self.reach = turns, reach

    def cached(self, k: Node, v: Node) -> None:
        """Keys and values of a row."""
        turns, emit, heads = self.turns, self.emit, self.heads
        if turns.rows is not None and turns.rows.tag is not None:  # rows of the KV memory that units still write
            emit.sync(turns.rows.tag)
        k_words, v_words = self.reach.cache
        k_base, v_base = turns.cache(k_words), turns.cache(v_words)
        natural, lanes = np.arange(heads.op.size), self._lanes()
        k_raw, v_raw = turns.raw(k, natural), turns.raw(v, lanes)
        tag = emit.unit_tag() if k_raw else emit.tag()
        fields = {"dst": lay.DST_KCOL, "dst_tag": tag, "tag_clear": 1, "tag_fin": 1, "kv_base": k_base}
        turns.written(k, natural, fields, k_raw)
        self.k = emit.own(Tensor(natural, k_base, 0, k.op.y, tag, "kv"))
        if v_raw is None:
            self.v = Tensor(lanes, v_base, 0, v.op.y, emit.tag(), "kv")
            self._value(v, self.v, self.k, slice(0, heads.v_words))
        else:
            assert isinstance(v.op, Rotary)
            if v.op.head_size != heads.op.head_size:
                raise UnsupportedOp(v.op.kind, v.name, "values turn in heads of the attention that weights them")
            emit.sync(tag)  # the key's column and the values' rows share a port
            tag = emit.unit_tag()
            fields = {"dst": lay.DST_KV, "dst_tag": tag, "tag_clear": 1, "tag_fin": 1, "kv_base": v_base}
            period = heads.value_tiles * heads.value_lanes_of_head
            turns.written(v, lanes, fields | {"words": period // self.engine.sfus, "n_red": len(lanes)}, v_raw)
            self.v = turns.rows = emit.own(Tensor(lanes, v_base, 0, v.op.y, tag, "kv"))
        for raw in filter(None, (k_raw, v_raw)):
            emit.drop(raw)

    def _lanes(self) -> Positions:
        """The channel of every place of V, in words; -1 for none."""
        return self.heads.value_lanes().ravel()[: self.heads.v_words * self.engine.pipes]

    def attend(self, node: Node, q: Node, place: str, kept: int) -> Tensor:
        """Queries of a row; head by head scores, exponentials, weighted values. `place`: where the result goes."""
        emit, heads, natural = self.emit, self.heads, np.arange(self.heads.op.size)
        raw = self.turns.raw(q, natural)
        words = -(-heads.op.size // self.engine.pipes)
        base, tag = emit.place(words, raw.stats_by if raw else len(emit.instrs)), emit.unit_tag() if raw else emit.tag()
        fields = {"dst": lay.DST_ACT, "dst_base": base, "dst_tag": tag, "tag_clear": 1, "tag_fin": 1}
        self.turns.written(q, natural, fields, raw)
        self.q = emit.own(Tensor(natural, base, words, q.op.y, tag))
        if raw is not None:
            emit.drop(raw)
        result = Tensor(natural, -1, words, heads.op.y, where=place, rate=self.engine.sfus, kept=kept)
        for head in range(heads.op.heads):
            e = self._exponentials(node, self._scores(node, self.q, self.k, head))
            self._weighted(node, e, self.v, result, head)
        emit.drop(self.q)
        for cached, size in zip((self.k, self.v), self.reach.cache, strict=True):
            self.turns.free.append((cached.base, size, emit.phase))
        return result

    def _scores(self, node: Node, q: Tensor, k: Tensor, head_set: int) -> Tensor:
        emit, heads, words = self.emit, self.heads, self.engine.words
        tag, d_h = emit.tag(), heads.op.head_size
        fields = {
            "kv": 1,
            "xsigned": 1,
            "tiles_keys": 1,
            "dst_tag": tag,
            "tag_clear": 1,
            "tag_fin": 1,
            "mode": lay.MODE_SCORE,
            "sbase": k.base + head_set * d_h,
            "sstride": heads.op.size,
            "n_red": d_h,
            "xbase": q.base * self.engine.pipes + head_set * d_h,
            "xstride": 1,
            "steps": words,
            "words": words,
        }
        index = emit.mac(f"{node.name}.scores", fields, q)
        emit.sizes["score"] = max(emit.sizes["score"], heads.key_tiles * words)
        return emit.own(Tensor(q.positions, 0, 0, q.form, tag, "score", index))

    def _weighted(self, node: Node, e: Tensor, v: Tensor, a: Tensor, head_set: int) -> None:
        emit, heads, pipes = self.emit, self.heads, self.engine.pipes
        if a.base < 0:
            place = (
                emit.place_res if a.where == "res" else lambda words, kept: emit.place(words, len(emit.instrs), kept)
            )
            a.base, a.tag = place(a.words, a.kept), emit.tag()
        assert a.tag is not None
        rows, last = heads.set_rows, head_set == heads.op.heads - 1
        fields = {
            "kv": 1,
            "grouped": 1,
            "red_keys": 1,
            "dst_tag": a.tag,
            "tag_clear": int(head_set == 0),
            "tag_fin": int(last),
            "mode": lay.MODE_VALUE,
            "dst": DST[a.where],
            "y1": lay.fmt(heads.op.y),
            "sbase": v.base + head_set * heads.value_tiles * heads.value_rows,
            "sstride": heads.value_rows,
            "split": heads.split,
            "n_tiles": heads.value_tiles,
            "xbase": e.base * pipes,
            "xstride": heads.exp_stride << heads.split,
            "steps": heads.value_words,
            "words": heads.value_words,
            "dst_base": a.base + head_set * rows,
            "rows_dst": a.kept,
            "add_base": (14 + heads.op.v.frac - heads.op.y.frac) % 64,
        }
        index = emit.mac(f"{node.name}.values", fields, e)
        stride = emit.rows.stride(a.where) if a.kept else 0
        emit.taps[index] = Tap(
            node.name, a.base + head_set * rows, a.positions[head_set * rows * pipes :][: rows * pipes], stride
        )
        if last:
            a.stats_by = index
            emit.own(a)
            emit.open.append(Open(a.tag, res=a.where == "res"))
        emit.drop(e)
