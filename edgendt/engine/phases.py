"""Networks of whole windows as phases: each runs over all bins, or all channels, before the next one begins.

An attention over all bins needs the keys and values of all of them: one phase writes them, a later one reads them.
In a stream whose channels attend to each other, phases over bins are parts of a bin, loops over channels between them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edgendt.engine import layout as lay
from edgendt.engine.layout import Instr
from edgendt.errors import UnsupportedOp
from edgendt.ops import Add, Attention, LayerNorm, Linear, Rotary, SpatialMix, SpatialWeights, Transpose
from edgendt.program import INPUT, Node

BINS, TOKENS, COLUMNS = "bins", "tokens", "columns"  # what a phase runs over: bins; channels; channels, to the cache


@dataclass(frozen=True)
class Phases:
    """What each phase runs over, the phase of each node, and what must outlast it."""

    over: tuple[str, ...]
    of: Mapping[str, int]
    kept: frozenset[tuple[str, str]]  # (node, memory) whose codes a later phase reads, of every bin or channel
    late: frozenset[str]  # Linears that read the counts behind the first phase
    ring: frozenset[str] = frozenset()  # kept residual rows of a stream, as many as its window has bins

    @property
    def count(self) -> int:
        return len(self.over)


class _Planner:
    """Gives nodes their phases, in the order in which they come."""

    def __init__(self, nodes: list[Node], stream: bool) -> None:
        self.nodes, self.by_name, self.stream = nodes, {node.name: node for node in nodes}, stream
        self.columns = {node.inputs[0] for node in nodes if isinstance(node.op, SpatialMix)}
        self.over, self.of = [BINS], {INPUT: 0}
        self.read: list[tuple[str, str, int]] = []

    def phase(self, over: str, first: int) -> int:
        """The first phase from `first` on that runs over `over`."""
        for at in range(first, len(self.over)):
            if self.over[at] == over:
                return at
        self.over.append(over)
        return len(self.over) - 1

    def like(self, source: str) -> str:
        """What codes of `source` are of: bins or channels."""
        return BINS if self.over[self.of[source]] == BINS else TOKENS

    def norm(self, node: Node) -> None:
        self.of[node.name] = self.of[node.inputs[0]]

    def turn(self, node: Node) -> None:
        """A Rotary that no attention reads as it is."""
        self.of[node.name] = self.phase(BINS, self.of[node.inputs[0]])
        self.read.append((node.inputs[0], "res", self.of[node.name]))

    def gather(self, node: Node) -> None:
        self.of[node.name] = self.phase(TOKENS, self.of[node.inputs[0]] + 1)
        self.read.append((node.inputs[0], "res", self.of[node.name]))

    def attention(self, node: Node) -> None:
        """Its feeds in one phase, itself in a later one; of bins of a stream in the same."""
        parts = [self.by_name[name] for name in node.inputs]
        feeds = [self.by_name[part.inputs[0]] if isinstance(part.op, Rotary) else part for part in parts]
        sources = [feed.inputs[0] for feed in feeds]
        over = BINS if isinstance(node.op, Attention) else TOKENS
        phase = self.phase(over, max(self.of[source] for source in sources))
        self.of |= dict.fromkeys((part.name for part in (*parts, *feeds)), phase)
        self.of[node.name] = phase if self.stream and over == BINS else self.phase(over, phase + 1)
        self.read += [(source, "act", phase) for source in sources]

    def linear(self, node: Node) -> None:
        """A Linear or SpatialMix, or an Add or Position with the one that feeds it."""
        feed = node if isinstance(node.op, Linear | SpatialMix) else self.by_name[node.inputs[-1]]
        stream = node.inputs[:1] if isinstance(node.op, Add) else ()
        source = feed.inputs[-1]
        over, first = self.like(source), max(self.of[name] for name in (source, *stream))
        if node.name in self.columns:
            over, first = COLUMNS, first + 1
        if isinstance(feed.op, SpatialMix):
            first = max(first, self.of[feed.inputs[0]] + 1)
        if node is self.nodes[-1]:
            first = len(self.over) - 1  # the network's output comes last, whatever it reads
        self.of[node.name] = self.of[feed.name] = phase = self.phase(over, first)
        self.read.append((source, "act", phase))
        self.read += [(name, "res", phase) for name in stream]

    def plan(self, deferred: Callable[[Node], bool]) -> Phases:
        for node in self.nodes:
            if isinstance(node.op, LayerNorm):
                self.norm(node)
            elif isinstance(node.op, Transpose):
                self.gather(node)
            elif isinstance(node.op, Attention | SpatialWeights):
                self.attention(node)
            elif deferred(node):
                continue
            elif isinstance(node.op, Rotary):
                self.turn(node)
            else:
                self.linear(node)
        kept = {(name, place) for name, place, phase in self.read if phase > self.of[name] and name != INPUT}
        if self.stream:
            return self._of_stream(kept)
        linears = [node for node in self.nodes if isinstance(node.op, Linear)]
        late = frozenset(node.name for node in linears if node.inputs[0] == INPUT and self.of[node.name])
        return Phases(tuple(self.over), self.of, frozenset(kept), late)

    def _of_stream(self, kept: set[tuple[str, str]]) -> Phases:
        """A bin is alone: what is kept are codes of channels, and what a Transpose looks back at."""
        ring = frozenset(node.inputs[0] for node in self.nodes if isinstance(node.op, Transpose))
        for name, place in kept:
            if place == "res" and self.like(name) != BINS:
                reason = "in a stream a sum over channels is made in the loop that makes what it adds to"
                raise UnsupportedOp(self.by_name[name].op.kind, name, reason)
        kept = {(name, place) for name, place in kept if self.like(name) != BINS} | {(name, "res") for name in ring}
        return Phases(tuple(self.over), self.of, frozenset(kept), frozenset(), ring)


def phases_of(nodes: list[Node], deferred: Callable[[Node], bool], stream: bool = False) -> Phases:
    """The phases of a Program's nodes, in order; `deferred`: what its reader emits, or a LayerNorm."""
    return _Planner(nodes, stream).plan(deferred)


def end_of(phase: int, count: int) -> Instr:
    """END of a phase of `count`: the first waits for every bin's counts, the last for every answer to be fetched."""
    pauses = {"pause_each": int(phase in (0, count - 1)), "pause_last": int(phase >= count - 2)}
    return Instr("end", {"op": lay.OP_END, "loop": 1} | pauses)


def part_of(over: str, following: str) -> Instr:
    """END of a phase of a bin of a stream: a loop over channels, or what comes before one."""
    return Instr("end", {"op": lay.OP_END} | ({"tag_clear": 1} if over == BINS != following else {"loop": 1}))


def shape_of(config: Mapping[str, int], back: bool = False) -> Instr:
    """The instruction that gives a phase its attention's geometry, and the count of what it runs over.

    back: to a bin of a stream, whose place in the window was put aside.
    """
    fields = {
        "op": lay.OP_SHAPE,
        "n_tiles": config["window"],
        "steps": config["group_words"],
        "words": config["key_words"],
        "n_red": config["head_dim"],
        "sbase": config["key_tiles"],
        "kv_base": config["set_stride"],
        "sstride": config["group_segs"],
        "split": config["value_split"],
        "xbase": config["value_rows"],
        "bias_base": config["gshift"] << 4 | config["groups"],
        "dst_base": config["heads"] << 4 | config["head_sets"],
        "tag_fin": int(back),
    }
    return Instr("shape", fields)


def shaped(config: Mapping[str, int], instr: Instr) -> dict[str, int]:
    """The configuration behind such an instruction."""
    names = {"window": "n_tiles", "group_words": "steps", "key_words": "words", "head_dim": "n_red"}
    names |= {"key_tiles": "sbase", "set_stride": "kv_base", "group_segs": "sstride", "value_rows": "xbase"}
    groups = {"groups": instr["bias_base"] & 15, "gshift": instr["bias_base"] >> 4}
    heads = {"head_sets": instr["dst_base"] & 15, "heads": instr["dst_base"] >> 4, "value_split": instr["split"]}
    return dict(config) | {name: instr[field] for name, field in names.items()} | groups | heads
