"""Attention as instructions: K, Q and V passes, scores, exponentials, weighted values."""

from __future__ import annotations

from collections.abc import Sequence

from edgendt.engine import layout as lay
from edgendt.engine.heads import Heads, Positions
from edgendt.engine.layout import Instr
from edgendt.engine.schedule import Emitter, Open, Tap, Tensor
from edgendt.engine.turn import turn
from edgendt.fixed import Int
from edgendt.ops import Attention
from edgendt.program import Node


def sight(op: Attention) -> int:
    """What a pass of scores says of the keys that its row sees: 1 + how many before it, and behind; 0 for all."""
    back, ahead = (reach + 1 if 0 <= reach < op.window - 1 else 0 for reach in (op.back, op.ahead))
    return back << lay.SIGHT_BITS | ahead


class Attend:
    """Emits one attention; `v_first` of V's words come before the scores."""

    def __init__(self, emit: Emitter, heads: Heads, v_first: int) -> None:
        self.emit, self.heads, self.v_first = emit, heads, v_first
        self.engine = emit.engine
        self.raw: list[Tensor] = []  # queries and keys that are turned

    def feed(self, parts: Sequence[Node], feeds: Sequence[Node]) -> None:
        """K, Q and some of V; of a whole window all of it.

        parts: q, k and v; feeds: the Linears that they are or, with a Rotary, read.
        """
        emit, heads = self.emit, self.heads
        k_base, v_base = emit.place_kv(*heads.kv_words)
        order = heads.interleaved()
        self.k = self._key(parts[1], feeds[1], order, k_base)
        self.q = self._query(parts[0], feeds[0], order)
        # Owned, that is possible to await, once all is emitted.
        self.v = Tensor(order, v_base, 0, heads.op.v, emit.tag(), "kv")
        self.v_node = parts[2]
        self.first = min(self.v_first, heads.v_words) if heads.op.causal else heads.v_words
        if self.first:
            self._value(self.v_node, self.v, self.k, slice(0, self.first))

    def mix(self, node: Node, kept: int = 0) -> Tensor:
        """Per head set scores, exponentials (hidden by the rest of V) and weighted values."""
        emit, heads, q, k, v = self.emit, self.heads, self.q, self.k, self.v
        result = heads.result()
        a = Tensor(result, -1, len(result) // self.engine.pipes, heads.op.y, rate=self.engine.sfus, kept=kept)
        for head_set in range(heads.sets):
            scores = self._scores(node, q, k, head_set)
            e = self._exponentials(node, scores)
            if self.first < heads.v_words:
                self._value(self.v_node, v, k, slice(self.first, heads.v_words))
                self.first = heads.v_words
            self._weighted(node, e, v, a, head_set)
        for tensor in (q, k, v, *self.raw):
            emit.drop(tensor)
        if not heads.op.causal:
            emit.free_kv.append((k.base, v.base, *heads.kv_words, emit.phase))
        return a

    def _raw(self, node: Node, order: Positions) -> Tensor:
        """Queries or keys that have not been turned: residual words."""
        emit = self.emit
        words = -(-len(order) // self.engine.pipes)
        base, tag = emit.place_res(words), emit.tag()
        fields = {"dst": lay.DST_RES, "dst_base": base, "dst_tag": tag, "tag_clear": 1, "tag_fin": 1}
        index = emit.linear(node, emit.tensors[node.inputs[0], "act"], order, fields, apart=emit.unread(base, words))
        emit.taps[index] = Tap(node.name, base, order)
        self.raw.append(emit.own(Tensor(order, base, words, node.op.y, tag, "res", index)))
        return self.raw[-1]

    def _key(self, node: Node, feed: Node, order: Positions, base: int) -> Tensor:
        raw = None if feed is node else self._raw(feed, order)
        tag = self.emit.tag()
        fields = {"dst": lay.DST_KCOL, "dst_tag": tag, "tag_clear": 1, "tag_fin": 1, "kv_base": base}
        self._write(node, order, fields, raw)
        return self.emit.own(Tensor(order, base, 0, node.op.y, tag, "kv"))

    def _query(self, node: Node, feed: Node, order: Positions) -> Tensor:
        raw, emit = None if feed is node else self._raw(feed, order), self.emit
        words = -(-len(order) // self.engine.pipes)
        kept = int(not self.heads.op.causal)
        base, tag = emit.place(words, raw.stats_by if raw else len(emit.instrs), kept), emit.tag()
        fields = {"dst": lay.DST_ACT, "dst_base": base, "dst_tag": tag, "tag_clear": 1, "tag_fin": 1, "rows_dst": kept}
        self._write(node, order, fields, raw)
        return emit.own(Tensor(order, base, words, node.op.y, tag, kept=kept))

    def _write(self, node: Node, order: Positions, fields: dict[str, int], raw: Tensor | None) -> None:
        """The pass of a Linear, or the turn of what one has written."""
        emit = self.emit
        if raw is None:
            index = emit.linear(node, emit.tensors[node.inputs[0], "act"], order, fields)
        else:
            index = turn(emit, node, raw, self.heads.op.heads, fields)
        stride = emit.rows.act_words if fields.get("rows_dst") else 0
        emit.taps[index] = Tap(node.name, fields.get("dst_base", 0), order, stride)

    def _value(self, node: Node, v: Tensor, k: Tensor, part: slice) -> None:
        """V's words of `part`: rows of the KV memory, each lane the channel it will weight."""
        emit, heads, pipes = self.emit, self.heads, self.engine.pipes
        assert v.tag is not None
        outputs = heads.value_lanes().ravel()[part.start * pipes : part.stop * pipes]
        tile, word = divmod(part.start, self.engine.words >> heads.split)
        fields = {
            "dst": lay.DST_KV,
            "dst_tag": v.tag,
            "tag_clear": int(part.start == 0),
            "tag_fin": int(part.stop == heads.v_words),
            "kv_base": v.base + tile * heads.value_rows,
            "dst_base": word,
            "bar_late": int(self.engine.folds),  # the column of K and V's rows share a port: rows come after the tile
        }
        index = emit.linear(node, emit.tensors[node.inputs[0], "act"], outputs, fields, barrier=k)
        emit.taps[index] = Tap(node.name, 0, outputs)
        if part.stop == heads.v_words:
            emit.own(v)

    def _scores(self, node: Node, q: Tensor, k: Tensor, head_set: int) -> Tensor:
        emit, heads = self.emit, self.heads
        tag, d_h = emit.tag(), heads.op.head_size
        fields = {
            "kv": 1,
            "grouped": 1,
            "xsigned": 1,
            "tiles_keys": 1,
            "dst_tag": tag,
            "tag_clear": 1,
            "tag_fin": 1,
            "mode": lay.MODE_SCORE,
            "sbase": k.base + head_set * heads.key_tiles * d_h,
            "sstride": d_h,
            "n_red": d_h,
            "xbase": q.base * self.engine.pipes + head_set * heads.groups,
            "rows_x": q.kept,
            "xstride": heads.op.heads,
            "steps": (heads.groups - 1) * heads.group_words + heads.key_words,
            "words": heads.key_words,
            "kv_base": sight(heads.op),
            "bar_begun": 1,
        }
        index = emit.mac(f"{node.name}.scores", fields, q, k)
        emit.sizes["score"] = max(emit.sizes["score"], heads.key_tiles * heads.groups * heads.key_words)
        return emit.own(Tensor(q.positions, 0, 0, q.form, tag, "score", index))

    def _exponentials(self, node: Node, scores: Tensor) -> Tensor:
        emit, heads = self.emit, self.heads
        assert scores.tag is not None
        base, tag = emit.place(heads.exp_words, scores.stats_by), emit.tag()
        fields = {
            "op": lay.OP_EXP,
            "src_use": 1,
            "src_tag": scores.tag,
            "dst_tag": tag,
            "tag_clear": 1,
            "tag_fin": 1,
            "sbase": heads.op.scale.c,
            "xstride": heads.op.scale.shift,
            "dst_base": base,
            "aged": int(heads.aged),
        }
        emit.instrs.append(Instr(f"{node.name}.exp", fields))
        emit.open.append(Open(tag, scores))
        return emit.own(Tensor(scores.positions, base, heads.exp_words, Int(8, 0, False), tag))

    def _weighted(self, node: Node, e: Tensor, v: Tensor, a: Tensor, head_set: int) -> None:
        """The weighted values of one head set, divided on their way to the activation memory."""
        emit, heads = self.emit, self.heads
        if a.base < 0:
            a.base, a.tag = emit.place(a.words, len(emit.instrs), a.kept), emit.tag()
        assert a.tag is not None
        rows = heads.set_rows
        fields = {
            "kv": 1,
            "grouped": 1,
            "red_keys": 1,
            "dst_tag": a.tag,
            "tag_clear": int(head_set == 0),
            "tag_fin": int(head_set == heads.sets - 1),
            "mode": lay.MODE_VALUE,
            "dst": lay.DST_ACT,
            "y1": lay.fmt(heads.op.y),
            "sbase": v.base + head_set * heads.value_tiles * heads.value_rows,
            "sstride": heads.value_rows,
            "split": heads.split,
            "n_tiles": heads.value_tiles,
            "xbase": e.base * self.engine.pipes,
            "xstride": heads.exp_stride << heads.split,
            "steps": (heads.groups - 1) * (heads.group_words >> heads.split) + heads.value_words,
            "words": heads.value_words,
            "dst_base": a.base + head_set * rows,
            "rows_dst": a.kept,
            "aged": int(heads.aged),
            "bar_late": int(heads.aged),  # only the newest key's value may still be on its way
            "add_base": (14 + heads.op.v.frac - heads.op.y.frac) % 64,
        }
        index = emit.mac(f"{node.name}.values", fields, e, v)
        pipes = self.engine.pipes
        channels = a.positions[head_set * rows * pipes :][: rows * pipes]
        stride = emit.rows.act_words if a.kept else 0
        emit.taps[index] = Tap(node.name, a.base + head_set * rows, channels, stride)
        if head_set == heads.sets - 1:
            emit.own(a)
            emit.open.append(Open(a.tag))  # it is written by the special-function units too
        emit.drop(e)
