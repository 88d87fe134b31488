"""Program to instructions: places tensors in the engine's memories and emits one pass after another.

The engine works in order, so an instruction may rely on everything that an earlier pass has *issued*. What is still
being written is guarded by tags (docs/engine.md): chaining on a source, a barrier, or a SYNC instruction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgendt.engine import layout as lay
from edgendt.engine.config import Engine
from edgendt.engine.heads import Positions
from edgendt.engine.layout import Instr
from edgendt.engine.tiling import Tiling, best
from edgendt.fixed import Int
from edgendt.ops import Attention, Linear, SpatialMix, SpatialWeights
from edgendt.program import INPUT, Node, Program

ROW_BYTES = 6  # of a token or a query: its row and its kind, in words of their tables, and its time


@dataclass
class Tensor:
    """Codes in a memory. `tag` guards them until they are known to be written (None)."""

    positions: Positions
    base: int  # word address
    words: int
    form: Int
    tag: int | None = None
    where: str = "act"
    stats_by: int = -1  # index of the pass that took the statistics
    rate: int = 0  # codes that come per cycle while the first reader chains on them; 0: it need not
    kept: int = 0  # 1: of every bin of a window; `base` is the first bin's


@dataclass
class Tap:
    """What an instruction writes: code of `channels[(address - base) * pipes + pipe]` of `op`."""

    op: str
    base: int
    channels: Positions
    stride: int = 0  # words to the next bin's
    also: Tap | None = None  # of another op, in the other places of the same words


@dataclass(frozen=True)
class Open:
    """Work of the special-function units: the tag it writes under and, if that still matters, what it reads."""

    tag: int
    reads: Tensor | None = None
    norm: bool = False
    res: bool = False  # it writes residual words


@dataclass(frozen=True)
class Rows:
    """Where the rows of what is kept for every bin of a window begin, and the words of each."""

    act: int = 0
    res: int = 0
    act_words: int = 0
    res_words: int = 0
    tables: int = 0  # where tables that the host's rows look up begin in the position memory
    looked: int = 0  # words of a row that is looked up: of the longest

    def stride(self, place: str) -> int:
        """Words from one bin's row to the next one's."""
        return self.res_words if place == "res" else self.act_words


@dataclass
class Region:
    """A stretch of the activation memory and the last instruction that may still read it."""

    base: int
    words: int
    reader: int


@dataclass(frozen=True)
class Weights:
    """Those of a pass, which become words once its schedule is taken: many are tried. node: a Linear, or one zero."""

    tiling: Tiling
    node: Node | None
    inputs: Positions
    outputs: Positions

    def codes(self) -> NDArray[np.int64]:
        """[rows, lanes]"""
        weight = np.zeros((1, 1), np.int64) if self.node is None else self.node.constants["weight"]
        whole = np.pad(weight, ((0, 1), (0, 1)))  # index -1, a hole, is zero
        return self.tiling.codes(whole[:, self.inputs][self.outputs])


@dataclass
class Words:
    """Memory contents that grow while instructions are emitted."""

    weights: list[Weights] = field(default_factory=list)
    bias: list[NDArray[np.int64]] = field(default_factory=list)  # each [words, pipes, (shift, bias)]
    pos: NDArray[np.int64] | None = None  # [bins, words, pipes]
    gamma: list[NDArray[np.int64]] = field(default_factory=list)  # each [words, sfus, (gamma, beta)]
    steps: list[NDArray[np.int64]] = field(default_factory=list)  # each [words * sfus], step and place in its pair
    tables: list[NDArray[np.int64]] = field(default_factory=list)  # each [words, pipes], rows that tokens look up
    functions: list[NDArray[np.int64]] = field(default_factory=list)  # each [256], by a code's byte
    times: NDArray[np.int64] | None = None  # of constant rows


class Emitter:
    """State of one compilation: instructions so far, tags, free memory."""

    def __init__(self, program: Program, engine: Engine, rows: Rows) -> None:
        self.program, self.engine, self.rows = program, engine, rows
        self.phase = 0
        self.instrs: list[Instr] = []
        self.taps: dict[int, Tap] = {}
        self.words = Words()
        self.sizes = {"weights": 0, "bias": 0, "gamma": 0, "kv": 0, "act": 0, "res": 0, "score": 0, "pos": 0}
        self.sizes |= {"angle": 0, "act_row": 0, "res_row": 0, "table": 0, "looked": 0}
        self.tensors: dict[tuple[str, str], Tensor] = {}  # by node and memory
        self.free_tags = list(range(lay.TAGS))
        self.owners: dict[int, Tensor | None] = {}
        self.free: tuple[list[Region], list[Region]] = [], []  # by whether it is kept
        self.free_res: list[tuple[int, int, int]] = []  # base, words, kept
        self.free_kv: list[tuple[int, int, int, int, int]] = []  # bases, sizes of keys and values, last phase's reads
        self.angles: dict[bytes, int] = {}  # base of a rotary's angles, by what they turn by
        self.open: list[Open] = []  # work of the special-function units that no pass has waited for
        channels = channels_of(program)
        words = -(-channels // engine.pipes)
        self.sizes["act"] = words
        self.tensors[INPUT, "act"] = Tensor(np.arange(channels), 0, words, program.input)

    # ---- tags ----

    def tag(self) -> int:
        """A free tag; when all are taken, the oldest owner's data is waited for."""
        if not self.free_tags:
            tag = next(tag for tag, owner in self.owners.items() if owner is not None)
            self.sync(tag)
        tag = self.free_tags.pop(0)
        return tag

    def unit_tag(self) -> int:
        """A free tag for the special-function units, which begin while the last pass may still look at its own tags."""
        last = next(instr for instr in reversed(self.instrs) if instr["op"] == lay.OP_MAC)
        looks = {last[f"{kind}_tag"] for kind in ("src", "bar") if last[f"{kind}_use"]}
        tags = [self.tag()]
        while tags[-1] in looks:
            tags.append(self.tag())
        self.free_tags = tags[:-1] + self.free_tags
        return tags[-1]

    def own(self, tensor: Tensor) -> Tensor:
        assert tensor.tag is not None
        self.owners[tensor.tag] = tensor
        return tensor

    def settle(self, tensor: Tensor) -> None:
        """The tensor is known to be written, or dead: its tag is free."""
        if tensor.tag is not None:
            self.release(tensor.tag)
            tensor.tag = None

    def release(self, tag: int) -> None:
        self.owners.pop(tag, None)
        self.free_tags.append(tag)

    def sync(self, tag: int) -> None:
        """Wait in the sequencer for everything under `tag`."""
        self.instrs.append(Instr("sync", {"op": lay.OP_SYNC, "bar_use": 1, "bar_tag": tag}))
        self.close(tag)
        owner = self.owners.get(tag)
        if owner is not None:
            self.settle(owner)

    def close(self, tag: int) -> None:
        """Later passes come after the SFU op of `tag`, so after those before it: they and what they read are done."""
        tags = [work.tag for work in self.open]
        if tag in tags:
            done, self.open = self.open[: tags.index(tag) + 1], self.open[tags.index(tag) + 1 :]
            for work in done:
                if work.reads is not None:
                    self.settle(work.reads)

    def end_phase(self, end: Instr) -> None:
        """Behind END everything is written and every unit idle."""
        self.instrs.append(end)
        self.phase += 1
        self.open = []
        for owner in list(self.owners.values()):
            if owner is not None:
                self.settle(owner)

    # ---- memory ----

    def place(self, words: int, safe: int, kept: int = 0) -> int:
        """Base of `words` activation words that no instruction after index `safe` still reads."""
        free = self.free[kept]
        for region in free:
            if region.words >= words and region.reader <= safe:
                base = region.base
                region.base, region.words = region.base + words, region.words - words
                if not region.words:
                    free.remove(region)
                return base
        return self.rows.act + self.grow("act_row", words) if kept else self.grow("act", words)

    def place_res(self, words: int, kept: int = 0) -> int:
        for item in self.free_res:
            if item[1:] == (words, kept):
                self.free_res.remove(item)
                return item[0]
        return self.rows.res + self.grow("res_row", words) if kept else self.grow("res", words)

    def place_kv(self, keys: int, values: int) -> tuple[int, int]:
        """Bases of the keys' and the values' bytes of an attention."""
        for item in self.free_kv:
            if item[2:4] == (keys, values) and item[4] < self.phase:
                self.free_kv.remove(item)
                return item[0], item[1]
        return self.grow("kv", keys), self.grow("kv", values)

    def unread(self, base: int, words: int) -> bool:
        """True when no open work reads these residual words, or writes any."""
        if any(work.res for work in self.open):
            return False
        reads = (work.reads for work in self.open)
        residual = (one for one in reads if one is not None and one.where not in ("act", "score"))
        return all(one.base + one.words <= base or base + words <= one.base for one in residual)

    def drop(self, tensor: Tensor) -> None:
        """No instruction after the last one emitted reads the tensor."""
        if all(work.reads is not tensor for work in self.open):
            self.settle(tensor)  # otherwise once that work is waited for: until then its tag may still be raised
        if tensor.where == "act":
            self.free[tensor.kept].append(Region(tensor.base, tensor.words, len(self.instrs) - 1))
        elif tensor.where == "res":
            self.free_res.append((tensor.base, tensor.words, tensor.kept))

    def grow(self, memory: str, words: int) -> int:
        """Base of `words` new words of a memory that is only ever filled."""
        base = self.sizes[memory]
        self.sizes[memory] += words
        return base

    # ---- instructions ----

    def mac(
        self,
        owner: str,
        fields: dict[str, int],
        source: Tensor | None,
        barrier: Tensor | None = None,
        apart: bool = False,
    ) -> int:
        """Append a pass; guards its source, its barrier and the ports it writes. Returns its index.

        apart: the residual words that it writes are none that the special-function units may still read.
        """
        dst = fields.get("dst", 0)
        touches = dst & (lay.DST_ACT | (0 if apart else lay.DST_RES)) or fields.get("add_res")
        # A LayerNorm still at work needs the statistics that this pass would overwrite.
        norms = [work.tag for work in self.open if work.norm]
        if fields.get("stats") and norms:
            self.sync(norms[-1])
        if source is not None and source.tag is not None:
            self.close(source.tag)
        if self.open and touches:
            self.sync(self.open[-1].tag)
        if source is not None and source.tag is not None:
            fields |= {"src_use": 1, "src_tag": source.tag}
        if barrier is not None and barrier.tag is not None:
            fields |= {"bar_use": 1, "bar_tag": barrier.tag}
        self.instrs.append(Instr(owner, {"op": lay.OP_MAC} | fields))
        return len(self.instrs) - 1

    def linear(
        self,
        node: Node,
        source: Tensor,
        outputs: Positions,
        fields: dict[str, int],
        barrier: Tensor | None = None,
        owner: str | None = None,
        apart: bool = False,
    ) -> int:
        """One pass of a Linear. outputs: the output at each place of the flat order, -1 for none."""
        op = node.op
        assert isinstance(op, Linear)
        pipes = self.engine.pipes
        words = -(-(int(np.flatnonzero(outputs >= 0)[-1]) + 1) // pipes)
        flat = np.full(words * pipes, -1)
        flat[: len(outputs)] = outputs[: len(flat)]
        inputs = len(source.positions)
        tiling = best(self.engine, op.w.bits, inputs, len(flat), source.rate or inputs)
        source.rate = 0
        tiles, length = tiling.tiles(len(flat)), tiling.elements(inputs)
        self.words.weights.append(Weights(tiling, node, source.positions, flat))
        steps = words - (tiles - 1) * tiling.words
        fields = {
            "xsigned": int(source.form.signed),
            "sbase": self.grow("weights", tiles * length),
            "sstride": length,
            "n_red": length,
            "n_tiles": tiles,
            "xbase": source.base * pipes,
            "rows_x": source.kept,
            "xstride": 1 << tiling.split,
            "paired": int(tiling.paired),
            "split": tiling.split,
            "steps": steps,
            "words": steps,
            "bias_base": self._bias(node, op, flat),
            "y1": lay.fmt(op.y),
            "y2": lay.fmt(op.y),
        } | fields
        return self.mac(owner or node.name, fields, source, barrier, apart)

    def nothing(self) -> dict[str, int]:
        """Fields of a pass over one element of weight zero: what it adds is all that comes out."""
        tiling = Tiling(self.engine, bool(self.engine.packed))
        self.words.weights.append(Weights(tiling, None, np.zeros(1, np.int64), np.zeros(1, np.int64)))
        fields = {"sbase": self.grow("weights", 1), "paired": int(tiling.paired)}
        return fields | {"sstride": 1, "n_red": 1, "n_tiles": 1, "xstride": 1}

    def _bias(self, node: Node, op: Linear, flat: Positions) -> int:
        """Base of the bias words, with their shifts, of outputs in flat order."""
        bias = np.append(node.constants["bias"], 0)
        shift = np.append(np.clip(op.shifts, *lay.SHIFTS), 0) + lay.SHIFT_BIAS
        rows = np.stack([shift, bias], axis=1)[flat].reshape(-1, self.engine.pipes, 2)
        self.words.bias.append(rows)
        return self.grow("bias", len(rows))


def channels_of(program: Program) -> int:
    """What comes with each start: a bin's counts, or the bytes of a token or a query."""
    return ROW_BYTES if program.inputs else program.channels


def norm_words(gamma: NDArray[np.int64], beta: NDArray[np.int64], sfus: int) -> NDArray[np.int64]:
    """[size] each -> [words, sfus, (gamma, beta)], zero beyond the size."""
    words = -(-len(gamma) // sfus)
    rows = np.zeros((words * sfus, 2), np.int64)
    rows[: len(gamma), 0], rows[: len(gamma), 1] = gamma, beta
    return rows.reshape(words, sfus, 2)


def need_of(readers: Iterable[tuple[Node, int]]) -> set[str]:
    """Where a node's codes must go for its readers: act, res, q, k, v."""
    places = set()
    for node, slot in readers:
        if isinstance(node.op, Linear):
            places.add("act")
        elif isinstance(node.op, Attention | SpatialWeights):
            places.add("qkv"[slot])
        elif isinstance(node.op, SpatialMix):
            places.add("act" if slot else "kv")
        else:
            places.add("res")
    return places
