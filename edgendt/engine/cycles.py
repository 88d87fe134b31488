"""Exact cycles per bin, from the instructions: a mirror in time of edt_{seq,issue,drain,sfu_seq,kcol}.sv.

Times are cycle numbers with start_i in cycle 0. "Announced in cycle A" means that an element which needs the word can
be issued in cycle A + 3 and not before. Nothing depends on data, only on the bin's number of keys.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from edgendt.engine import layout as lay
from edgendt.engine.layout import Instr
from edgendt.engine.phases import shaped
from edgendt.engine.serial import cycles_of_instr
from edgendt.engine.tiling import PAIR_BITS
from edgendt.ops import Attention, CrossAttention, Linear, SpatialMix, SpatialWeights
from edgendt.program import Program

if TYPE_CHECKING:
    from edgendt.engine.compile import Compiled

FETCH = 3  # an instruction after its predecessor; one more with windows
DRAIN = 6  # issue of a tile's last element -> first drain step
EARLY = 7  # drain steps left when the next tile may end
NARROW = 7  # drain step -> announcement
NARROW_WRITE = 9
SCORE = 3
COLUMN = 2  # K's last word written -> its column begun
SFU = 18  # beat -> announcement
SFU_WRITE = 20
RECIP = 19  # last exponential beat -> first group's reciprocal usable
NORM = 10  # statistics complete -> first LayerNorm beat
STATS = 3  # write of the last residual word -> statistics complete, plus log2(pipes)
ANGLES = 8  # start, and two cycles a channel -> the bin's angles
CHAIN = 3  # announcement -> issue


@dataclass(frozen=True)
class Cycles:
    """One bin: cycles from start to done, where they went (sums to `total`), and the lower bound."""

    total: int
    by_op: Mapping[str, int]
    bound: int

    @property
    def efficiency(self) -> float:
        return self.bound / self.total


@dataclass
class _Tag:
    """What is written under a tag: announcements of its words in order, from word address `base` on, and the end."""

    owner: str = ""
    sfu: bool = False
    base: int = 0
    words: list[int] = field(default_factory=list)
    done: int = 0
    begun: int = 0  # a key's column


class _Timeline:
    """The engine's units, each with the cycle at which it is next free."""

    def __init__(self, compiled: Compiled, keys: int) -> None:
        self.engine, self.config, self.keys = compiled.engine, compiled.config, keys
        self.tokens, self.angles = keys, 2 * compiled.sizes["angle"] * self.engine.sfus + ANGLES
        self.pipes = self.engine.pipes
        self.subs = self.pipes // self.engine.sfus
        self.stages = max(0, self.engine.splits.bit_length() - 2)  # registers of the adder tree over a split
        self.key_tiles = self._tiles()
        self.tags = [_Tag() for _ in range(lay.TAGS)]
        self.fetch = FETCH + self.engine.windows
        self.fetched = self.fetch
        self.issued = 0  # cycle of the last element issued so far
        self.drain_free = 0  # first cycle in which a tile's last element may be issued
        self.stats_ok = 0
        self.recip_ok = 0
        self.angles_ok = self.angles
        self.sfu_idle = 0
        self.sfu_run_end = 0
        self.quiet = 0
        self.by_op: dict[str, int] = {}
        self.charged = 0

    def _tiles(self) -> int:
        """Tiles of keys in use."""
        return min(self._all_tiles(), self.config["key_tiles"])

    def _all_tiles(self) -> int:
        return -(-self.keys // (self.config["group_words"] * self.pipes))

    def shape(self, instr: Instr) -> None:
        """Another attention's geometry, all its keys in use; of tokens also the angles of the row's time."""
        self.config = shaped(self.config, instr)
        self.keys = self.config["window"]
        self.key_tiles = self._tiles()
        if instr["kv"]:
            self.keys = self.tokens if instr["red_keys"] else instr["add_base"]
            self.key_tiles = self._all_tiles()
            self.angles_ok = self.fetched + self.angles

    def charge(self, owner: str, until: int) -> None:
        self.by_op[owner] = self.by_op.get(owner, 0) + until - self.charged
        self.charged = until

    def mac(self, instr: Instr) -> None:
        """A pass: element times, then the drain of each tile."""
        start = max(self.fetched, self.issued)
        self.fetched = start + self.fetch
        source = self.tags[instr["src_tag"]] if instr["src_use"] else None
        barrier = self.tags[instr["bar_tag"]] if instr["bar_use"] else None
        tag = self.tags[instr["dst_tag"]]
        if instr["tag_clear"]:
            self.tags[instr["dst_tag"]] = tag = _Tag(instr.owner, False, instr["dst_base"])
        length = -(-self.keys >> instr["split"]) if instr["red_keys"] else instr["n_red"]
        tiles = self.key_tiles if instr["tiles_keys"] else instr["n_tiles"]
        first = start + 2
        if barrier is not None:
            if instr["bar_late"]:  # by age, all keys of the newest one's beat wait for it
                behind = min(self.engine.sfus >> instr["split"], length) - 1 if instr["aged"] else 0
                self.drain_free = max(self.drain_free, barrier.done + CHAIN + behind)
            else:
                first = max(first, (barrier.begun if instr["bar_begun"] else barrier.done) + CHAIN)
        last = self._chained(instr, first, length, source) - 1
        for tile in range(tiles):
            if tile == 0:
                last = max(self._chained(instr, first, length, source), self.drain_free)
            else:
                last = max(last + length, self.drain_free)
            self._drain(instr, tag, last, tile == tiles - 1)
        stall = last - self.charged - length * tiles
        waited = [one.owner for one in (source, barrier) if one is not None and one.sfu]
        if waited and stall > 0:
            self.charge(waited[0], self.charged + stall)
        self.charge(instr.owner, last)
        self.issued = last
        self.quiet = max(self.quiet, last + 1)

    def _chained(self, instr: Instr, first: int, length: int, source: _Tag | None) -> int:
        """Issue cycle of the first tile's last element."""
        if source is None:
            return first + length - 1
        element = np.arange(length)
        word = (instr["xbase"] + element * instr["xstride"]) // self.pipes - source.base
        ready = np.append(np.asarray(source.words, np.int64), source.done)[np.minimum(word, len(source.words))] + CHAIN
        return int(length - 1 + max(first, int((ready - element).max())))

    def _drain(self, instr: Instr, tag: _Tag, last: int, final: bool) -> None:
        """Drain of the tile whose last element was issued in cycle `last`."""
        begin = last + DRAIN
        full = self.engine.words << instr["paired"] >> instr["split"]
        steps = instr["steps"] if final else full
        if instr["mode"] == lay.MODE_VALUE:
            end = self._values(instr, tag, begin, steps, final)
            self.drain_free = end + 1
            self.quiet = max(self.quiet, end + SFU_WRITE + 1 + self.stages * bool(instr["split"]))
            return
        end = begin + steps - 1
        self.drain_free = begin + max(0, steps - EARLY) + 1
        if instr["mode"] == lay.MODE_SCORE:
            tag.done = end + SCORE
            self.quiet = max(self.quiet, end + 1)
            return
        begin, end = begin + self.stages, end + self.stages
        self.quiet = max(self.quiet, end + NARROW_WRITE + 1)
        if instr["dst"] & lay.DST_ACT:
            tag.words += [begin + step + NARROW for step in range(steps)]
        tag.done = end + NARROW
        if final and instr["dst"] & lay.DST_KCOL:
            self._column(tag, end + NARROW_WRITE)
        if final and instr["stats"]:
            self.stats_ok = end + NARROW_WRITE + STATS + (self.pipes - 1).bit_length()

    def _column(self, tag: _Tag, written: int) -> None:
        """The new key's column, once the last word of its row is written."""
        columns = self.config["head_sets"] * self.config["head_dim"]
        tag.begun = written + COLUMN
        tag.done = written + columns + COLUMN
        self.quiet = max(self.quiet, tag.done + 2)

    def _values(self, instr: Instr, tag: _Tag, begin: int, steps: int, final: bool) -> int:
        """Weighted values go through the special-function units: last cycle of the drain."""
        at = max(begin, self.recip_ok, self.sfu_run_end)
        group = self.config["group_words"] >> instr["split"]
        words = instr["words"] if final else group
        late = self.stages if instr["split"] else 0
        for step in range(steps):
            if step % group < words:
                at += self.subs
                tag.words.append(at - 1 + SFU + late)
            else:
                at += 1
        tag.done = at - 1 + SFU + late
        return at - 1

    def sfu(self, instr: Instr) -> None:
        """A LayerNorm, the exponentials of one head set, or a Rotary."""
        start = max(self.fetched, self.sfu_idle)
        self.fetched = start + self.fetch
        tag = self.tags[instr["dst_tag"]] = _Tag(instr.owner, True, instr["dst_base"])
        if instr["op"] == lay.OP_EXP:
            groups = self.config["groups"]
            begin = max(start + 1, self.tags[instr["src_tag"]].done + 1) + 1
            sets = -(-self.keys // self.engine.sfus)
            tag.words = [begin + (one + 1) * groups - 1 + SFU for one in range(sets)]
            end = begin + sets * groups - 1
            self.recip_ok = end + RECIP + groups
        elif instr["op"] == lay.OP_SHARE:
            groups, beats = self.config["groups"], -(-instr["n_red"] // self.engine.sfus)
            begin = max(start + 1, self.tags[instr["src_tag"]].done + 1, self.recip_ok) + 1
            tag.words = [
                begin + min((one + 1) * self.subs, beats) * groups - 1 + SFU for one in range(-(-beats // self.subs))
            ]
            end = begin + beats * groups - 1
        else:
            begin = max(start + 1, self.stats_ok) + NORM
            if instr["op"] == lay.OP_TURN:
                written = self.tags[instr["src_tag"]].done + 1 if instr["src_use"] else 0
                begin = max(start + 1, written, 0 if instr["grouped"] else self.angles_ok) + 2
            beats = -(-instr["n_red"] // self.engine.sfus)
            words = -(-beats // self.subs)
            tag.words = [begin + min((word + 1) * self.subs, beats) - 1 + SFU for word in range(words)]
            end = begin + beats - 1
        tag.done = end + SFU
        self.sfu_run_end = end + 1
        self.sfu_idle = end + SFU_WRITE + 1
        self.quiet = max(self.quiet, self.sfu_idle + bool(instr["dst"] & lay.DST_KV))
        if instr["dst"] & lay.DST_KCOL:
            self._column(tag, end + SFU_WRITE)

    def run(self, instrs: tuple[Instr, ...]) -> int:
        """Cycles until END is taken."""
        for instr in instrs:
            if instr["op"] == lay.OP_MAC:
                self.mac(instr)
            elif instr["op"] in (lay.OP_NORM, lay.OP_EXP, lay.OP_TURN, lay.OP_SHARE):
                self.sfu(instr)
            elif instr["op"] == lay.OP_SHAPE:
                self.shape(instr)
                self.fetched += self.fetch
            elif instr["op"] == lay.OP_SYNC:
                self.fetched = max(self.fetched, self.tags[instr["bar_tag"]].done + 1) + self.fetch
        end = instrs[-1]
        done = self.tags[end["bar_tag"]].done + 1 if end["bar_use"] else 0
        total = max(self.fetched, done, self.quiet + 1)
        self.charge(instrs[-2].owner if len(instrs) > 1 else end.owner, total)
        return total


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
    """How often each phase runs in a start: behind a window's last bin, all phases but the last for all its bins."""
    bins, last = compiled.program.bins, len(compiled.phases) - 1
    if bins is None or start < bins - 1:
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
        for owner, cycles in _phase(compiled, compiled.phases[phase], keys).items():
            name = owner if owner in names else owner.split("~")[0].rpartition(".")[0] or owner
            charged[name if name in names else owner] += times * cycles
    charged[next(reversed(charged))] += starts
    runs = {name: repeats.get(phase, 0) for name, phase in compiled.phase_of.items()}
    bound = bound_of(compiled.program, keys, engine.products, bool(engine.packed), runs)
    return Cycles(charged.total(), dict(charged), bound)


def _phase(compiled: Compiled, instrs: tuple[Instr, ...], keys: int) -> Mapping[str, int]:
    """Cycles by owner of a phase, in order, until its END is taken."""
    if not compiled.engine.serial:
        timeline = _Timeline(compiled, keys)
        timeline.run(instrs)
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
            many = program.axis(node.inputs[1]).length or keys
            half += runs * 4 * many * node.op.size
        elif isinstance(node.op, SpatialWeights):
            half += runs * 2 * node.op.size * node.op.bins
        elif isinstance(node.op, SpatialMix):
            half += runs * 2 * node.op.size * node.op.size
    return max(-(-half // (2 * lanes)), -(-bits // (9 * lanes)))
