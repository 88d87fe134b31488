"""Program + Engine -> image, tap map, cycle model: the engine's compiler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgendt.engine import layout as lay
from edgendt.engine.config import Engine
from edgendt.engine.emit import Choice, Lowering, position_rows
from edgendt.engine.formats import check_formats, same_heads
from edgendt.engine.heads import Heads, layouts
from edgendt.engine.image import Image, Section
from edgendt.engine.layout import Instr
from edgendt.engine.phases import BINS, COLUMNS, TOKENS
from edgendt.engine.rows import axes, starts
from edgendt.engine.schedule import Emitter, Rows, Tap, channels_of
from edgendt.engine.sections import sections
from edgendt.engine.spatial import between_channels, columns
from edgendt.engine.tokens import TokenLowering
from edgendt.errors import DoesNotFit, MemoryTooSmall
from edgendt.fixed import Codes, Int
from edgendt.ops import Attention, CrossAttention, SpatialWeights, Transpose
from edgendt.program import BINS as BINS_AXIS
from edgendt.program import Program

NO_LIMIT = 0  # max_bins of a Program without position rows
NOTHING = np.zeros((0, 2), np.int64)  # events of an instruction that did not run
UNWRITTEN = -(1 << 31)  # in a decoded tap: no format has this code


@dataclass(frozen=True)
class Compiled:
    """A Program on an engine: instructions, configuration registers, memory contents and what each tap means."""

    program: Program
    engine: Engine
    instrs: tuple[Instr, ...]
    config: Mapping[str, int]
    taps: Mapping[int, Tap]
    sizes: Mapping[str, int]
    emitter: Emitter = field(repr=False, compare=False)
    choice: Choice
    phase_of: Mapping[str, int]  # of each node; 0 in a stream
    loops: tuple[int, ...]  # how often each phase runs: for each bin of a whole window, or each channel
    most: int = 0  # tokens of a window that there is room for

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """Memory contents; made when asked for, since of many schedules one is taken."""
        return tuple(sections(self.emitter, self.engine, self.config))

    @cached_property
    def image(self) -> Image:
        """What the host loads."""
        bins = last_start(self.program)
        return Image(self.engine.parameters(), channels_of(self.program), self.program.outputs, bins, self.sections)

    @property
    def limit(self) -> int:
        """The largest number that a start brings: a count, or a byte of a token or a query."""
        return 255 if self.program.inputs else self.program.input.hi

    @property
    def tap_map(self) -> dict[tuple[int, int, int], tuple[str, int]]:
        """(instruction, word address, pipe) -> (op name, index) for every code that a simulation tap shows."""
        pipes = self.engine.pipes
        return {
            (pc, tap.base + at // pipes, at % pipes): (tap.op, int(channel))
            for pc, tap in self._taps
            for at, channel in enumerate(tap.channels)
            if channel >= 0
        }

    @property
    def _taps(self) -> list[tuple[int, Tap]]:
        """(instruction, what it writes), twice where that is of two ops."""
        return [(pc, one) for pc, tap in self.taps.items() for one in (tap, tap.also) if one is not None]

    @cached_property
    def _tap_tables(self) -> dict[str, list[tuple[int, Codes, Codes, int]]]:
        """Per op: (instruction, positions, channels, codes to the next bin's position)."""
        tables: dict[str, list[tuple[int, Codes, Codes, int]]] = {}
        for pc, tap in self._taps:
            at, pipes = np.flatnonzero(tap.channels >= 0), self.engine.pipes
            tables.setdefault(tap.op, []).append((pc, at + tap.base * pipes, tap.channels[at], tap.stride * pipes))
        return tables

    @property
    def phases(self) -> tuple[tuple[Instr, ...], ...]:
        """The instructions up to each END: one phase, or those that a whole window repeats for every bin."""
        ends = [at + 1 for at, instr in enumerate(self.instrs) if instr["op"] == lay.OP_END]
        return tuple(self.instrs[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True))

    def rows(self, given: Any) -> dict[str, int]:
        """Rows of each axis that windows have as many of as they happen to, of this one. DoesNotFit for too many."""
        fed = self.program.feed(given)
        rows = {item.axis.name: len(fed[item.name]) for item in self.program.inputs if item.codes is None}
        tokens = axes(self.program)[0]
        if tokens is not None and (found := rows[tokens.name]) > self.most:
            what = f"a window of {found} {tokens}: this engine has room for {self.most} with {self.program.name}"
            raise DoesNotFit(what, "raise kv_depth and score_depth, or take shorter windows or fewer units")
        return rows

    def waits(self, given: Any) -> int:
        """Starts of a trial or a window before the first that is answered."""
        tokens = axes(self.program)[0] if self.program.inputs else None
        return self.program.bins or (self.rows(given)[tokens.name] if tokens else 0)

    def starts(self, counts: Any) -> Codes:
        """counts [bins, channels] of a trial -> what goes in with each start: a window's answers have their own.

        Of a network of tokens those and the queries, given by the names of its inputs.
        """
        if self.program.inputs:
            self.rows(counts)
            return starts(self.program, counts, self.sizes["looked"])
        return np.concatenate([counts, 0 * counts]) if self.program.bins else counts

    def answers(self, outputs: Codes, given: Any) -> Codes:
        """Outputs of the starts -> those of the bins, or of the queries."""
        return outputs[self.waits(given) :]

    def decode(self, events: Sequence[NDArray[np.int64]], given: Any = None) -> dict[str, Codes]:
        """events: [n, (instruction, word address * pipes + pipe, code)] of each start -> codes [bins, size] by op.

        A code never written is UNWRITTEN. In a whole window an instruction writes as much for one bin as for another.
        """
        if self.program.inputs:
            return self._decode(np.concatenate(events), self.rows(given))
        if self.program.bins:
            return self._decode(np.concatenate(events))
        window = self.config["window"]
        rows = [self._decode(one, slot=start % window) for start, one in enumerate(events)]
        return {op: np.concatenate([row[op] for row in rows]) for op in self._tap_tables}

    def _decode(
        self, events: NDArray[np.int64], open_rows: Mapping[str, int] | None = None, slot: int = 0
    ) -> dict[str, Codes]:
        """events: of one start, or of all starts of a window -> codes [rows, size] by op. slot: of a stream's bin."""
        codes: dict[str, Codes] = {}
        parts = _by_instruction(events)
        for op, tables in self._tap_tables.items():
            axis = self.program.axis(op)
            rows, first = self.program.rows(op) or (open_rows or {}).get(axis.name, 1), slot if axis == BINS_AXIS else 0
            got = np.full((rows, self.program.node(op).op.size), UNWRITTEN, np.int64)
            for pc, positions, channels, stride in tables:
                for row, part in enumerate(np.array_split(parts.get(pc, NOTHING), rows)):
                    at = part[:, 0] - (first + row) * stride
                    memory = np.full(int(positions.max()) + 1, UNWRITTEN, np.int64)
                    there = (at >= 0) & (at < len(memory))
                    memory[at[there]] = part[there, 1]
                    got[row, channels] = memory[positions]
            codes[op] = _as_written(got, self.program.node(op).op.y)
        return codes


def compile_program(program: Program, engine: Engine, choice: Choice | None = None) -> Compiled:
    """The fastest schedule of `program` on `engine`. UnsupportedOp: what it cannot hold; DoesNotFit: what to change."""
    compiled = attempts(program, engine, choice)
    fitting = [one for one in compiled if not shortfalls(one)]
    if not fitting:
        raise min((shortfalls(one) for one in compiled), key=len)[0]
    if len(fitting) == 1:
        return fitting[0]
    from edgendt.engine.cycles import steady  # the cycle model reads a Compiled

    return min(fitting, key=lambda one: steady(one).total)


def attempts(program: Program, engine: Engine, choice: Choice | None = None) -> list[Compiled]:
    """Every schedule worth trying, also those that do not fit."""
    check_formats(program, engine)
    if program.inputs:
        return _of_tokens(program, engine)
    attention = same_heads(program)
    choices = [choice] if choice is not None else choices_of(engine, attention)
    return [_compile(program, engine, one, attention) for one in choices]


def choices_of(engine: Engine, attention: Attention | None) -> list[Choice]:
    """Schedules worth trying."""
    if attention is None:
        return [Choice()]
    choices = []
    for heads in layouts(engine, attention):
        tiles = heads.sets * heads.value_tiles
        firsts = {tile * (engine.words >> heads.split) for tile in (0, 1, tiles // 2, tiles)}
        firsts |= {-(-heads.v_words * part // 4) for part in (1, 2, 3)} if engine.folds else set()
        if not attention.causal:
            firsts = {heads.v_words}  # all of V, a phase before the scores
        choices += [Choice(heads.groups, first, heads.split) for first in sorted(firsts)]
    return choices


def _of_tokens(program: Program, engine: Engine) -> list[Compiled]:
    """A network of tokens with room for as many as fit, in steps of a tile of keys."""
    tokens = axes(program)[0]
    if tokens is None:
        return [_compile(program, engine, Choice(), None)]
    attended = [
        (node.op, program.axis(node.inputs[1])) for node in program.nodes if isinstance(node.op, CrossAttention)
    ]
    keys = [op.keys for op, axis in attended if axis == tokens]
    lanes, most = engine.lane_count, min(*keys, (1 << 9) * engine.pipes, lay.KEYS)
    best = _compile(program, engine, Choice(), None, min(lanes, most))
    low, high = 1, -(-most // lanes)
    while low < high and not shortfalls(best):  # of so many tiles `low` are known to fit
        middle = (low + high + 1) // 2
        tried = _compile(program, engine, Choice(), None, min(middle * lanes, most))
        best, low, high = (best, low, middle - 1) if shortfalls(tried) else (tried, middle, high)
    return [best]


def _compile(program: Program, engine: Engine, choice: Choice, attention: Attention | None, most: int = 0) -> Compiled:
    config = dict.fromkeys(lay.CFG, 0) | {"window": 1, "groups": 1, "group_words": engine.words, "key_words": 1}
    config |= {
        "key_tiles": 1,
        "group_segs": engine.segments,
        "heads": 1,
        "head_sets": 1,
        "head_dim": 1,
        "value_rows": 1,
        "window": program.bins or trailing(program) or 1,
    }
    if attention is not None:
        config |= Heads(engine, attention, choice.groups, choice.split).configuration()
    shapes = _shapes(program, engine, config)

    def lowered(rows: Rows) -> Lowering:
        if program.inputs:
            return TokenLowering(program, engine, rows, most)
        return Lowering(program, engine, choice, rows, shapes)

    lowering = lowered(Rows())
    emitter, phases = lowering.run(), lowering.phases
    constant = max((item.axis.length for item in program.inputs), default=0)
    if phases:  # what is kept lies behind the rest, and now both are known
        sizes, many = emitter.sizes, max(program.rows(node.name) for node in program.nodes)
        ring = trailing(program) if program.streams else many
        rows = Rows(
            sizes["act"], sizes["res"], sizes["act_row"], sizes["res_row"], constant * sizes["pos"], sizes["looked"]
        )
        emitter = lowered(rows).run()
        emitter.sizes["act"] += many * sizes["act_row"]
        emitter.sizes["res"] += ring * sizes["res_row"]
    config["count_max"] = min(program.input.hi, 255)
    config["max_bins"] = last_start(program)
    config |= dict(zip(lay.CFG_ROWS, (emitter.rows.act_words, emitter.rows.res_words), strict=True))
    config["pos_stride"] = emitter.sizes["pos"]
    positions = emitter.sizes["pos"] * (position_rows(program) or constant) + emitter.sizes["table"]
    sizes = emitter.sizes | {"prog": len(emitter.instrs), "pos": positions}
    names = {node.name for node in program.nodes}  # the compiler's own copies have no op to compare with
    taps = {pc: tap for pc, tap in emitter.taps.items() if tap.op in names}
    phase_of = {name: phases.of[name] if phases else 0 for name in names}
    loops = tuple(shapes.get(over, config)["window"] for over in phases.over) if phases else (1,)
    if phases and program.streams:
        loops = tuple(1 if over == BINS else many for over, many in zip(phases.over, loops, strict=True))
    if program.inputs and phases:
        lengths = {str(item.axis): item.axis.length or 1 for item in program.inputs}
        loops = tuple(lengths[over] for over in phases.over)
    instrs = tuple(emitter.instrs)
    return Compiled(program, engine, instrs, config, taps, sizes, emitter, choice, phase_of, loops, most)


def trailing(program: Program) -> int:
    """Bins that the time courses of a stream look back at, its own included; 0 where none does."""
    return max((node.op.bins for node in program.nodes if isinstance(node.op, Transpose)), default=0)


def _shapes(program: Program, engine: Engine, config: Mapping[str, int]) -> dict[str, Mapping[str, int]]:
    """The configuration of each kind of phase, where they differ."""
    turned = [node.op for node in program.nodes if isinstance(node.op, Transpose)]
    if not turned:
        return {}
    tokens = columns(engine, config, turned[0].channels)
    for node in program.nodes:
        if isinstance(node.op, SpatialWeights):
            tokens |= between_channels(engine, node, node.op).configuration()
    return {BINS: config, TOKENS: tokens, COLUMNS: columns(engine, config, turned[0].channels)}


DEPTHS = {
    "weights": ("weight_depth", "weights per lane", "fewer or narrower layers"),
    "kv": ("kv_depth", "KV bytes per lane", "a smaller attention window, or fewer layers"),
    "bias": ("bias_depth", "bias words", "narrower layers"),
    "act": ("act_depth", "activation words", "a narrower FFN or a smaller window"),
    "res": ("res_depth", "residual words", "a smaller d_model"),
    "pos": (
        "pos_depth",
        "position words",
        "fewer position rows (max_bins, or columns where channels have rows), or with position=rotary, which has none",
    ),
    "score": ("score_depth", "score words", "a smaller attention window"),
    "gamma": ("gamma_depth", "LayerNorm words", "fewer layers"),
    "prog": ("prog_depth", "instructions", "fewer layers or heads"),
}


def shortfalls(compiled: Compiled) -> list[MemoryTooSmall]:
    """What does not fit and what to change, for every memory that is too small."""
    sizes, engine, found = compiled.sizes, compiled.engine, []
    over = {depth: sizes[name] for name, (depth, *_) in DEPTHS.items() if sizes[name] > getattr(engine, depth)}
    for depth, what, model in DEPTHS.values():
        if depth in over:
            told = f"{compiled.program.name} needs {over[depth]} {what}, the engine has {getattr(engine, depth)}"
            found.append(MemoryTooSmall(told, depth, over, f"train with {model}"))
    return found


def _by_instruction(events: NDArray[np.int64]) -> dict[int, NDArray[np.int64]]:
    """[n, (instruction, position, code)] in order -> [n, (position, code)] by instruction, in order."""
    events = events[np.argsort(events[:, 0], kind="stable")]
    numbers, first = np.unique(events[:, 0], return_index=True)
    return dict(zip(numbers.tolist(), np.split(events[:, 1:], first[1:]), strict=True)) if len(events) else {}


def last_start(program: Program) -> int:
    """Starts until a reset is needed: a window has one for each bin's counts and one for each bin's answer."""
    return 2 * program.bins if program.bins else program.max_bins or NO_LIMIT


def _as_written(codes: Codes, y: Int) -> Codes:
    """Tap bytes of an unsigned result come sign-extended."""
    byte = not y.signed and y.bits <= 8
    return np.where(codes == UNWRITTEN, codes, codes & 0xFF) if byte else codes
