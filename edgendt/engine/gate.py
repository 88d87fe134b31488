"""Tables of functions as instructions: a Linear's outputs and their partners in turn, each partner by its entry.

Of a GEGLU the partner is the other half; of a Table it is 1.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from edgendt.engine import layout as lay
from edgendt.engine.schedule import Emitter, Tap, Tensor
from edgendt.engine.turn import pairwise
from edgendt.errors import UnsupportedOp
from edgendt.fixed import Codes, Int
from edgendt.ops import GEGLU, Linear, Table
from edgendt.program import Node

if TYPE_CHECKING:
    from edgendt.engine.emit import Lowering

TABLES = 4  # of a unit


def geglu(low: Lowering, node: Node, op: GEGLU) -> None:
    """A GEGLU and the two Linears that feed it."""
    first, second = (low.by_name[name] for name in node.inputs)
    pairs, taps = _pairs(low.emit, node, first, second, first.name)
    low.emit.taps[pairs.stats_by] = replace(taps[0], also=taps[1])
    _entries(low, node, pairs, op.gate, op.table, op.shift)
    for half in (first, second):
        low.used(half.inputs[0])


def table(low: Lowering, node: Node, op: Table) -> None:
    """A Table and the Linear that feeds it."""
    feed = low.by_name[node.inputs[0]]
    pairs, taps = _pairs(low.emit, node, _ones(feed), feed, feed.name)
    low.emit.taps[pairs.stats_by] = taps[1]
    _entries(low, node, pairs, op.x, node.constants["table"], 0)
    low.used(feed.inputs[0])


def _entries(low: Lowering, node: Node, pairs: Tensor, x: Int, entries: Codes, shift: int) -> None:
    """The codes of every first of a pair times its partner's entry, narrowed; x: the partner's format."""
    emit, op = low.emit, node.op
    kept, words = low.kept(node.name), -(-op.size // low.engine.pipes)
    base, tag = emit.place(words, pairs.stats_by, kept), emit.unit_tag()
    fields = {"dst": lay.DST_ACT, "dst_base": base, "dst_tag": tag, "rows_dst": kept, "grouped": 1, "xbase": 1}
    fields |= {"n_red": op.size, "xstride": shift, "split": _number(emit, node, x, entries)}
    index = pairwise(emit, node, pairs, fields)
    emit.taps[index] = Tap(node.name, base, np.arange(op.size), emit.rows.act_words if kept else 0)
    made = Tensor(np.arange(op.size), base, words, op.y, tag, rate=low.engine.sfus, kept=kept)
    emit.tensors[node.name, "act"] = emit.own(made)
    emit.drop(pairs)


def _pairs(emit: Emitter, node: Node, first: Node, second: Node, owner: str) -> tuple[Tensor, list[Tap]]:
    """Residual words of the outputs of both, in turn; what they show of each."""
    both = _side_by_side(node, first, second)
    order = np.arange(both.op.size)
    words = -(-len(order) // emit.engine.pipes)
    base, tag = emit.place_res(words), emit.tag()
    fields = {"dst": lay.DST_RES, "dst_base": base, "dst_tag": tag, "tag_clear": 1, "tag_fin": 1}
    source, apart = emit.tensors[first.inputs[0], "act"], emit.unread(base, words)
    index = emit.linear(both, source, order, fields, owner=owner, apart=apart)
    taps = [
        Tap(part.name, base, np.where(order % 2 == half, order // 2, -1)) for half, part in enumerate((first, second))
    ]
    return emit.own(Tensor(order, base, words, second.op.y, tag, "res", index)), taps


def _number(emit: Emitter, node: Node, x: Int, entries: Codes) -> int:
    """The number of a table in the units, which look up the byte of a code."""
    by_byte, known = np.zeros(256, np.int64), emit.words.functions
    by_byte[np.arange(x.lo, x.hi + 1) & 0xFF] = entries
    for index, other in enumerate(known):
        if np.array_equal(by_byte, other):
            return index
    if len(known) == TABLES:
        raise UnsupportedOp(node.op.kind, node.name, f"an engine has {TABLES} tables: give its functions fewer formats")
    known.append(by_byte)
    return len(known) - 1


def _ones(feed: Node) -> Node:
    """A Linear as large as `feed` whose every output is the code 1."""
    op = feed.op
    assert isinstance(op, Linear)
    one = Linear(op.inputs, op.outputs, op.x, Int(2, op.y.frac - op.x.frac), op.y)
    constants = {"weight": np.zeros((op.outputs, op.inputs), np.int64), "bias": np.ones(op.outputs, np.int64)}
    return Node(f"{feed.name}~ones", one, feed.inputs, constants)


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
