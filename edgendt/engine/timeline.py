"""The engine's units in time: a mirror of edt_{seq,issue,drain,sfu_seq,kcol}.sv, from the instructions of a start.

Times are cycle numbers with start_i in cycle 0. "Announced in cycle A" means that an element which needs the word can
be issued in cycle A + 3 and not before. Nothing depends on data, only on the number of keys.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from edgendt.engine import layout as lay
from edgendt.engine.layout import Instr
from edgendt.engine.phases import shaped

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
ANGLES = 8  # start, and two cycles a channel, one with tokens -> the bin's angles
CHAIN = 3  # announcement -> issue


@dataclass
class _Tag:
    """What is written under a tag: announcements of its words in order, from word address `base` on, and the end."""

    owner: str = ""
    sfu: bool = False
    base: int = 0
    words: list[int] = field(default_factory=list)
    done: int = 0
    begun: int = 0  # a key's column


class Timeline:
    """The engine's units, each with the cycle at which it is next free."""

    def __init__(self, compiled: Compiled, keys: int, before: int = 0) -> None:
        """before: cycles since the start, while which angles were on their way."""
        self.engine, self.config, self.keys = compiled.engine, compiled.config, keys
        self.tokens = keys
        self.angles = (2 - self.engine.tokens) * compiled.sizes["angle"] * self.engine.sfus + ANGLES
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
        self.angles_ok = max(0, self.angles - before)
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
        """Another attention's geometry, all its keys in use, or a stream's; of tokens also the row's angles."""
        self.config = shaped(self.config, instr)
        self.keys = self.tokens if instr["tag_fin"] else self.config["window"]
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
