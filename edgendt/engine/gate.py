"""GEGLU as instructions: both halves by one Linear, side by side; then one gated by the other's GELU."""

from __future__ import annotations

import numpy as np

from edgendt.engine import layout as lay
from edgendt.engine.emit import Lowering
from edgendt.engine.schedule import Emitter, Tap, Tensor
from edgendt.engine.turn import pairwise
from edgendt.errors import UnsupportedOp
from edgendt.fixed import Int
from edgendt.ops import GEGLU, Linear
from edgendt.program import Node

GELUS = 4  # tables of a unit


def geglu(low: Lowering, node: Node, op: GEGLU) -> None:
    """A GEGLU and the two Linears that feed it."""
    emit, first, second = low.emit, *(low.by_name[name] for name in node.inputs)
    pairs = _pairs(emit, node, first, second)
    kept, words = low.kept(node.name), -(-op.size // low.engine.pipes)
    base, tag = emit.place(words, pairs.stats_by, kept), emit.unit_tag()
    fields = {"dst": lay.DST_ACT, "dst_base": base, "dst_tag": tag, "rows_dst": kept, "grouped": 1, "xbase": 1}
    fields |= {"n_red": op.size, "xstride": op.shift, "split": _table(emit, node, op)}
    index = pairwise(emit, node, pairs, fields)
    emit.taps[index] = Tap(node.name, base, np.arange(op.size), emit.rows.act_words if kept else 0)
    made = Tensor(np.arange(op.size), base, words, op.y, tag, rate=low.engine.sfus, kept=kept)
    emit.tensors[node.name, "act"] = emit.own(made)
    emit.drop(pairs)
    for half in (first, second):
        low.used(half.inputs[0])


def _pairs(emit: Emitter, node: Node, first: Node, second: Node) -> Tensor:
    """Residual words of the outputs of both, in turn."""
    both = _side_by_side(node, first, second)
    order = np.arange(both.op.size)
    words = -(-len(order) // emit.engine.pipes)
    base, tag = emit.place_res(words), emit.tag()
    fields = {"dst": lay.DST_RES, "dst_base": base, "dst_tag": tag, "tag_clear": 1, "tag_fin": 1}
    source, apart = emit.tensors[first.inputs[0], "act"], emit.unread(base, words)
    index = emit.linear(both, source, order, fields, owner=first.name, apart=apart)
    halves = [np.where(order % 2 == half, order // 2, -1) for half in (0, 1)]
    emit.taps[index] = Tap(first.name, base, halves[0], also=Tap(second.name, base, halves[1]))
    return emit.own(Tensor(order, base, words, first.op.y, tag, "res", index))


def _table(emit: Emitter, node: Node, op: GEGLU) -> int:
    """The number of a gate's table in the units."""
    table, known = np.roll(op.table, op.gate.lo), emit.words.gelus  # by the gate's byte
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
