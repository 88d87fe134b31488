"""Random wirings of every op: Programs that are no NDT, to meet the compiler's buffers, tags and barriers."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.random import Generator
from op_engine import COUNTS, Case, linear, run, stimulus

from edgendt.engine.compile import Compiled
from edgendt.errors import DoesNotFit, UnsupportedOp
from edgendt.fixed import Codes, Int
from edgendt.ops import (
    GEGLU,
    Add,
    Attention,
    CrossAttention,
    LayerNorm,
    Lookup,
    Position,
    Rotary,
    SpatialMix,
    SpatialWeights,
    Table,
    Transpose,
)
from edgendt.ops.layernorm import eps_code
from edgendt.program import INDEX, INPUT, Axis, Input, Node, Program
from edgendt.sim.fast import FastCore

ACT, WIDE = Int(8, 4), Int(12, 6)


def function(rng: Generator, size: int, x: Int) -> tuple[Table, dict[str, Codes]]:
    """One of two functions of x, the same entries for the same formats."""
    op = Table(size, x, ACT if rng.random() < 0.5 else Int(8, 5, signed=False))
    entries = np.random.default_rng(x.bits + 100 * op.y.signed)
    return op, {"table": entries.integers(op.y.lo, op.y.hi + 1, 1 << x.bits)}


class Wiring:
    """Grows a Program node by node; `sources` are (name, size, format) of what exists.

    courses: a stream that may look at time courses. embedded: time courses are embedded before they are looked at.
    """

    def __init__(
        self,
        rng: Generator,
        channels: int,
        whole: bool = False,
        turns: bool = True,
        courses: bool = False,
        embedded: bool = False,
    ) -> None:
        self.rng, self.nodes, self.whole, self.turns, self.embedded = rng, [], whole, turns, embedded
        self.sources = [(INPUT, channels, COUNTS)]
        self.heads, self.width, self.window = (int(rng.integers(1, high)) for high in (4, 6, 6))
        self.rows = self.window if whole else 16 if courses else 8  # of position tables
        self.columns, self.spatial_heads = (
            0,
            2 if (whole or courses) and self.window % 2 == 0 and rng.random() < 0.5 else 1,
        )

    def name(self) -> str:
        return f"n{len(self.nodes)}"

    def add(self, node: Node, size: int) -> str:
        self.nodes.append(node)
        self.sources.append((node.name, size, node.op.y))
        return node.name

    def narrow(self) -> tuple[str, int, Int]:
        """A source of at most 8 bits."""
        good = [source for source in self.sources if source[2].bits <= 8]
        return good[int(self.rng.integers(len(good)))]

    def feed(self, size: int, form: Int) -> str:
        """A fresh Linear of `size` outputs."""
        source, inputs, x = self.narrow()
        return self.add(linear(self.rng, self.name(), inputs, size, x, form, source), size)

    def linear(self) -> None:
        self.feed(int(self.rng.integers(1, 14)), ACT if self.rng.random() < 0.6 else WIDE)

    def table(self) -> None:
        name, size, form = self.narrow()
        op, constants = function(self.rng, size, form)
        self.add(Node(self.name(), op, (name,), constants), size)

    def position(self) -> None:
        size = int(self.rng.integers(1, 10))
        x = self.feed(size, WIDE)
        table = self.rng.integers(-500, 500, (self.rows, size))
        self.add(Node(self.name(), Position(size, self.rows, WIDE), (x,), {"table": table}), size)

    def residual(self) -> None:
        """h + something: a fresh Linear, or any other source of that size and format."""
        name, size, form = self.sources[int(self.rng.integers(len(self.sources)))]
        if name == INPUT:
            return
        alike = [other for other, n, f in self.sources if (n, f) == (size, form)]
        other = self.feed(size, form) if self.rng.random() < 0.6 else alike[int(self.rng.integers(len(alike)))]
        self.add(Node(self.name(), Add(size, form), (name, other)), size)

    def norm(self) -> None:
        name, size, form = self.sources[int(self.rng.integers(len(self.sources)))]
        if not form.signed:
            return
        gamma, beta = self.rng.integers(-100, 100, size), self.rng.integers(-(1 << 15), 1 << 15, size)
        op = LayerNorm(size, form, Int(8, 6), ACT, eps_code(size, form))
        self.add(Node(self.name(), op, (name,), {"gamma": gamma, "beta": beta}), size)

    def turned(self, name: str, size: int, pairs: int) -> str:
        steps = tuple(self.rng.integers(1, 1 << 15, pairs).tolist()) if self.rng.random() < 0.2 else range(1, pairs + 1)
        return self.add(Node(self.name(), Rotary(size, tuple(steps), ACT, ACT), (name,)), size)

    def rotary(self) -> None:
        alike = [(name, size) for name, size, form in self.sources if size % 2 == 0 and form == ACT]
        if alike:
            name, size = alike[int(self.rng.integers(len(alike)))]
            self.turned(name, size, size // 2)

    def spatial(self) -> None:
        """Weights between the columns of a signed source, and what they mix; all of one size."""
        alike = [source for source in self.sources if self.columns in (0, source[1])]
        good = [source for source in alike if (source[2].bits <= 8 if self.embedded else source[2].signed)]
        if not good:
            return
        name, size, form = good[int(self.rng.integers(len(good)))]
        self.columns, bins = size, self.window
        kept = len(self.sources)
        tokens = self.add(Node(self.name(), Transpose(size, bins, form, causal=not self.whole), (name,)), bins)
        if self.embedded:
            tokens, form = self.course(tokens, size, form), WIDE
        gamma, beta = self.rng.integers(-100, 100, bins), self.rng.integers(-(1 << 15), 1 << 15, bins)
        norm = LayerNorm(bins, form, Int(8, 6), ACT, eps_code(bins, form))
        normed = self.add(Node(self.name(), norm, (tokens,), {"gamma": gamma, "beta": beta}), bins)
        pair = [self.add(linear(self.rng, self.name(), bins, bins, ACT, ACT, normed), bins) for _ in "qk"]
        shares = Int(int(self.rng.integers(5, 9)), int(self.rng.integers(4, 11)), signed=False)
        op = SpatialWeights(size, bins, self.spatial_heads, ACT, ACT, shares)
        weights = self.add(Node(self.name(), op, tuple(pair)), size)
        del self.sources[kept:]  # rows of channels
        alike = [(source, z) for source, n, z in self.sources if n == size and z.bits <= 8]
        z, z_form = alike[int(self.rng.integers(len(alike)))] if alike else (self.feed(size, ACT), ACT)
        y = (ACT, WIDE, form)[int(self.rng.integers(3))]
        self.add(Node(self.name(), SpatialMix(size, shares, z_form, y), (weights, z)), size)

    def course(self, courses: str, channels: int, form: Int) -> str:
        """Time courses by a Linear and, in a whole window, a row per channel; at times added to their own LayerNorm."""
        bins, rng = self.window, self.rng
        embedded = self.add(linear(rng, self.name(), bins, bins, form, WIDE, courses), bins)
        if self.whole and rng.random() < 0.7:
            table = rng.integers(-500, 500, (channels, bins))
            embedded = self.add(Node(self.name(), Position(bins, channels, WIDE), (embedded,), {"table": table}), bins)
        if form.signed and rng.random() < 0.4:
            affine = {"gamma": rng.integers(-100, 100, bins), "beta": rng.integers(-(1 << 15), 1 << 15, bins)}
            norm = LayerNorm(bins, form, Int(8, 6), ACT, eps_code(bins, form))
            normed = self.add(Node(self.name(), norm, (courses,), affine), bins)
            other = self.add(linear(rng, self.name(), bins, bins, ACT, WIDE, normed), bins)
            embedded = self.add(Node(self.name(), Add(bins, WIDE), (embedded, other)), bins)
        return embedded

    def attention(self) -> None:
        size = self.heads * self.width
        alike = [name for name, n, form in self.sources if (n, form) == (size, ACT)]
        inputs = []
        for slot in range(3):
            fresh = self.rng.random() < 0.7 or not alike
            inputs.append(self.feed(size, ACT) if fresh else alike[int(self.rng.integers(len(alike)))])
            if slot < 2 and self.width % 2 == 0 and self.turns and self.rng.random() < 0.5:
                inputs[-1] = self.turned(inputs[-1], size, self.width // 2)
        op = Attention(size, self.heads, self.window, ACT, ACT, ACT, ACT, causal=not self.whole)
        self.add(Node(self.name(), op, tuple(inputs)), size)


def random_case(
    seed: int,
    whole: bool = False,
    turns: bool | None = None,
    tables: bool = False,
    courses: bool = False,
    embedded: bool = False,
) -> Case:
    """A Program of four to sixteen nodes and its stimulus, of a whole window or of bins; tables: with functions.

    turns: with rotary position, which streams have unasked. courses: a stream whose channels attend to each other.
    embedded: what channels look at is their time courses embedded anew. UnsupportedOp when the draw makes no Program.
    """
    rng = np.random.default_rng(seed)
    turns = not whole if turns is None else turns
    wiring = Wiring(rng, int(rng.integers(1, 10)), whole, turns, courses, embedded)
    last = wiring.spatial if (whole or courses) and not (turns and rng.random() < 0.5) else wiring.rotary
    steps = (wiring.linear, wiring.position, wiring.residual, wiring.norm, wiring.attention, last)
    for step in rng.choice(6, int(rng.integers(3, 10)), p=[0.25, 0.1, 0.2, 0.2, 0.15, 0.1]):
        steps[int(step)]()
        if tables and rng.random() < 0.4:
            wiring.table()
    if not wiring.nodes or (whole and not any(isinstance(node.op, Attention | Transpose) for node in wiring.nodes)):
        raise UnsupportedOp("program", f"wiring{seed}", "nothing was drawn")
    program = Program(f"wiring{seed}", wiring.sources[0][1], COUNTS, tuple(wiring.nodes))
    return program, stimulus(rng, program, program.bins or (13 if courses else 7))


class TokenWiring:
    """Grows a network of tokens node by node; `sources` are (name, size, format) of what exists, by axis."""

    def __init__(self, rng: Generator, pipes: int, looked: bool = False) -> None:
        self.rng, self.nodes, self.pipes, self.looked = rng, [], pipes, looked
        rows = int(rng.integers(1, 7))
        codes = np.stack([rng.integers(0, 4, rows), rng.integers(0, 2, rows)], axis=1)
        times = rng.integers(0, 1 << 16, (rows, 1))
        self.inputs = [
            Input("latents", 2, Axis("latents", rows), codes),
            Input("latent_ms", 1, Axis("latents", rows), times),
        ]
        for name in ("token", "query"):
            axis = Axis({"token": "tokens", "query": "queries"}[name])
            self.inputs += [Input(axis.name, 2, axis), Input(f"{name}_ms", 1, axis)]
        self.times = {"tokens": "token_ms", "latents": "latent_ms", "queries": "query_ms"}
        self.sources: dict[str, list[tuple[str, int, Int]]] = {axis: [] for axis in self.times}
        self.pairs = self.pipes // 2 * int(rng.integers(1, 3))  # of a head
        self.heads = int(rng.integers(1, 4))
        self.steps = tuple((rng.integers(1, 1 << 15, self.pairs) * (rng.random(self.pairs) < 0.8)).tolist())
        for axis in self.times:
            self.lookup(axis)

    def add(self, axis: str, op: Any, inputs: tuple[str, ...], **constants: Any) -> tuple[str, int, Int]:
        self.nodes.append(Node(f"n{len(self.nodes)}", op, inputs, constants))
        self.sources[axis].append((self.nodes[-1].name, op.size, op.y))
        return self.sources[axis][-1]

    def of(self, axis: str, bits: int = 16) -> tuple[str, int, Int]:
        good = [source for source in self.sources[axis] if source[2].bits <= bits]
        return good[int(self.rng.integers(len(good)))]

    def lookup(self, axis: str, size: int | None = None) -> tuple[str, int, Int]:
        drawn, y = int(self.rng.integers(1, 14)), ACT if self.rng.random() < 0.7 else WIDE
        size, y = size or drawn, y if size is None and self.sources[axis] else ACT
        tables = {name: self.rng.integers(y.lo, y.hi + 1, (rows, size)) for name, rows in (("table", 4), ("kinds", 2))}
        op = Lookup(size, 4, 2, y)
        return self.add(axis, op, (axis,), **tables)

    def feed(
        self, axis: str, size: int, form: Int = ACT, source: tuple[str, int, Int] | None = None
    ) -> tuple[str, int, Int]:
        """A fresh Linear of `size` outputs."""
        name, inputs, x = source or self.of(axis, 8)
        node = linear(self.rng, "", inputs, size, x, form, name)
        return self.add(axis, node.op, node.inputs, **node.constants)

    def linear(self, axis: str) -> None:
        self.feed(axis, int(self.rng.integers(1, 14)), ACT if self.rng.random() < 0.6 else WIDE)

    def residual(self, axis: str) -> None:
        name, size, form = self.of(axis)
        self.add(axis, Add(size, form), (name, self.feed(axis, size, form)[0]))

    def norm(self, axis: str) -> None:
        name, size, form = self.of(axis)
        gamma, beta = self.rng.integers(-100, 100, size), self.rng.integers(-(1 << 15), 1 << 15, size)
        op = LayerNorm(size, form, Int(8, 6), ACT, eps_code(size, form))
        self.add(axis, op, (name,), gamma=gamma, beta=beta)

    def turned(self, axis: str, name: str, size: int, inverse: bool = False) -> str:
        op = Rotary(size, self.steps, ACT, ACT, inverse)
        return self.add(axis, op, (name, self.times[axis]))[0]

    def geglu(self, axis: str) -> None:
        size, source, gate = int(self.rng.integers(1, 14)), self.of(axis, 8), Int(8, int(self.rng.integers(3, 6)))
        halves = [self.feed(axis, size, form, source)[0] for form in (ACT, gate)]
        del self.sources[axis][-2:]
        self.add(axis, GEGLU(size, ACT, gate, Int(8, int(self.rng.integers(2, 7)))), tuple(halves))

    def table(self, axis: str) -> None:
        name, size, form = self.of(axis, 8)
        op, constants = function(self.rng, size, form)
        self.add(axis, op, (name,), **constants)

    def cross(self, axis: str) -> None:
        of = str(self.rng.choice([one for one in ("tokens", "latents") if axis != "tokens"] or ["latents"]))
        size = self.heads * 2 * self.pairs
        inputs = []
        for rows in (axis, of, of):
            alike = [name for name, n, form in self.sources[rows] if (n, form) == (size, ACT)]
            fresh = self.rng.random() < 0.8 or not alike
            make = self.lookup if self.looked and self.rng.random() < 0.5 else self.feed
            name = make(rows, size)[0] if fresh else alike[int(self.rng.integers(len(alike)))]
            inputs.append(self.turned(rows, name, size) if self.rng.random() < 0.6 else name)
        op = CrossAttention(size, size // (2 * self.pairs), 40, ACT, ACT, ACT, ACT)
        made = self.add(axis, op, tuple(inputs))
        if self.rng.random() < 0.5:
            self.turned(axis, made[0], size, inverse=True)


def random_tokens(seed: int, pipes: int = 2, tables: bool = False, looked: bool = False) -> Case:
    """A network of tokens of random wiring, and a window for it; tables: with functions; looked: attentions read rows.

    UnsupportedOp when the draw makes no Program.
    """
    rng = np.random.default_rng(seed)
    wiring = TokenWiring(rng, pipes, looked)
    steps = (wiring.linear, wiring.residual, wiring.norm, wiring.geglu, wiring.cross)
    for axis, most in (("tokens", 4), ("latents", 7), ("queries", 6)):
        for step in rng.choice(5, int(rng.integers(0, most)), p=[0.15, 0.15, 0.2, 0.15, 0.35]):
            if axis != "tokens" or steps[int(step)] != wiring.cross:
                steps[int(step)](axis)
                if tables and rng.random() < 0.4:
                    wiring.table(axis)
    wiring.linear("queries")
    program = Program(f"tokens{seed}", 0, INDEX, tuple(wiring.nodes), {}, Int(28), tuple(wiring.inputs))
    given = {}
    for name, axis, most in (("token", "tokens", 20), ("query", "queries", 4)):
        rows = int(rng.integers(1, most))
        given[axis] = np.stack([rng.integers(0, 4, rows), rng.integers(0, 2, rows)], axis=1)
        given[f"{name}_ms"] = rng.integers(0, 1 << 16, rows)
    return program, given


def held(
    core: FastCore, draw: Callable[[int], Case], seeds: int, wanted: Callable[[Program], bool] = lambda _: True
) -> list[Compiled]:
    """Those of so many draws that are wanted and that the engine holds; each must be exact, in the predicted cycles."""
    found = []
    for seed in range(seeds):
        try:
            case = draw(seed)
            if not wanted(case[0]):
                continue
            tally = run(case, core)
        except (UnsupportedOp, DoesNotFit):
            continue
        assert tally.mismatches == 0, f"{case[0].name}: {tally.first}"
        assert core.compiled is not None
        found.append(core.compiled)
    return found


def has(*kinds: type) -> Callable[[Program], bool]:
    """Whether a Program has such an op."""
    return lambda program: any(isinstance(node.op, kinds) for node in program.nodes)
