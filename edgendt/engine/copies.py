"""Identity Linears where a reader cannot take its source as it lies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgendt.engine.config import Engine
from edgendt.errors import UnsupportedOp
from edgendt.fixed import Int
from edgendt.ops import (
    GEGLU,
    Add,
    Attention,
    CrossAttention,
    LayerNorm,
    Linear,
    Lookup,
    Position,
    Rotary,
    SpatialMix,
    SpatialWeights,
    Table,
    Transpose,
)
from edgendt.program import INPUT, Node, Program

OUT = "out"  # the memory of the network's outputs


def copy_of(source: str, form: Int, size: int, name: str) -> Node:
    """An identity Linear: moves codes to where their reader can take them."""
    op = Linear(size, size, form, Int(2), form)
    return Node(name, op, (source,), {"weight": np.eye(size, dtype=np.int64), "bias": np.zeros(size, np.int64)})


def with_copies(program: Program, engine: Engine) -> list[Node]:
    """The Program's nodes, identity Linears added where a reader cannot take its source as it lies."""
    by_name = {node.name: node for node in program.nodes}
    nodes: list[Node] = []

    def copied(source: str, reader: Node, slot: int) -> str:
        form, size = (by_name[source].op.y, by_name[source].op.size) if source in by_name else counts_of(program)
        if form.bits > 8:
            raise UnsupportedOp(reader.op.kind, reader.name, f"{source!r} has more than 8 bits and other readers")
        nodes.append(copy_of(source, form, size, f"{source}~{reader.name}{slot}"))
        return nodes[-1].name

    for node in program.nodes:
        inputs = list(node.inputs)
        for slot, source in enumerate(inputs):
            if not _takes(program, engine, node, slot, source):
                inputs[slot] = copied(source, node, slot)
        nodes.append(replace(node, inputs=tuple(inputs)))
    last = program.nodes[-1]
    if isinstance(last.op, LayerNorm | Attention | Rotary | CrossAttention | GEGLU | Table):
        nodes.append(copy_of(last.name, last.op.y, last.op.size, f"{last.name}~{OUT}"))
    return nodes


def counts_of(program: Program) -> tuple[Int, int]:
    """Format and number of the counts of a bin."""
    return program.input, program.channels


def _takes(program: Program, engine: Engine, node: Node, slot: int, source: str) -> bool:
    """True when `node` can read input `slot` where `source` naturally lies."""
    if isinstance(node.op, Linear) or source in {item.name for item in program.inputs}:
        return True
    maker = None if source == INPUT else program.node(source)
    exclusive = maker is not None and _exclusive(program, node, maker)
    if isinstance(node.op, Attention) and maker is not None and isinstance(maker.op, Rotary):
        return slot < 2 and exclusive and _turned_in_place(program, engine, node.op, maker, maker.op)
    if isinstance(node.op, Rotary) and maker is not None and isinstance(maker.op, CrossAttention):
        return exclusive
    if isinstance(node.op, CrossAttention) and maker is not None and isinstance(maker.op, Rotary):
        feed = None if maker.inputs[0] == INPUT else program.node(maker.inputs[0])
        return (
            exclusive and feed is not None and isinstance(feed.op, Linear | Lookup) and _exclusive(program, maker, feed)
        )
    if isinstance(node.op, SpatialMix):  # of the weights a copy becomes columns; codes in order are taken as they lie
        return slot == 1 and maker is not None and not isinstance(maker.op, Attention)
    if isinstance(node.op, Add) and slot == 1:
        return exclusive and maker is not None and isinstance(maker.op, Linear | SpatialMix)
    if isinstance(node.op, Attention | Position | SpatialWeights | CrossAttention | GEGLU | Table):
        return exclusive and maker is not None and isinstance(maker.op, Linear)
    return maker is not None and isinstance(maker.op, Linear | Add | Position | Transpose | SpatialMix | Lookup)


def _exclusive(program: Program, reader: Node, maker: Node) -> bool:
    """True when `reader` alone reads `maker`, once."""
    only = len(program.readers(maker.name)) == 1 and reader.inputs.count(maker.name) == 1
    return only and maker.name != program.output


def _turned_in_place(program: Program, engine: Engine, op: Attention, maker: Node, turn: Rotary) -> bool:
    """True when queries or keys can be turned in the order that scores want: heads side by side, pairs in a word."""
    feed = None if maker.inputs[0] == INPUT else program.node(maker.inputs[0])
    paired = 2 * op.heads <= engine.pipes and op.heads & (op.heads - 1) == 0 and turn.head_size == op.head_size
    return paired and feed is not None and isinstance(feed.op, Linear) and _exclusive(program, maker, feed)
