"""Networks of whole windows as phases: each runs over all bins of the window before the next one begins.

An attention over all bins needs the keys and values of all of them: one phase writes them, the next one reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edgendt.engine import layout as lay
from edgendt.engine.layout import Instr
from edgendt.ops import Add, Attention, LayerNorm, Linear
from edgendt.program import INPUT, Node


@dataclass(frozen=True)
class Phases:
    """The phase of each node, and what must outlast it."""

    of: Mapping[str, int]
    kept: frozenset[tuple[str, str]]  # (node, memory) whose codes a later phase reads, of every bin
    late: frozenset[str]  # Linears that read the counts behind the first phase

    @property
    def count(self) -> int:
        return max(self.of.values()) + 1


def phases_of(nodes: list[Node], deferred: Callable[[Node], bool]) -> Phases:
    """The phases of a Program's nodes, in order; `deferred`: a Linear that its reader emits, or a LayerNorm."""
    by_name = {node.name: node for node in nodes}
    of, read, late = {INPUT: 0}, list[tuple[str, str, int]](), set()

    def emitted(node: Node) -> None:
        """A Linear, or an Add or Position with the Linear that feeds it."""
        feed = node if isinstance(node.op, Linear) else by_name[node.inputs[-1]]
        stream = node.inputs[:1] if isinstance(node.op, Add) else ()
        before = of.values() if node is nodes[-1] else [of[source] for source in (feed.inputs[0], *stream)]
        of[node.name] = of[feed.name] = phase = max(before)  # the network's output comes last, whatever it reads
        read.append((feed.inputs[0], "act", phase))
        read.extend((source, "res", phase) for source in stream)
        if feed.inputs[0] == INPUT and phase:
            late.add(feed.name)

    for node in nodes:
        if isinstance(node.op, LayerNorm):
            of[node.name] = of[node.inputs[0]]
        elif isinstance(node.op, Attention):
            feeds = [by_name[name] for name in node.inputs]
            phase = max(of[feed.inputs[0]] for feed in feeds)
            of |= {feed.name: phase for feed in feeds} | {node.name: phase + 1}
            read += [(feed.inputs[0], "act", phase) for feed in feeds]
            late |= {feed.name for feed in feeds if feed.inputs[0] == INPUT and phase}
        elif not deferred(node):
            emitted(node)
    kept = frozenset((name, place) for name, place, phase in read if phase > of[name] and name != INPUT)
    return Phases(of, kept, frozenset(late))


def end_of(phase: int, count: int) -> Instr:
    """END of a phase of `count`: the first waits for every bin's counts, the last for every answer to be fetched."""
    pauses = {"pause_each": int(phase in (0, count - 1)), "pause_last": int(phase >= count - 2)}
    return Instr("end", {"op": lay.OP_END, "loop": 1} | pauses)
