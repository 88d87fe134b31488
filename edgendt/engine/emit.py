"""Each op of a Program as instructions: what `Emitter` appends for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from edgendt.engine import layout as lay
from edgendt.engine.attend import Attend
from edgendt.engine.config import Engine
from edgendt.engine.copies import OUT, copy_of, counts_of, with_copies
from edgendt.engine.gate import table
from edgendt.engine.heads import Heads
from edgendt.engine.layout import Instr
from edgendt.engine.phases import BINS, COLUMNS, Phases, end_of, part_of, phases_of, shape_of
from edgendt.engine.schedule import Emitter, Open, Rows, Tap, Tensor, need_of, norm_words
from edgendt.engine.spatial import Weigh, between_channels, column, mix, operands, transpose
from edgendt.engine.turn import turn
from edgendt.ops import (
    Add,
    Attention,
    LayerNorm,
    Linear,
    Position,
    Rotary,
    SpatialMix,
    SpatialWeights,
    Table,
    Transpose,
)
from edgendt.program import INPUT, Node, Program

DST = {"act": lay.DST_ACT, "res": lay.DST_RES, OUT: lay.DST_OUT}


@dataclass(frozen=True)
class Choice:
    """What the compiler may choose: head groups, words of V before the scores, groups that share the keys of values."""

    groups: int = 1
    v_first: int = 0
    split: int = 0  # log2


def position_rows(program: Program) -> int:
    """Rows of the position memory: those of the shortest table of bins, or as many as channels have one."""
    tables = [node for node in program.nodes if isinstance(node.op, Position)]
    return max([program.max_bins or 0, *(program.axis(node.name).length for node in tables)])


class Lowering:
    """One compilation of a Program under one Choice."""

    def __init__(
        self, program: Program, engine: Engine, choice: Choice, rows: Rows, shapes: Mapping[str, Mapping[str, int]]
    ) -> None:
        self.program, self.engine, self.choice, self.shapes = program, engine, choice, shapes
        self.emit = Emitter(program, engine, rows)
        self.nodes = with_copies(program, engine)
        self._name()
        self.phases = self._plan()
        if self.phases:
            self._keep_counts(self.phases.late)
        self.left = {name: len(self.readers(name)) for name in [INPUT, *self.by_name]}
        self.attends: dict[str, Attend] = {}  # what has keys and values already

    def _plan(self) -> Phases | None:
        stream = not self.program.bins
        if stream and not any(isinstance(node.op, Transpose) for node in self.nodes):
            return None
        return phases_of(self.nodes, self.deferred, stream)

    def _name(self) -> None:
        self.by_name = {node.name: node for node in self.nodes}
        self._readers: dict[str, list[tuple[Node, int]]] = {}
        for node in self.nodes:
            for slot, source in enumerate(node.inputs):
                self._readers.setdefault(source, []).append((node, slot))

    def _keep_counts(self, late: frozenset[str]) -> None:
        """The counts of a bin are overwritten by the next one's: what reads them in a later phase reads a copy."""
        if late:
            kept = copy_of(INPUT, *counts_of(self.program), f"{INPUT}~kept")
            moved = [replace(node, inputs=(kept.name,)) if node.name in late else node for node in self.nodes]
            self.nodes = [kept, *moved]
            self._name()
            self.phases = phases_of(self.nodes, self.deferred)

    def readers(self, name: str) -> list[tuple[Node, int]]:
        return self._readers.get(name, [])

    def run(self) -> Emitter:
        """Emit every node, then the end."""
        if self.phases:
            return self._run(self.phases)
        for node in self.nodes:
            if not self.deferred(node):
                self.lower(node)
        self.emit.instrs.append(self._end())
        return self.emit

    def _end(self) -> Instr:
        """END of a bin of a stream."""
        tag = self.emit.tensors[self.nodes[-1].name, OUT].tag
        return Instr("end", {"op": lay.OP_END} | ({} if tag is None else {"bar_use": 1, "bar_tag": tag}))

    def _run(self, phases: Phases) -> Emitter:
        """Emit the phases of a whole window, or of a bin with loops over channels, each with its end."""
        stream = not self.program.bins
        for phase in range(phases.count):
            if self.shapes and not (stream and phase == 0):
                over = phases.over[phase]
                self.emit.instrs.append(shape_of(self.shapes[over], stream and over == BINS))
            for node in self.nodes:
                if self.deferred(node):
                    continue
                if phases.of[node.name] == phase:
                    self.lower(node)
                elif isinstance(node.op, Attention | SpatialWeights) and phases.of[node.inputs[0]] == phase:
                    self.feed(node, node.op)
                    self.fed(node)
            if not stream:
                end = end_of(phase, phases.count)
            else:
                end = part_of(*phases.over[phase : phase + 2]) if phase + 1 < phases.count else self._end()
            self.emit.end_phase(end)
        return self.emit

    def kept(self, name: str, place: str = "act") -> int:
        """1 where the codes of `name` in a memory are kept for every bin of a window."""
        return int(self.phases is not None and (name, place) in self.phases.kept)

    def deferred(self, node: Node) -> bool:
        """True for what its reader emits, Linear or Rotary, and for a LayerNorm, emitted right behind its source."""
        readers = self.readers(node.name)
        if isinstance(node.op, LayerNorm):
            return True
        feeds = isinstance(node.op, Linear | Rotary | SpatialMix)
        if not feeds or len(readers) != 1 or node.name == self.nodes[-1].name:
            return False
        reader, slot = readers[0]
        if isinstance(reader.op, Rotary):
            return self.deferred(reader)
        return isinstance(reader.op, Attention | Position | SpatialWeights | Table) or (
            isinstance(reader.op, Add) and slot == 1
        )

    def lower(self, node: Node) -> None:
        if isinstance(node.op, Attention):
            self.attention(node, node.op)
        elif isinstance(node.op, Rotary):
            self.turn(node, node.op)
        elif isinstance(node.op, Table):
            table(self, node, node.op)
        elif isinstance(node.op, Transpose):
            stats = any(isinstance(reader.op, LayerNorm) for reader, _ in self.readers(node.name))
            self.emit.tensors[node.name, "res"] = transpose(self.emit, node, node.op, stats)
            self.used(node.inputs[0])
        elif isinstance(node.op, SpatialWeights):
            weigh = self.attends[node.name]
            assert isinstance(weigh, Weigh)
            self.emit.tensors[node.name, "act"] = weigh.weigh(node, node.op, self.kept(node.name))
        elif self.phases and self.phases.over[self.phases.of[node.name]] == COLUMNS:
            self.emit.tensors[node.name, "kv"] = column(self.emit, node, self.engine)
            self.used(node.inputs[0])
        else:
            self.linear(node)
        for reader, _ in self.readers(node.name):
            if isinstance(reader.op, LayerNorm):
                self.norm(reader, reader.op)
        if isinstance(node.op, Transpose) and "act" in need_of(self.readers(node.name)):
            # Behind its LayerNorm, which would begin while the copy still reads the same memory.
            self.emit.tensors[node.name, "act"] = operands(self.emit, node)

    def used(self, name: str) -> None:
        """One reader of `name` has been emitted."""
        self.left[name] -= 1
        if not self.left[name]:
            for (owner, _), tensor in self.emit.tensors.items():
                if owner == name:
                    self.emit.drop(tensor)

    def linear(self, node: Node) -> None:
        """A Linear, or an Add or Position with the Linear that feeds it, once per memory that needs its codes."""
        places = sorted(need_of(self.readers(node.name)) | ({OUT} if node is self.nodes[-1] else set()))
        feed = self.by_name[node.inputs[-1]] if isinstance(node.op, Add) else None
        if feed is not None and isinstance(feed.op, SpatialMix):  # codes of their own that everyone shows
            self.pass_of(feed, "res")
            self.emit.drop(self.emit.tensors[feed.name, "res"])
        for place in places or [OUT if node is self.nodes[-1] else "act"]:
            self.pass_of(node, place)
        for name in self._sources(node):
            self.used(name)
            if (name, "kv") in self.emit.tensors and not self.left[name]:
                columns = self.emit.tensors[name, "kv"]
                self.emit.free_kv.append((columns.base, 0, columns.words, 0, self.emit.phase))

    def _sources(self, node: Node) -> list[str]:
        if isinstance(node.op, Linear | SpatialMix):
            return list(node.inputs)
        feed = self.by_name[node.inputs[-1]]
        return [*feed.inputs, *node.inputs[:-1]]

    def pass_of(self, node: Node, place: str) -> None:
        """The pass that writes `node` to `place`."""
        emit, op = self.emit, node.op
        feed, size = node if isinstance(op, Linear | SpatialMix) else self.by_name[node.inputs[-1]], op.size
        words = -(-size // self.engine.pipes)
        fields: dict[str, int] = {
            "dst": DST[place],
            "y2": lay.fmt(op.y),
            "last_mask": (size - 1) % self.engine.pipes + 1,
        }
        barrier = None
        if isinstance(op, Add):
            barrier = emit.tensors[node.inputs[0], "res"]
            fields |= {"add_res": 1, "add_base": barrier.base, "rows_add": barrier.kept}
        if isinstance(op, Position):
            fields |= {"add_pos": 1, "add_base": self.positions(node, op)}
        if place == "res" and any(isinstance(reader.op, LayerNorm) for reader, _ in self.readers(node.name)):
            fields["stats"] = 1
        base, kept = 0, self.kept(node.name, place)
        if place == "act":
            base = emit.place(words, len(emit.instrs), kept)
        elif place == "res":
            base, kept = self._res(node, words, kept)
        tag = emit.tag()
        fields |= {"dst_base": base, "dst_tag": tag, "tag_clear": 1, "tag_fin": 1, "rows_dst": kept}
        if isinstance(feed.op, SpatialMix):
            index = mix(emit, feed, fields, barrier, node.name)
        else:
            source = emit.tensors[feed.inputs[0], "act"]
            index = emit.linear(feed, source, np.arange(size), fields, barrier, node.name)
        emit.taps[index] = Tap(node.name, base, np.arange(size), emit.rows.stride(place) if kept else 0)
        made = Tensor(np.arange(size), base, words, op.y, tag, place, index, kept=kept)
        if place == "res" and self.phases and node.name in self.phases.ring:
            made.where = "ring"  # later bins look back at it
        emit.tensors[node.name, place] = emit.own(made)

    def _res(self, node: Node, words: int, kept: int) -> tuple[int, int]:
        """Residual words, kept or not; an Add whose stream nobody reads afterwards writes in place."""
        if isinstance(node.op, Add):
            stream = self.emit.tensors[node.inputs[0], "res"]
            lies = stream.words == words and stream.where == "res" and stream.kept >= kept
            if self.left[node.inputs[0]] == 1 and lies:
                stream.where = "moved"
                return stream.base, stream.kept
        return self.emit.place_res(words, kept), kept

    def positions(self, node: Node, op: Position) -> int:
        """Base of the position row's words. Rows are of bins, or of channels: which one is read, the phase decides."""
        pipes = self.engine.pipes
        words, many = -(-op.size // pipes), position_rows(self.program)
        known = node.constants["table"][:many]
        table = np.zeros((many, words * pipes), np.int64)
        table[: len(known), : op.size] = known
        rows = table.reshape(many, words, pipes)
        old = self.emit.words.pos
        self.emit.words.pos = rows if old is None else np.concatenate([old, rows], axis=1)
        return self.emit.grow("pos", words)

    def norm(self, node: Node, op: LayerNorm) -> None:
        """A LayerNorm on the special-function units."""
        emit, source = self.emit, self.emit.tensors[node.inputs[0], "res"]
        words = -(-op.size // self.engine.pipes)
        rows = norm_words(node.constants["gamma"], node.constants["beta"], self.engine.sfus)
        emit.words.gamma.append(rows)
        kept = self.kept(node.name)
        base, tag = emit.place(words, source.stats_by, kept), emit.unit_tag()
        fields = {
            "op": lay.OP_NORM,
            "rows_add": source.kept,
            "rows_dst": kept,
            "dst_tag": tag,
            "tag_clear": 1,
            "tag_fin": 1,
            "y1": lay.fmt(op.y),
            "sbase": op.eps_code & 0xFFFFF,
            "kv_base": op.eps_code >> 20,
            "n_red": op.size,
            "xstride": op.shift,
            "add_base": source.base,
            "dst_base": base,
            "bias_base": emit.grow("gamma", len(rows)),
        }
        emit.instrs.append(Instr(node.name, fields))
        stride = emit.rows.act_words if kept else 0
        emit.taps[len(emit.instrs) - 1] = Tap(node.name, base, np.arange(op.size), stride)
        emit.open.append(Open(tag, source, norm=True))
        made = Tensor(np.arange(op.size), base, words, op.y, tag, rate=self.engine.sfus, kept=kept)
        emit.tensors[node.name, "act"] = emit.own(made)
        self.used(node.inputs[0])

    def turn(self, node: Node, op: Rotary) -> None:
        """A Rotary, its channels as they are: neighbours are partners."""
        emit, source = self.emit, self.emit.tensors[node.inputs[0], "res"]
        words, kept = -(-op.size // self.engine.pipes), self.kept(node.name)
        base, tag = emit.place(words, source.stats_by, kept), emit.unit_tag()
        index = turn(emit, node, source, 1, {"dst_base": base, "dst_tag": tag, "rows_dst": kept})
        emit.taps[index] = Tap(node.name, base, np.arange(op.size), emit.rows.act_words if kept else 0)
        made = Tensor(np.arange(op.size), base, words, op.y, tag, rate=self.engine.sfus, kept=kept)
        emit.tensors[node.name, "act"] = emit.own(made)
        self.used(node.inputs[0])

    def attention(self, node: Node, op: Attention) -> None:
        """An attention, whose formats are its own; with what feeds it, unless an earlier phase has."""
        if op.causal:
            self.feed(node, op)
        passes = self.attends[node.name]
        self.emit.tensors[node.name, "act"] = passes.mix(node, self.kept(node.name))
        if op.causal:
            self.fed(node)

    def feed(self, node: Node, op: Attention | SpatialWeights) -> None:
        """The Linears that feed an attention, and what turns their codes."""
        parts = [self.by_name[name] for name in node.inputs]
        if isinstance(op, SpatialWeights):
            passes: Attend = Weigh(self.emit, between_channels(self.engine, node, op), 0)
        else:
            heads = Heads(self.engine, op, self.choice.groups, self.choice.split)
            passes = Attend(self.emit, heads, self.choice.v_first)
        passes.feed(parts, [self.by_name[part.inputs[0]] if isinstance(part.op, Rotary) else part for part in parts])
        self.attends[node.name] = passes

    def fed(self, node: Node) -> None:
        """All Linears that feed an attention have been emitted."""
        for part in map(self.by_name.__getitem__, node.inputs):
            self.used((self.by_name[part.inputs[0]] if isinstance(part.op, Rotary) else part).inputs[0])
