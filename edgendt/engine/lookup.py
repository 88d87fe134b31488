"""A Lookup as instructions: a pass over nothing that reads a row as a position and another one as a bias."""

from __future__ import annotations

import numpy as np

from edgendt.engine import layout as lay
from edgendt.engine.copies import OUT
from edgendt.engine.emit import DST, Lowering
from edgendt.engine.rows import constant, lookup_of
from edgendt.engine.schedule import Tap, Tensor, need_of
from edgendt.fixed import Codes
from edgendt.ops import LayerNorm, Lookup
from edgendt.program import Node


def lookup(low: Lowering, node: Node, op: Lookup) -> None:
    """Its codes, in every memory that needs them."""
    emit, pipes = low.emit, low.engine.pipes
    words, hosted = -(-op.size // pipes), constant(low.program, node.inputs[0]) is None
    fields = (
        emit.nothing()
        | _rows(low, node, op)
        | {
            "add_pos": 1,
            "rows_add": int(hosted),
            "steps": words,
            "words": words,
            "y1": lay.fmt(op.y),
            "y2": lay.fmt(op.y),
            "last_mask": (op.size - 1) % pipes + 1,
        }
    )
    readers = low.readers(node.name)
    normed = any(isinstance(reader.op, LayerNorm) for reader, _ in readers)
    places = need_of(readers) | ({OUT} if node is low.nodes[-1] else set())
    for place in sorted(places) or ["act"]:
        kept, tag, base = low.kept(node.name, place), emit.tag(), 0
        if place != OUT:
            base = emit.place_res(words, kept) if place == "res" else emit.place(words, len(emit.instrs), kept)
        written = {"dst": DST[place], "dst_base": base, "dst_tag": tag, "tag_clear": 1, "tag_fin": 1}
        written |= {"rows_dst": kept, "stats": int(place == "res" and normed)}
        index = emit.mac(node.name, fields | written, None)
        emit.taps[index] = Tap(node.name, base, np.arange(op.size), emit.rows.stride(place) if kept else 0)
        made = Tensor(np.arange(op.size), base, words, op.y, tag, place, index, kept=kept)
        emit.tensors[node.name, place] = emit.own(made)


def _rows(low: Lowering, node: Node, op: Lookup) -> dict[str, int]:
    """Where the rows lie: of a constant all that there are, added up; else both tables, for the host to choose from."""
    emit, pipes, item = low.emit, low.engine.pipes, constant(low.program, node.inputs[0])
    table, kinds = (_words(node.constants[name], pipes) for name in ("table", "kinds"))
    if item is not None and item.codes is not None:
        rows = _words(op.run(item.codes, **node.constants), pipes)
        old = emit.words.pos
        emit.words.pos = rows if old is None else np.concatenate([old, rows], axis=1)
        add_base, kinds = emit.grow("pos", rows.shape[1]), 0 * kinds[:1]
    else:
        lookup_of(low.program, low.program.axis(node.name))  # which refuses two
        emit.words.tables.append(table.reshape(-1, pipes))
        add_base = emit.rows.tables + emit.grow("table", len(emit.words.tables[-1]))
    biases = kinds.reshape(-1, pipes)
    emit.words.bias.append(np.stack([np.full_like(biases, lay.SHIFT_BIAS), biases], axis=2))
    return {"add_base": add_base, "bias_base": emit.grow("bias", len(biases))}


def _words(codes: Codes, pipes: int) -> Codes:
    """[rows, size] -> [rows, words, pipes], zero beyond the size."""
    words = -(-codes.shape[1] // pipes)
    padded = np.zeros((len(codes), words * pipes), np.int64)
    padded[:, : codes.shape[1]] = codes
    return padded.reshape(len(codes), words, pipes)
