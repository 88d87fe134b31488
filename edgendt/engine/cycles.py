"""Exact cycles of every start, from the instructions (edgendt/engine/timeline.py), and their lower bound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgendt.engine.layout import Instr
from edgendt.engine.serial import cycles_of_instr
from edgendt.engine.tiling import PAIR_BITS
from edgendt.engine.timeline import Timeline
from edgendt.ops import Attention, CrossAttention, Linear, SpatialMix, SpatialWeights
from edgendt.program import Node, Program

if TYPE_CHECKING:
    from edgendt.engine.compile import Compiled


@dataclass(frozen=True)
class Cycles:
    """One bin: cycles from start to done, where they went (sums to `total`), and the lower bound."""

    total: int
    by_op: Mapping[str, int]
    bound: int

    @property
    def efficiency(self) -> float:
        return self.bound / self.total


def cycles_of(compiled: Compiled, start: int) -> Cycles:
    """Cycles of start `start` of a trial, exactly as the RTL counts them: a bin, or its share of a whole window."""
    return _total(compiled, min(start + 1, compiled.config["window"]), _repeats(compiled, start), 1)


def window_of(compiled: Compiled, first: int = 0) -> Cycles:
    """Cycles of a whole window, all its starts from `first` on: `bins` - 1 are those from its last bin on."""
    bins, repeats = compiled.program.bins, Counter[int]()
    assert bins is not None, "a stream has no whole window"
    for start in range(first, 2 * bins):
        repeats.update(_repeats(compiled, start))
    return _total(compiled, bins, repeats, 2 * bins - first)


def tokens_of(compiled: Compiled, tokens: int, queries: int, first: int = 0) -> Cycles:
    """Cycles of a window of so many tokens and queries, all its starts from `first` on."""
    starts = _rows(compiled, tokens, queries)[first:]
    return _total(compiled, tokens, sum(starts, Counter[int]()), len(starts))


def cycles_per_row(compiled: Compiled, tokens: int, queries: int) -> list[int]:
    """Cycles of the starts of a window of so many tokens and queries: each has one."""
    known: dict[frozenset[tuple[int, int]], int] = {}
    cycles = []
    for repeats in _rows(compiled, tokens, queries):
        key = frozenset(repeats.items())
        if key not in known:
            known[key] = _total(compiled, tokens, repeats, 1).total
        cycles.append(known[key])
    return cycles


def _rows(compiled: Compiled, tokens: int, queries: int) -> list[Counter[int]]:
    """How often each phase runs in each start: what lies between tokens and queries, in the last token's.

    Without tokens in the first query's.
    """
    last = len(compiled.phases) - 1
    starts = [Counter({0: 1}) for _ in range(tokens)] + [Counter({last: 1}) for _ in range(queries)]
    starts[max(tokens - 1, 0)].update({phase: compiled.loops[phase] for phase in range(int(tokens > 0), last)})
    return starts


def steady(compiled: Compiled) -> Cycles:
    """Cycles of a bin once the window is full, or of a whole window."""
    if compiled.program.inputs:
        return tokens_of(compiled, compiled.most, 1)
    if compiled.program.bins:
        return window_of(compiled)
    window = compiled.config["window"]
    return cycles_of(compiled, min(window, compiled.program.max_bins or window) - 1)


def cycles_per_bin(compiled: Compiled, bins: int) -> list[int]:
    """Cycles of the starts of a trial of `bins` bins; the same from the window's last key on."""
    window = compiled.config["window"]
    if compiled.program.bins:
        first, last, answer = (cycles_of(compiled, start).total for start in (0, window - 1, window))
        return [first] * (window - 1) + [last] + [answer] * window
    known = [cycles_of(compiled, bin).total for bin in range(min(bins, window))]
    return known + known[-1:] * (bins - len(known))


def cycles_per_start(compiled: Compiled, given: Any) -> list[int]:
    """Cycles of every start of a trial or a window. given: counts [bins, channels], or inputs by name."""
    if not compiled.program.inputs:
        return cycles_per_bin(compiled, len(given))
    tokens = compiled.waits(given)
    return cycles_per_row(compiled, tokens, len(compiled.starts(given)) - tokens)


def _repeats(compiled: Compiled, start: int) -> Counter[int]:
    """How often each phase runs in a start: behind a window's last bin, all phases but the last for all its bins.

    In a stream all of them.
    """
    bins, last = compiled.program.bins, len(compiled.phases) - 1
    if bins is None:
        return Counter(dict(enumerate(compiled.loops)))
    if start < bins - 1:
        return Counter({0: 1})
    return (
        Counter({last: 1})
        if start >= bins
        else Counter({0: 1}) + Counter({p: compiled.loops[p] for p in range(1, last)})
    )


def _total(compiled: Compiled, keys: int, repeats: Mapping[int, int], starts: int) -> Cycles:
    """Of phases so often each, in so many starts, each of which takes a cycle more than its instructions."""
    engine, charged = compiled.engine, Counter[str]()
    names = {node.name for node in compiled.program.nodes}
    for phase, times in repeats.items():
        for run, spent in _runs(compiled, compiled.phases[phase], keys, times, charged.total()):
            for owner, cycles in spent.items():
                name = owner if owner in names else owner.split("~")[0].rpartition(".")[0] or owner
                charged[name if name in names else owner] += run * cycles
    charged[next(reversed(charged))] += starts
    runs = {name: repeats.get(phase, 0) for name, phase in compiled.phase_of.items()}
    bound = bound_of(compiled.program, keys, engine.products, bool(engine.packed), runs)
    return Cycles(charged.total(), dict(charged), bound)


def _runs(
    compiled: Compiled, instrs: tuple[Instr, ...], keys: int, times: int, before: int
) -> list[tuple[int, Mapping[str, int]]]:
    """(how often, cycles by owner) of a phase that runs so many times; before: cycles of the start until then.

    In a stream the SHAPE in front of a loop over channels is not repeated.
    """
    if times == 1 or not compiled.program.streams:
        return [(times, _phase(compiled, instrs, keys, before))]
    return [(1, _phase(compiled, instrs, keys, before)), (times - 1, _phase(compiled, instrs, keys, before, instrs[0]))]


def _phase(
    compiled: Compiled, instrs: tuple[Instr, ...], keys: int, before: int = 0, shape: Instr | None = None
) -> Mapping[str, int]:
    """Cycles by owner of a phase, in order, until its END is taken. shape: its first instruction, run before."""
    if not compiled.engine.serial:
        timeline = Timeline(compiled, keys, before if compiled.program.streams else 0)
        if shape is not None:
            timeline.shape(shape)
        timeline.run(instrs[shape is not None :])
        return timeline.by_op
    charged = Counter[str]()  # on edt_serial one instruction follows the other
    for instr in instrs:
        owner = (instrs[-2:-1] or instrs)[0].owner if instr is instrs[-1] else instr.owner
        charged[owner] += cycles_of_instr(instr, keys)
    return charged


def bound_of(
    program: Program, keys: int, lanes: int, packed: bool = False, times: Mapping[str, int] | None = None
) -> int:
    """Lower bound: the larger of products over multipliers and weight bits over the weight memories' width.

    packed: a multiplier takes two products with weights of at most four bits; times: how often each node runs.
    """
    half, bits = 0, 0
    for node in program.nodes:
        runs = 1 if times is None else times.get(node.name, 0)
        if isinstance(node.op, Linear):
            half += runs * node.op.inputs * node.op.outputs * (1 if packed and node.op.w.bits <= PAIR_BITS else 2)
            bits += runs * node.op.inputs * node.op.outputs * node.op.w.bits
        elif isinstance(node.op, Attention | CrossAttention):
            half += 4 * node.op.size * _seen(program, node, keys, runs)
        elif isinstance(node.op, SpatialWeights):
            half += runs * 2 * node.op.size * node.op.bins
        elif isinstance(node.op, SpatialMix):
            half += runs * 2 * node.op.size * node.op.size
    return max(-(-half // (2 * lanes)), -(-bits // (9 * lanes)))


def _seen(program: Program, node: Node, keys: int, runs: int) -> int:
    """Keys that the queries of so many runs see together, at least: not every bin of a window need see all of them."""
    op = node.op
    if isinstance(op, Attention) and op.limited:
        return sum(sorted(stop - first for first, stop in op.sees(op.window))[:runs])
    return runs * (program.axis(node.inputs[1]).length or keys)
