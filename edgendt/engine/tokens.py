"""Networks of tokens as instructions: lookups, cross-attention, turns by time, GEGLU, phase by phase."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgendt.engine import layout as lay
from edgendt.engine.attend import Attend
from edgendt.engine.config import Engine
from edgendt.engine.copies import OUT
from edgendt.engine.emit import DST, Choice, Lowering
from edgendt.engine.heads import Heads, Positions, layouts
from edgendt.engine.layout import Instr
from edgendt.engine.phases import Phases
from edgendt.engine.rows import axes, constant, lookup_of, phases_of_rows, times_of
from edgendt.engine.schedule import Emitter, Open, Rows, Tap, Tensor, need_of
from edgendt.engine.tiling import Tiling
from edgendt.engine.turn import pairwise
from edgendt.errors import UnsupportedOp
from edgendt.fixed import Int
from edgendt.ops import GEGLU, CrossAttention, LayerNorm, Linear, Lookup, Rotary
from edgendt.program import Axis, Node, Program

GELUS = 4  # tables of a unit


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

    def __init__(self, lowering: TokenLowering, reach: Reach) -> None:
        super().__init__(lowering.emit, reach.heads, 0)
        self.lowering, self.reach = lowering, reach

    def cached(self, k: Node, v: Node) -> None:
        """Keys and values of a row."""
        low, emit, heads = self.lowering, self.emit, self.heads
        if low.rows is not None and low.rows.tag is not None:  # rows of the KV memory that units still write
            emit.sync(low.rows.tag)
        k_words, v_words = self.reach.cache
        k_base, v_base = low.cache(k_words), low.cache(v_words)
        natural, lanes = np.arange(heads.op.size), self._lanes()
        k_raw, v_raw = low.raw(k, natural), low.raw(v, lanes)
        tag = emit.unit_tag() if k_raw else emit.tag()
        fields = {"dst": lay.DST_KCOL, "dst_tag": tag, "tag_clear": 1, "tag_fin": 1, "kv_base": k_base}
        low.written(k, natural, fields, k_raw)
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
            low.written(v, lanes, fields | {"words": period // self.engine.sfus, "n_red": len(lanes)}, v_raw)
            self.v = low.rows = emit.own(Tensor(lanes, v_base, 0, v.op.y, tag, "kv"))
        for raw in filter(None, (k_raw, v_raw)):
            emit.drop(raw)

    def _lanes(self) -> Positions:
        """The channel of every place of V, in words; -1 for none."""
        return self.heads.value_lanes().ravel()[: self.heads.v_words * self.engine.pipes]

    def attend(self, node: Node, q: Node, place: str, kept: int) -> Tensor:
        """Queries of a row; head by head scores, exponentials, weighted values. `place`: where the result goes."""
        emit, heads, natural = self.emit, self.heads, np.arange(self.heads.op.size)
        raw = self.lowering.raw(q, natural)
        words = -(-heads.op.size // self.engine.pipes)
        base, tag = emit.place(words, raw.stats_by if raw else len(emit.instrs)), emit.unit_tag() if raw else emit.tag()
        fields = {"dst": lay.DST_ACT, "dst_base": base, "dst_tag": tag, "tag_clear": 1, "tag_fin": 1}
        self.lowering.written(q, natural, fields, raw)
        self.q = emit.own(Tensor(natural, base, words, q.op.y, tag))
        if raw is not None:
            emit.drop(raw)
        result = Tensor(natural, -1, words, heads.op.y, where=place, rate=self.engine.sfus, kept=kept)
        for head in range(heads.op.heads):
            e = self._exponentials(node, self._scores(node, self.q, self.k, head))
            self._weighted(node, e, self.v, result, head)
        emit.drop(self.q)
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


class TokenLowering(Lowering):
    """One compilation of a network of tokens; `most`: the most tokens of a window."""

    def __init__(self, program: Program, engine: Engine, rows: Rows, most: int) -> None:
        self.most = most
        self.free_cache: list[tuple[int, int, int]] = []  # base, words, the last phase that reads them
        self.crosses: dict[str, Cross] = {}
        self.rows: Tensor | None = None  # the last values that were turned
        super().__init__(program, engine, Choice(), rows, {})
        self.tokens, self.queries = axes(program)
        self.reaches = {
            node.name: Reach.of(engine, node.op, program.axis(node.inputs[1]), most)
            for node in program.nodes
            if isinstance(node.op, CrossAttention)
        }
        self.emit.words.times = self._times()

    def _plan(self) -> Phases | None:
        return phases_of_rows(self.program, self.nodes, self.deferred)

    def _times(self) -> NDArray[np.int64] | None:
        """Times of the constant rows, which a unit of angles reads by their number."""
        found: dict[bytes, NDArray[np.int64]] = {}
        for axis in {item.axis for item in self.program.inputs if item.codes is not None}:
            name = times_of(self.program, axis)
            item = None if name is None else constant(self.program, name)
            if item is not None and item.codes is not None:
                found[item.codes.tobytes()] = item.codes[:, 0]
        if len(found) > 1:
            raise UnsupportedOp(
                "input", self.program.inputs[0].name, "constant rows of an engine have one list of times"
            )
        return next(iter(found.values()), None)

    def _run(self, phases: Phases) -> Emitter:
        for phase in range(phases.count):
            self.emit.instrs.append(self.shape(phases, phase))
            for node in self.nodes:
                if isinstance(node.op, CrossAttention) and phases.of[node.inputs[1]] == phase:
                    self.crosses[node.name] = Cross(self, self.reaches[node.name])
                    self.crosses[node.name].cached(*map(self.by_name.__getitem__, node.inputs[1:]))
                    self.fed(node, 1, 2)
                if phases.of[node.name] == phase and not self.deferred(node):
                    self.lower(node)
            self.emit.end_phase(self.end(phases, phase))
        return self.emit

    def end(self, phases: Phases, phase: int) -> Instr:
        """END of a phase: rows that the host sends wait for a start each."""
        over, following = phases.over[phase], phases.over[min(phase + 1, phases.count - 1)]
        hosted = over in (str(self.tokens), str(self.queries))
        pauses = {
            "pause_each": int(hosted),
            "pause_last": int(self.tokens is not None and following == str(self.queries)),
        }
        return Instr("end", {"op": lay.OP_END, "loop": 1} | pauses)

    def shape(self, phases: Phases, phase: int) -> Instr:
        """What a phase runs over, the geometry of keys that it writes, the number of those that it reads."""
        over = phases.over[phase]
        written, read = [], []
        for node in self.nodes:
            if isinstance(node.op, CrossAttention):
                reach = self.reaches[node.name]
                written += [reach.written()] if phases.of[node.inputs[1]] == phase else []
                read += [reach] if phases.of[node.name] == phase else []
                different = any(one != written[0] for one in written) or len({one.axis for one in read}) > 1
                if different:
                    reason = (
                        f"it and another over {over} differ in their keys: an engine knows one number of keys at a time"
                    )
                    raise UnsupportedOp(node.op.kind, node.name, reason)
        lengths = [node_axis.length for node_axis in self._axes() if str(node_axis) == over]
        fields = {"n_red": 1, "sbase": 1, "xbase": 1, "add_base": 1, "kv_base": 1} | (written[0] if written else {})
        if read:
            counts = {"add_base": read[0].keys, "kv_base": read[0].heads.key_tiles}
            fields |= {"red_keys": 1} if read[0].axis == self.tokens else counts
        return Instr(
            "shape",
            fields
            | {
                "op": lay.OP_SHAPE,
                "kv": 1,
                "n_tiles": lengths[0] or 1,
                "steps": self.engine.words,
                "words": self.engine.words,
                "sstride": self.engine.segments,
                "bias_base": (self.engine.segments.bit_length() - 1) << 4 | 1,
                "dst_base": 1 << 4 | 1,
                "xsigned": int(lengths[0] > 0),
                "tiles_keys": int(over == str(self.tokens)),
                "grouped": int(over == str(self.queries)),
            },
        )

    def _axes(self) -> set[Axis]:
        return {item.axis for item in self.program.inputs}

    def deferred(self, node: Node) -> bool:
        """What its reader emits: queries, keys, values and the halves of a GEGLU; as ever the Linear of an Add."""
        readers = self.readers(node.name)
        if isinstance(node.op, Linear | Rotary) and len(readers) == 1 and node.name != self.nodes[-1].name:
            reader = readers[0][0]
            if isinstance(reader.op, CrossAttention | GEGLU):
                return True
        return super().deferred(node)

    def lower(self, node: Node) -> None:
        if isinstance(node.op, Lookup):
            self.lookup(node, node.op)
        elif isinstance(node.op, CrossAttention):
            self.cross(node)
        elif isinstance(node.op, GEGLU):
            self.geglu(node, node.op)
        elif isinstance(node.op, Rotary):
            self.back(node)
        else:
            self.linear(node)
        for reader, _ in self.readers(node.name):
            if isinstance(reader.op, LayerNorm):
                self.norm(reader, reader.op)

    def cache(self, words: int) -> int:
        """Base of so many KV bytes per lane that no phase still reads."""
        for index, (base, there, read) in enumerate(self.free_cache):
            if there >= words and read < self.emit.phase:
                self.free_cache[index] = (base + words, there - words, read)
                return base
        return self.emit.grow("kv", words)

    def fed(self, node: Node, *slots: int) -> None:
        """The Linears behind these inputs have been emitted."""
        for slot in slots:
            part = self.by_name[node.inputs[slot]]
            self.used((self.by_name[part.inputs[0]] if isinstance(part.op, Rotary) else part).inputs[0])

    def raw(self, node: Node, order: Positions) -> Tensor | None:
        """Codes in this order, as residual words, that `node` will turn; None when it turns nothing."""
        if not isinstance(node.op, Rotary):
            return None
        emit, feed = self.emit, self.by_name[node.inputs[0]]
        words = -(-len(order) // self.engine.pipes)
        base, tag = emit.place_res(words), emit.tag()
        fields = {"dst": lay.DST_RES, "dst_base": base, "dst_tag": tag, "tag_clear": 1, "tag_fin": 1}
        source = emit.tensors[feed.inputs[0], "act"]
        index = emit.linear(feed, source, order, fields, apart=emit.unread(base, words))
        emit.taps[index] = Tap(feed.name, base, order)
        return emit.own(Tensor(order, base, words, feed.op.y, tag, "res", index))

    def written(self, node: Node, order: Positions, fields: dict[str, int], raw: Tensor | None) -> int:
        """The pass of a Linear, or the turn of what one has written. Returns its index."""
        if raw is None:
            index = self.emit.linear(node, self.emit.tensors[node.inputs[0], "act"], order, fields)
        else:
            index = self.turn_rows(node, raw, fields)
        stride = self.emit.rows.act_words if fields.get("rows_dst") else 0
        self.emit.taps[index] = Tap(node.name, fields.get("dst_base", 0), order, stride)
        return index

    def turn_rows(self, node: Node, source: Tensor, fields: dict[str, int]) -> int:
        """A Rotary whose channels lie in order, head behind head: the angles are those of one head."""
        op, sfus = node.op, self.engine.sfus
        assert isinstance(op, Rotary)
        if len(node.inputs) < 2:
            raise UnsupportedOp(op.kind, node.name, "rows of a window of tokens turn by times that are given")
        if op.head_size % sfus:
            raise UnsupportedOp(op.kind, node.name, f"heads must be whole beats of {sfus} channels, got {op.head_size}")
        fields = {
            "n_red": op.size,
            "xstride": op.shift,
            "xbase": 1,
            "bias_base": self.angles(node, op),
            "words": op.head_size // sfus,
            "xsigned": int(op.inverse),
        } | fields
        return pairwise(self.emit, node, source, fields)

    def angles(self, node: Node, op: Rotary) -> int:
        """Base of a head's angles."""
        emit, sfus = self.emit, self.engine.sfus
        rows = np.repeat(op.steps, 2) | np.arange(op.head_size) % 2 << lay.STEP_BITS
        if rows.tobytes() not in emit.angles:
            emit.words.steps.append(rows)
            base = emit.angles[rows.tobytes()] = emit.grow("angle", len(rows) // sfus)
            if base * sfus + len(rows) > lay.ANGLES:
                raise UnsupportedOp(op.kind, node.name, f"rotaries of different steps have over {lay.ANGLES} channels")
        return emit.angles[rows.tobytes()]

    def back(self, node: Node) -> None:
        """A Rotary of an attention's result, or of any other residual words."""
        emit, source = self.emit, self.emit.tensors[node.inputs[0], "res"]
        words, kept = -(-node.op.size // self.engine.pipes), self.kept(node.name)
        base, tag = emit.place(words, source.stats_by, kept), emit.unit_tag()
        fields = {"dst": lay.DST_ACT, "dst_base": base, "dst_tag": tag, "rows_dst": kept}
        order = np.arange(node.op.size)
        self.written(node, order, fields, source)
        made = Tensor(order, base, words, node.op.y, tag, rate=self.engine.sfus, kept=kept)
        emit.tensors[node.name, "act"] = emit.own(made)
        self.used(node.inputs[0])

    def cross(self, node: Node) -> None:
        cross, place = self.crosses[node.name], "act"
        if any(isinstance(reader.op, Rotary) for reader, _ in self.readers(node.name)):
            place = "res"
        result = cross.attend(node, self.by_name[node.inputs[0]], place, self.kept(node.name))
        self.emit.tensors[node.name, place] = result
        self.fed(node, 0)
        k_words, v_words = cross.reach.cache
        self.free_cache += [(cross.k.base, k_words, self.emit.phase), (cross.v.base, v_words, self.emit.phase)]

    def lookup(self, node: Node, op: Lookup) -> None:
        """A pass over nothing: a row of a table as the position, that of the other table as the bias."""
        emit, pipes = self.emit, self.engine.pipes
        words, item = -(-op.size // pipes), constant(self.program, node.inputs[0])
        table, kinds = (self._words(node.constants[name]) for name in ("table", "kinds"))
        if item is not None and item.codes is not None:  # the rows of a constant are the same in every window
            rows = self._words(op.run(item.codes, **node.constants))
            old = emit.words.pos
            emit.words.pos = rows if old is None else np.concatenate([old, rows], axis=1)
            add_base, kinds = emit.grow("pos", words), 0 * kinds[:1]
        else:
            lookup_of(self.program, self.program.axis(node.name))  # which refuses two
            emit.words.tables.append(table.reshape(-1, pipes))
            add_base = emit.rows.tables + emit.grow("table", len(table) * words)
        rows_of_kinds = kinds.reshape(-1, pipes)
        shift = np.full_like(rows_of_kinds, lay.SHIFT_BIAS)
        emit.words.bias.append(np.stack([shift, rows_of_kinds], axis=2))
        bias_base = emit.grow("bias", len(rows_of_kinds))
        tiling = Tiling(self.engine, bool(self.engine.packed))
        emit.words.weights.append((tiling.paired, tiling.codes(np.zeros((1, 1), np.int64))))
        fields = {
            "add_pos": 1,
            "add_base": add_base,
            "rows_add": int(item is None),
            "bias_base": bias_base,
            "sbase": emit.grow("weights", 1),
            "sstride": 1,
            "n_red": 1,
            "n_tiles": 1,
            "xstride": 1,
            "paired": int(tiling.paired),
            "steps": words,
            "words": words,
            "y1": lay.fmt(op.y),
            "y2": lay.fmt(op.y),
            "last_mask": (op.size - 1) % pipes + 1,
        }
        places = need_of(self.readers(node.name)) | ({OUT} if node is self.nodes[-1] else set())
        for place in sorted(places) or ["act"]:
            kept, tag, base = self.kept(node.name, place), emit.tag(), 0
            if place != OUT:
                base = emit.place_res(words, kept) if place == "res" else emit.place(words, len(emit.instrs), kept)
            normed = any(isinstance(reader.op, LayerNorm) for reader, _ in self.readers(node.name))
            written = {"dst": DST[place], "dst_base": base, "dst_tag": tag, "tag_clear": 1, "tag_fin": 1}
            written |= {"rows_dst": kept, "stats": int(place == "res" and normed)}
            index = emit.mac(node.name, fields | written, None)
            emit.taps[index] = Tap(node.name, base, np.arange(op.size), emit.rows.stride(place) if kept else 0)
            made = Tensor(np.arange(op.size), base, words, op.y, tag, place, index, kept=kept)
            emit.tensors[node.name, place] = emit.own(made)

    def _words(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """[rows, size] -> [rows, words, pipes], zero beyond the size."""
        pipes = self.engine.pipes
        words = -(-codes.shape[1] // pipes)
        padded = np.zeros((len(codes), words * pipes), np.int64)
        padded[:, : codes.shape[1]] = codes
        return padded.reshape(len(codes), words, pipes)

    def geglu(self, node: Node, op: GEGLU) -> None:
        """Both halves by one Linear, neighbours in a residual word; then a unit gates the one by the other's GELU."""
        emit, pipes = self.emit, self.engine.pipes
        first, second = (self.by_name[name] for name in node.inputs)
        both = _side_by_side(node, first, second)
        order, words = np.arange(2 * op.size), -(-2 * op.size // pipes)
        base, tag = emit.place_res(words), emit.tag()
        fields = {"dst": lay.DST_RES, "dst_base": base, "dst_tag": tag, "tag_clear": 1, "tag_fin": 1}
        source = emit.tensors[first.inputs[0], "act"]
        apart = emit.unread(base, words)
        index = emit.linear(both, source, order, fields, owner=first.name, apart=apart)
        halves = [np.where(order % 2 == half, order // 2, -1) for half in (0, 1)]
        emit.taps[index] = Tap(first.name, base, halves[0], also=Tap(second.name, base, halves[1]))
        pairs = emit.own(Tensor(order, base, words, first.op.y, tag, "res", index))
        kept, words = self.kept(node.name), -(-op.size // pipes)
        base, tag = emit.place(words, index, kept), emit.unit_tag()
        fields = {"dst": lay.DST_ACT, "dst_base": base, "dst_tag": tag, "rows_dst": kept, "grouped": 1, "xbase": 1}
        fields |= {"n_red": op.size, "xstride": op.shift, "split": self._gelu(node, op)}
        emit.taps[pairwise(emit, node, pairs, fields)] = Tap(
            node.name, base, np.arange(op.size), emit.rows.act_words if kept else 0
        )
        made = Tensor(np.arange(op.size), base, words, op.y, tag, rate=self.engine.sfus, kept=kept)
        emit.tensors[node.name, "act"] = emit.own(made)
        emit.drop(pairs)
        for half in (first, second):
            self.used(half.inputs[0])

    def _gelu(self, node: Node, op: GEGLU) -> int:
        """The number of a gate's table in the units."""
        table = np.roll(op.table, op.gate.lo)  # by the gate's byte
        known = self.emit.words.gelus
        for index, other in enumerate(known):
            if np.array_equal(table, other):
                return index
        if len(known) == GELUS:
            raise UnsupportedOp(op.kind, node.name, f"gates of an engine have {GELUS} formats at most")
        known.append(table)
        return len(known) - 1


def _side_by_side(node: Node, first: Node, second: Node) -> Node:
    """Two Linears of one source as one, outputs in turn."""
    a, b = first.op, second.op
    assert isinstance(a, Linear) and isinstance(b, Linear)
    if first.inputs != second.inputs or (a.y.bits, a.y.signed) != (b.y.bits, b.y.signed):
        raise UnsupportedOp(node.op.kind, node.name, "both of its halves must come from one source, in as many bits")
    constants = {
        name: np.stack([first.constants[name], second.constants[name]], axis=1).reshape(2 * a.outputs, *shape)
        for name, shape in (("weight", (a.inputs,)), ("bias", ()))
    }
    shifts = np.stack([a.shifts, b.shifts], axis=1).ravel() - a.x.frac + a.y.frac
    w = Int(max(a.w.bits, b.w.bits), a.w.frac)
    op = Linear(a.inputs, 2 * a.outputs, a.x, w, a.y, tuple(shifts.tolist()))
    return Node(f"{first.name}~{second.name}", op, first.inputs, constants)
