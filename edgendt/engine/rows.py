"""Windows of tokens: the phases of their networks, and what goes in with each start.

Each token comes with a start, and so does each query, which is answered by it. What has constant rows, latents, runs
over all of them in between, once the last token is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgendt.engine.phases import Phases
from edgendt.engine.schedule import ROW_BYTES
from edgendt.errors import UnsupportedOp
from edgendt.fixed import Codes
from edgendt.ops import Add, CrossAttention, LayerNorm, Linear, Lookup, Rotary
from edgendt.program import Axis, Input, Node, Program

LAST = 1 << 15  # in a token's row: no other follows
MOVED = Linear | Rotary | Lookup  # what its reader may emit


def axes(program: Program) -> tuple[Axis | None, Axis]:
    """(what the tokens are rows of, what the queries are). UnsupportedOp for more of either."""
    queries = program.axis(program.output)
    others = [axis for axis in program.open_axes if axis != queries]
    if len(others) > 1:
        reason = (
            f"an engine takes rows of one kind before it answers, {program.name} reads {', '.join(map(str, others))}"
        )
        raise UnsupportedOp("input", program.sources[0].name, reason)
    return (others[0] if others else None), queries


class _Planner:
    """Gives nodes their phases; those over queries, the last one, count as `end` until all others are known."""

    def __init__(self, program: Program, nodes: list[Node], deferred: Callable[[Node], bool]) -> None:
        self.nodes, self.deferred, self.by_name = nodes, deferred, {node.name: node for node in nodes}
        self.tokens, self.queries = axes(program)
        self.axis = {item.name: item.axis for item in program.inputs}
        self.over: list[Axis] = [self.tokens] if self.tokens else []
        self.end = len(nodes)  # no phase has that number
        self.of: dict[str, int] = {item.name: -1 for item in program.inputs}
        self.read: list[tuple[str, str, str]] = []  # what, from which memory, by whom
        self.keys: dict[int, Axis] = {}  # whose rows the attentions of a phase have as keys

    def phase(self, node: Node, axis: Axis, first: int) -> int:
        """The first phase from `first` on that runs over `axis`."""
        if axis == self.queries:
            return self.end
        if first >= self.end or (axis == self.tokens and first > 0):
            raise UnsupportedOp(node.op.kind, node.name, f"{axis} come once, and this needs what is made behind them")
        for at in range(max(first, 0), len(self.over)):
            if self.over[at] == axis:
                return at
        self.over.append(axis)
        return len(self.over) - 1

    def move(self, name: str, phase: int) -> None:
        """What an attention reads, and what its reader emits before it, to that phase."""
        while (node := self.by_name.get(name)) and isinstance(node.op, MOVED) and self.deferred(node):
            self.of[name], name = phase, node.inputs[0]

    def place(self, node: Node) -> None:
        sources = [self.of[name] for name in node.inputs]
        axis = self.axis[node.name] = self.axis[node.inputs[0]]
        if isinstance(node.op, CrossAttention):
            cached = max(sources[1:])  # keys and values are written together
            for name in node.inputs[1:]:
                self.move(name, cached)
            at = self.phase(node, axis, max(sources[0], cached + 1))
            while self.keys.setdefault(at, self.axis[node.inputs[1]]) != self.axis[node.inputs[1]] and at < self.end:
                at = self.phase(node, axis, at + 1)
            self.of[node.name] = at
            if self.axis[node.inputs[1]] == self.queries:
                raise UnsupportedOp(
                    node.op.kind, node.name, f"its keys are {self.queries}, each of which is answered at once"
                )
            self.move(node.inputs[0], at)
        elif isinstance(node.op, LayerNorm):
            self.of[node.name] = sources[0]  # right behind its source
        else:
            self.of[node.name] = self.phase(node, axis, max(sources))
        if isinstance(node.op, Linear):
            self.read.append((node.inputs[0], "act", node.name))
        if isinstance(node.op, Add):
            self.move(node.inputs[1], self.of[node.name])
            self.read.append((node.inputs[0], "res", node.name))

    def plan(self) -> Phases:
        for node in self.nodes:
            self.place(node)
        of = {name: len(self.over) if at == self.end else at for name, at in self.of.items()}
        kept = frozenset((what, place) for what, place, by in self.read if of[by] > of[what] >= 0)
        return Phases((*map(str, self.over), str(self.queries)), of, kept, frozenset())


def phases_of_rows(program: Program, nodes: list[Node], deferred: Callable[[Node], bool]) -> Phases:
    """The phases of a network of tokens: over tokens, over constant rows as often as needed, over queries."""
    return _Planner(program, nodes, deferred).plan()


def only(program: Program, kind: str, axis: Axis, found: list[str]) -> str | None:
    """The one input that gives all rows of `axis` theirs, None where nothing asks. UnsupportedOp for two."""
    names = dict.fromkeys(found)
    if len(names) > 1:
        raise UnsupportedOp("input", list(names)[1], f"an engine takes one {kind} for each of {axis}")
    return next(iter(names), None)


def times_of(program: Program, axis: Axis) -> str | None:
    """The input with the times by which rows of `axis` turn."""
    turns = [node for node in program.nodes if isinstance(node.op, Rotary) and program.axis(node.name) == axis]
    return only(program, "time", axis, [node.inputs[1] for node in turns if len(node.inputs) > 1])


def lookup_of(program: Program, axis: Axis) -> Node | None:
    """A Lookup of rows of `axis`, for all of them: they are the same rows. UnsupportedOp where they are not."""
    found: dict[tuple[str, int], Node] = {}
    for node in program.nodes:
        if isinstance(node.op, Lookup) and program.axis(node.name) == axis:
            found.setdefault((node.inputs[0], node.op.step), node)
    if len(found) > 1:
        reason = f"an engine takes one row for each of {axis}, others name another"
        raise UnsupportedOp(Lookup.kind, list(found.values())[1].name, reason)
    return next(iter(found.values()), None)


def constant(program: Program, name: str) -> Input | None:
    """The input of that name if the network brings it along."""
    return next((item for item in program.inputs if item.name == name and item.codes is not None), None)


def starts(program: Program, given: Mapping[str, Any], looked: int) -> Codes:
    """What goes in with each start of a window: tokens, then queries. looked: words of a row. [starts, ROW_BYTES]"""
    fed = program.feed(given)
    parts = []
    tokens, queries = axes(program)
    for axis in filter(None, (tokens, queries)):
        lookup, timed = lookup_of(program, axis), times_of(program, axis)
        rows = next(len(fed[item.name]) for item in program.inputs if item.axis == axis)
        part = np.zeros((rows, 3), np.int64)
        if lookup is not None:
            assert isinstance(lookup.op, Lookup)
            pairs = fed[lookup.inputs[0]]
            part[:, 0] = looked * lookup.op.entry(pairs)
            part[:, 1] = looked * pairs[:, 1] * (not lookup.op.pairs)
        if timed is not None:
            part[:, 2] = fed[timed][:, 0]
        if axis == tokens:
            part[-1, 0] |= LAST
        parts.append(part)
    words = np.concatenate(parts)
    return np.stack([words & 255, words >> 8], axis=2).reshape(len(words), ROW_BYTES)
