"""Keys and values of tokens as tables: the same network, whose token costs rows and rotations instead of products.

Before they turn, both depend on a token's row and kind alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import numpy as np

from edgendt.fixed import Codes
from edgendt.ops import CrossAttention, LayerNorm, Linear, Lookup, Rotary
from edgendt.program import Node, Program


def tabled(program: Program) -> Program:
    """`program` with a Lookup of every pair of row and kind in the place of such keys and values, under their names.

    The tables are what the ops that they replace compute, so every op that is left gives the same codes; ops that
    nobody reads any more are gone. `program` itself where it has none.
    """
    made: dict[str, Node] = {}
    for node in program.nodes:
        if isinstance(node.op, CrossAttention):
            made |= {path[-1].name: _table(path) for path in of_rows(program, node)}
    if not made:
        return program
    nodes, read = [], {program.output}
    for node in reversed(program.nodes):
        if node.name in read:
            nodes.append(made.get(node.name, node))
            read |= set(nodes[-1].inputs)
    return replace(program, nodes=tuple(reversed(nodes)))


def of_rows(program: Program, read: Node) -> list[list[Node]]:
    """The nodes from a Lookup to the keys, and to the values, of an attention before they turn.

    [] unless both are made of rows that a window names.
    """
    given = {item.name for item in program.inputs if item.codes is None}
    paths = []
    for source in read.inputs[1:]:
        node = program.node(source)
        path = [program.node(node.inputs[0]) if isinstance(node.op, Rotary) else node]
        while isinstance(path[0].op, Linear | LayerNorm):
            path.insert(0, program.node(path[0].inputs[0]))
        if len(path) == 1 or not isinstance(path[0].op, Lookup) or path[0].inputs[0] not in given:
            return []
        paths.append(path)
    return paths


def _table(path: list[Node]) -> Node:
    """The last node of a path as a Lookup."""
    first, last = path[0].op, path[-1]
    assert isinstance(first, Lookup)
    codes = first.every
    for node in path:
        codes = cast(Callable[..., Codes], node.op.run)(codes, **node.constants)
    op = Lookup(last.op.size, first.rows, first.which, last.op.y, pairs=True)
    kinds = np.zeros((first.which, op.size), np.int64)
    return Node(last.name, op, path[0].inputs, {"table": codes, "kinds": kinds})
