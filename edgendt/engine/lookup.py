"""A Lookup as instructions: a pass over nothing that reads a row as a position and another one as a bias."""

from __future__ import annotations

import numpy as np

from edgendt.engine import layout as lay
from edgendt.engine.copies import OUT
from edgendt.engine.emit import DST, Lowering
from edgendt.engine.heads import Positions
from edgendt.engine.rows import constant, lookup_of
from edgendt.engine.schedule import Emitter, Tap, Tensor, need_of
from edgendt.fixed import Codes
from edgendt.ops import LayerNorm, Lookup
from edgendt.program import Node


def lookup(low: Lowering, node: Node, op: Lookup) -> None:
    """Its codes, in every memory that needs them."""
    emit, pipes, order = low.emit, low.engine.pipes, np.arange(op.size)
    words, readers = -(-op.size // pipes), low.readers(node.name)
    normed = any(isinstance(reader.op, LayerNorm) for reader, _ in readers)
    places = need_of(readers) | ({OUT} if node is low.nodes[-1] else set())
    for place in sorted(places) or ["act"]:
        kept, tag, base = low.kept(node.name, place), emit.tag(), 0
        if place != OUT:
            base = emit.place_res(words, kept) if place == "res" else emit.place(words, len(emit.instrs), kept)
        fields = {"dst": DST[place], "dst_base": base, "dst_tag": tag, "tag_clear": 1, "tag_fin": 1}
        fields |= {"rows_dst": kept, "stats": int(place == "res" and normed), "last_mask": (op.size - 1) % pipes + 1}
        index = looked_up(emit, node, order, fields)
        emit.taps[index] = Tap(node.name, base, order, emit.rows.stride(place) if kept else 0)
        emit.tensors[node.name, place] = emit.own(Tensor(order, base, words, op.y, tag, place, index, kept=kept))


def looked_up(emit: Emitter, node: Node, order: Positions, fields: dict[str, int], apart: bool = False) -> int:
    """The pass that writes its codes in this order, -1 for none. Returns its index."""
    op, words = node.op, -(-len(order) // emit.engine.pipes)
    assert isinstance(op, Lookup)
    fields = (
        emit.nothing()
        | _rows(emit, node, op, order)
        | {"add_pos": 1, "steps": words, "words": words, "y1": lay.fmt(op.y), "y2": lay.fmt(op.y)}
        | fields
    )
    return emit.mac(node.name, fields, None, apart=apart)


def _rows(emit: Emitter, node: Node, op: Lookup, order: Positions) -> dict[str, int]:
    """Where the rows lie: of a constant, or of pairs, all of them, added up; else both tables. The host chooses."""
    pipes, item = emit.engine.pipes, constant(emit.program, node.inputs[0])
    words = -(-len(order) // pipes)
    table, kinds = node.constants["table"], node.constants["kinds"]
    if item is not None and item.codes is not None:
        rows = _words(op.run(item.codes, **node.constants), order, pipes, words)
        old = emit.words.pos
        emit.words.pos = rows if old is None else np.concatenate([old, rows], axis=1)
        add_base, kinds = emit.grow("pos", words), 0 * kinds[:1]
    else:
        lookup_of(emit.program, emit.program.axis(node.name))  # which refuses others
        emit.sizes["looked"] = max(emit.sizes["looked"], words)
        words = max(emit.rows.looked, words)
        if op.pairs:
            table, kinds = op.run(op.every, **node.constants), 0 * kinds[:1]
        emit.words.tables.append(_words(table, order, pipes, words).reshape(-1, pipes))
        add_base = emit.rows.tables + emit.grow("table", len(emit.words.tables[-1]))
    biases = _words(kinds, order, pipes, words).reshape(-1, pipes)
    emit.words.bias.append(np.stack([np.full_like(biases, lay.SHIFT_BIAS), biases], axis=2))
    return {"rows_add": int(item is None), "add_base": add_base, "bias_base": emit.grow("bias", len(biases))}


def _words(codes: Codes, order: Positions, pipes: int, words: int) -> Codes:
    """[rows, size] in this order -> [rows, words, pipes], zero where there is none."""
    padded = np.zeros((len(codes), words * pipes), np.int64)
    padded[:, : len(order)] = np.where(order >= 0, codes[:, order], 0)
    return padded.reshape(len(codes), words, pipes)
