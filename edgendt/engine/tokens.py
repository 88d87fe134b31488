"""Networks of tokens as instructions: lookups, cross-attention, turns by time, GEGLU, phase by phase."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgendt.engine import layout as lay
from edgendt.engine.config import Engine
from edgendt.engine.cross import Cross, Reach
from edgendt.engine.emit import Choice, Lowering
from edgendt.engine.gate import geglu, table
from edgendt.engine.layout import Instr
from edgendt.engine.lookup import lookup
from edgendt.engine.phases import Phases
from edgendt.engine.rows import MOVED, axes, constant, phases_of_rows, times_of
from edgendt.engine.schedule import Emitter, Rows, Tensor
from edgendt.engine.turns import Turns
from edgendt.errors import UnsupportedOp
from edgendt.ops import GEGLU, CrossAttention, LayerNorm, Linear, Lookup, Rotary, Table
from edgendt.program import Node, Program


class TokenLowering(Lowering):
    """One compilation of a network of tokens; `most`: the most tokens of a window."""

    def __init__(self, program: Program, engine: Engine, rows: Rows, most: int) -> None:
        self.crosses: dict[str, Cross] = {}
        super().__init__(program, engine, Choice(), rows, {})
        self.turns = Turns(self.emit, self.by_name)
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
                    self.crosses[node.name] = Cross(self.turns, self.reaches[node.name])
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
        length = next(item.axis.length for item in self.program.inputs if str(item.axis) == over)
        fields = {"n_red": 1, "sbase": 1, "xbase": 1, "add_base": 1, "kv_base": 1}
        asked: dict[str, int] = {}
        for node in self.nodes:
            if isinstance(node.op, CrossAttention):
                for name, value in self._keys(node, phases, phase).items():
                    if asked.setdefault(name, value) != value:
                        reason = f"it and another over {over} differ in their keys: an engine knows one number of them"
                        raise UnsupportedOp(node.op.kind, node.name, reason)
        fields |= asked | {
            "op": lay.OP_SHAPE,
            "kv": 1,
            "n_tiles": length or 1,
            "steps": self.engine.words,
            "words": self.engine.words,
            "sstride": self.engine.segments,
            "bias_base": (self.engine.segments.bit_length() - 1) << 4 | 1,
            "dst_base": 1 << 4 | 1,
            "xsigned": int(length > 0),
            "tiles_keys": int(over == str(self.tokens)),
            "grouped": int(over == str(self.queries)),
        }
        return Instr("shape", fields)

    def _keys(self, node: Node, phases: Phases, phase: int) -> dict[str, int]:
        """SHAPE's fields for the keys of an attention that a phase writes, or reads."""
        reach = self.reaches[node.name]
        fields: dict[str, int] = {}
        if phases.of[node.inputs[1]] == phase:
            fields |= reach.written()
        if phases.of[node.name] == phase:
            every = reach.axis == self.tokens
            fields |= {"red_keys": int(every)}
            fields |= {} if every else {"add_base": reach.keys, "kv_base": reach.heads.key_tiles}
        return fields

    def deferred(self, node: Node) -> bool:
        """What its reader emits: queries, keys, values and the halves of a GEGLU; as ever the Linear of an Add."""
        readers = self.readers(node.name)
        if isinstance(node.op, MOVED) and len(readers) == 1 and node.name != self.nodes[-1].name:
            reader = readers[0][0]
            if isinstance(reader.op, CrossAttention | GEGLU):
                return True
            if isinstance(node.op, Lookup):
                return isinstance(reader.op, Rotary) and self.deferred(reader)
        return super().deferred(node)

    def lower(self, node: Node) -> None:
        if isinstance(node.op, Lookup):
            lookup(self, node, node.op)
        elif isinstance(node.op, CrossAttention):
            self.cross(node)
        elif isinstance(node.op, GEGLU):
            geglu(self, node, node.op)
        elif isinstance(node.op, Table):
            table(self, node, node.op)
        elif isinstance(node.op, Rotary):
            self.back(node)
        else:
            self.linear(node)
        for reader, _ in self.readers(node.name):
            if isinstance(reader.op, LayerNorm):
                self.norm(reader, reader.op)

    def fed(self, node: Node, *slots: int) -> None:
        """The Linears, or Lookups, behind these inputs have been emitted."""
        for slot in slots:
            part = self.by_name[node.inputs[slot]]
            feed = self.by_name[part.inputs[0]] if isinstance(part.op, Rotary) else part
            if isinstance(feed.op, Linear):
                self.used(feed.inputs[0])

    def back(self, node: Node) -> None:
        """A Rotary of an attention's result, or of any other residual words."""
        emit, source = self.emit, self.emit.tensors[node.inputs[0], "res"]
        words, kept = -(-node.op.size // self.engine.pipes), self.kept(node.name)
        base, tag = emit.place(words, source.stats_by, kept), emit.unit_tag()
        fields = {"dst": lay.DST_ACT, "dst_base": base, "dst_tag": tag, "rows_dst": kept}
        order = np.arange(node.op.size)
        self.turns.written(node, order, fields, source)
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
