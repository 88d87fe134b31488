"""What the STNDT adds, as instructions: a Transpose, weights between channels, their columns, the mix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgendt.engine import layout as lay
from edgendt.engine.attend import Attend
from edgendt.engine.config import Engine
from edgendt.engine.heads import Heads, possible_groups
from edgendt.engine.layout import Instr
from edgendt.engine.schedule import Emitter, Open, Tap, Tensor
from edgendt.errors import UnsupportedOp
from edgendt.ops import Attention, SpatialMix, SpatialWeights, Transpose
from edgendt.program import Node


def between_channels(engine: Engine, node: Node, op: SpatialWeights) -> Heads:
    """The geometry of its scores: channels are keys, all heads work at once."""
    scores = Attention(op.bins, op.heads, op.size, op.q, op.k, op.k, op.y, causal=False)
    if op.heads not in possible_groups(engine, scores):
        reason = (
            f"its {op.heads} heads work at once, a group of segments each: take more segments and pipes, or fewer heads"
        )
        raise UnsupportedOp(op.kind, node.name, reason)
    return Heads(engine, scores, op.heads)


def columns(engine: Engine, config: Mapping[str, int], channels: int) -> dict[str, int]:
    """The configuration while the weights' rows become columns of the lanes: one head of `channels` channels."""
    tiles = -(-channels // engine.lane_count)
    shape = {"window": channels, "key_tiles": tiles, "set_stride": tiles * channels, "head_dim": channels}
    shape |= {"groups": 1, "heads": 1, "head_sets": 1, "group_segs": engine.segments, "value_split": 0}
    shape |= {"gshift": engine.segments.bit_length() - 1, "group_words": engine.words, "value_rows": channels}
    return dict(config) | shape | {"key_words": min(engine.words, -(-channels // engine.pipes))}


def transpose(emit: Emitter, node: Node, op: Transpose, stats: bool) -> Tensor:
    """One channel's codes of all bins, gathered from the kept residual rows while the drain runs over zeros."""
    engine, source = emit.engine, emit.tensors[node.inputs[0], "res"]
    pipes = engine.pipes
    words = -(-op.bins // pipes)
    base, tag = emit.place_res(words), emit.tag()
    emit.words.bias.append(np.tile([lay.SHIFT_BIAS, 0], (1, pipes, 1)))
    fields = emit.nothing() | {
        "mode": lay.MODE_GATHER,
        "dst": lay.DST_RES,
        "add_res": 1,
        "stats": int(stats),
        "add_base": source.base,
        "rows_add": int(op.causal),  # the oldest row of a ring, whose first one is the other base
        "kv_base": source.base if op.causal else 0,
        "dst_base": base,
        "dst_tag": tag,
        "tag_clear": 1,
        "tag_fin": 1,
        "steps": op.bins,
        "words": op.bins,
        "bias_base": emit.grow("bias", 1),
        "y1": lay.fmt(op.y),
        "y2": lay.fmt(op.y),
        "last_mask": (op.bins - 1) % pipes + 1,
    }
    index = emit.mac(node.name, fields, None)
    emit.taps[index] = Tap(node.name, base, np.arange(op.bins))
    return emit.own(Tensor(np.arange(op.bins), base, words, op.y, tag, "res", index))


def operands(emit: Emitter, node: Node) -> Tensor:
    """A gathered time course where the array can read it: a pass over nothing adds its residual words."""
    gathered = emit.tensors[node.name, "res"]
    words, form = gathered.words, lay.fmt(gathered.form)
    base, tag = emit.place(words, len(emit.instrs)), emit.tag()
    emit.words.bias.append(np.tile([lay.SHIFT_BIAS, 0], (words, emit.engine.pipes, 1)))
    fields = emit.nothing() | {
        "dst": lay.DST_ACT,
        "add_res": 1,
        "add_base": gathered.base,
        "dst_base": base,
        "dst_tag": tag,
        "tag_clear": 1,
        "tag_fin": 1,
        "steps": words,
        "words": words,
        "bias_base": emit.grow("bias", words),
        "y1": form,
        "y2": form,
    }
    index = emit.mac(node.name, fields, None, gathered)
    emit.taps[index] = Tap(node.name, base, gathered.positions)
    return emit.own(Tensor(gathered.positions, base, words, gathered.form, tag))


class Weigh(Attend):
    """Emits one SpatialWeights: queries and keys in one phase, its weights in a later one."""

    def feed(self, parts: Sequence[Node], feeds: Sequence[Node]) -> None:
        """K and Q of a channel."""
        order = self.heads.interleaved()
        base, _ = self.emit.place_kv(self.heads.kv_words[0], 0)
        self.k = self._key(parts[1], feeds[1], order, base)
        self.q = self._query(parts[0], feeds[0], order)

    def weigh(self, node: Node, op: SpatialWeights, kept: int) -> Tensor:
        """Scores, exponentials, and the mean of their shares."""
        emit, pipes = self.emit, self.engine.pipes
        e = self._exponentials(node, self._scores(node, self.q, self.k, 0))
        words = -(-op.size // pipes)
        base, tag = emit.place(words, len(emit.instrs), kept), emit.unit_tag()
        fields = {
            "op": lay.OP_SHARE,
            "src_use": 1,
            "dst_tag": tag,
            "tag_clear": 1,
            "tag_fin": 1,
            "y1": lay.fmt(op.y),
            "n_red": op.size,
            "words": op.longest,
            "xstride": op.mean_shift,
            "add_base": e.base,
            "dst_base": base,
            "rows_dst": kept,
        }
        assert e.tag is not None
        emit.instrs.append(Instr(f"{node.name}.share", fields | {"src_tag": e.tag}))
        emit.taps[len(emit.instrs) - 1] = Tap(node.name, base, np.arange(op.size), emit.rows.act_words if kept else 0)
        emit.open.append(Open(tag, e))
        a = emit.own(Tensor(np.arange(op.size), base, words, op.y, tag, kept=kept))
        emit.sync(tag)  # the units read the activation memory in the array's place
        for tensor in (self.q, self.k, e):
            emit.drop(tensor)
        emit.free_kv.append((self.k.base, 0, self.heads.kv_words[0], 0, emit.phase))
        return a


def column(emit: Emitter, node: Node, engine: Engine) -> Tensor:
    """A row of weights, copied into the lanes' columns."""
    size = node.op.size
    need = -(-size // engine.lane_count) * size
    base, tag = emit.place_kv(need, 0)[0], emit.tag()
    fields = {"dst": lay.DST_KCOL, "dst_tag": tag, "tag_clear": 1, "tag_fin": 1, "kv_base": base}
    emit.linear(node, emit.tensors[node.inputs[0], "act"], np.arange(size), fields)
    return emit.own(Tensor(np.arange(size), base, need, node.op.y, tag, "kv"))


def mix(emit: Emitter, node: Node, fields: dict[str, int], barrier: Tensor | None, owner: str) -> int:
    """A pass whose stationary operand are rows of weights: lane n holds those of channel n. Returns its index."""
    op, engine = node.op, emit.engine
    assert isinstance(op, SpatialMix)
    a, z = emit.tensors[node.inputs[0], "kv"], emit.tensors[node.inputs[1], "act"]
    pipes = engine.pipes
    words, tiles = -(-op.size // pipes), -(-op.size // engine.lane_count)
    shift = int(np.clip(op.shift, *lay.SHIFTS)) + lay.SHIFT_BIAS
    emit.words.bias.append(np.tile([shift, 0], (words, pipes, 1)))
    steps = words - (tiles - 1) * engine.words
    fields = {
        "kv": 1,
        "kv_unsigned": int(not op.a.signed),
        "xsigned": int(z.form.signed),
        "sbase": a.base,
        "sstride": op.size,
        "n_red": op.size,
        "n_tiles": tiles,
        "xbase": z.base * pipes,
        "rows_x": z.kept,
        "xstride": 1,
        "steps": steps,
        "words": steps,
        "bias_base": emit.grow("bias", words),
        "y1": lay.fmt(op.y),
        "y2": lay.fmt(op.y),
    } | fields
    return emit.mac(owner, fields, z, barrier)
