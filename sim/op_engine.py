"""One-op Programs through the engine's RTL: what sim/test_<op>.py share.

The engine is the smallest that has every mechanism (two segments, two pipes), so that a mutated copy builds in seconds.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from bench import mutate
from numpy.random import Generator
from op_examples import OPS, example
from strategies import Example

from edgendt.compare import Tally
from edgendt.engine.compile import compile_program
from edgendt.engine.config import Engine
from edgendt.engine.emit import Choice
from edgendt.errors import EdgendtError, UnsupportedOp
from edgendt.fixed import Codes, Int
from edgendt.ops import (
    Add,
    Attention,
    LayerNorm,
    Linear,
    Lookup,
    Position,
    Rotary,
    SpatialMix,
    SpatialWeights,
    Transpose,
)
from edgendt.ops.layernorm import eps_code
from edgendt.program import INDEX, INPUT, Axis, Input, Node, Program, wants
from edgendt.sim.fast import FastCore, SimulationStuck, core_sources

TINY = Engine(
    segments=2,
    lanes=2,
    pipes=2,
    sfus=1,
    weight_depth=1 << 15,  # all golden cases of one op fit, their inputs among the weights
    kv_depth=4096,
    bias_depth=1024,
    act_depth=2048,
    prog_depth=64,
    packed=1,
    splits=2,
    rotary=1,
)
WINDOWS = replace(TINY, windows=1, res_depth=512)
TOKENS = replace(WINDOWS, tokens=1, acc_bits=28)
COUNTS = Int(4, 0, signed=False)
BYTES = Int(8, 0, signed=False)
Case = tuple[Program, Any]  # counts, or what a network of tokens is given


@cache
def engine(sources: tuple[Path, ...] | None = None, size: Engine = TINY) -> FastCore:
    """The tiny engine, compiled once per process."""
    return FastCore(size, sources)


def run(case: Case, core: FastCore, choice: Choice | None = None, taps: bool = True) -> Tally:
    """Every trace point, unless without taps, every output and every bin's cycles of one case."""
    program, counts = case
    core.load(compile_program(program, core.engine, choice))
    return core.compared(counts, taps)


def check(cases: Iterable[Case], choice: Choice | None = None, size: Engine = TINY) -> Tally:
    """All cases on the real sources; AssertionError with the first mismatch."""
    total = Tally()
    for program, counts in cases:
        tally = run((program, counts), engine(size=size), choice)
        assert tally.mismatches == 0, f"{program.name}: {tally.first}"
        total += tally
    return total


def rejects(cases: Sequence[Case], old: str, new: str, choice: Choice | None = None, size: Engine = TINY) -> bool:
    """True when the cases expose a core in whose sources `old` was replaced by `new`."""
    core = engine(tuple(mutate(core_sources(), old, new)), size)
    for case in cases:
        try:
            if run(case, core, choice).mismatches:
                return True
        except SimulationStuck:  # it hung, or broke one of its own assertions
            return True
    return False


def stimulus(rng: Generator, program: Program, bins: int) -> Codes:
    """[bins, channels]: random counts, a share at both limits."""
    counts = rng.integers(0, program.input.hi, (bins, program.channels), endpoint=True)
    kind = rng.integers(0, 8, counts.shape)
    return np.where(kind == 0, program.input.hi, np.where(kind == 1, 0, counts)).astype(np.int64)


def linear(rng: Generator, name: str, inputs: int, outputs: int, x: Int, y: Int, source: str = INPUT) -> Node:
    """A random Linear whose accumulator reaches past the output format, by shifts of either sign."""
    bits = int(rng.integers(2, 9))
    limit = 1 << (bits - 1)
    weight = rng.integers(-limit, limit, (outputs, inputs))
    reach = max(1, int(np.abs(weight).sum(axis=1).max()) * x.limit)
    shift = int(np.clip(reach.bit_length() - y.bits - rng.integers(-1, 3), -4, 12))
    per_output = rng.random() < 0.5
    w = Int(bits, shift + y.frac - x.frac)
    w_frac = tuple(int(w.frac + step) for step in rng.integers(-1, 2, outputs)) if per_output else None
    bias = rng.integers(-(reach // 2) - 1, reach // 2 + 1, outputs)
    return Node(name, Linear(inputs, outputs, x, w, y, w_frac), (source,), {"weight": weight, "bias": bias})


def residual(rng: Generator) -> Int:
    """A residual format."""
    bits = int(rng.choice([8, 10, 12, 16]))
    return Int(bits, bits - 5)


def linear_case(seed: int) -> Case:
    """One Linear, ReLU or not, into 8 or 16 bits."""
    rng = np.random.default_rng(seed)
    inputs, outputs = int(rng.integers(1, 40)), int(rng.integers(1, 40))
    y = Int(int(rng.choice([2, 5, 8, 12, 16])), int(rng.integers(-2, 6)), signed=bool(rng.random() < 0.7))
    program = Program(f"linear{seed}", inputs, COUNTS, (linear(rng, "y", inputs, outputs, COUNTS, y),))
    return program, stimulus(rng, program, 4)


def add_case(seed: int) -> Case:
    """Two Linears, the second added to the first; then a third, so that the sum is also read back."""
    rng = np.random.default_rng(seed)
    inputs, size, r = int(rng.integers(1, 12)), int(rng.integers(1, 20)), residual(rng)
    nodes = [linear(rng, name, inputs, size, COUNTS, r) for name in "abc"]
    adds = [Node("h", Add(size, r), ("a", "b")), Node("y", Add(size, r), ("h", "c"))]
    program = Program(f"add{seed}", inputs, COUNTS, (*nodes[:2], adds[0], nodes[2], adds[1]))
    return program, stimulus(rng, program, 4)


def position_case(seed: int) -> Case:
    """A Linear and a position row per bin, to the last row."""
    rng = np.random.default_rng(seed)
    inputs, size, bins, r = int(rng.integers(1, 12)), int(rng.integers(1, 20)), int(rng.integers(1, 9)), residual(rng)
    table = rng.integers(r.lo, r.hi, (bins, size), endpoint=True)
    nodes = (linear(rng, "x", inputs, size, COUNTS, r), Node("y", Position(size, bins, r), ("x",), {"table": table}))
    program = Program(f"position{seed}", inputs, COUNTS, nodes)
    return program, stimulus(rng, program, bins)


def layernorm_case(seed: int) -> Case:
    """A Linear into the residual format and its LayerNorm; every fifth input is constant."""
    rng = np.random.default_rng(seed)
    inputs, size, r = int(rng.integers(1, 12)), int(rng.integers(1, 40)), residual(rng)
    feed = linear(rng, "h", inputs, size, COUNTS, r)
    if seed % 5 == 0:
        feed = Node(
            "h", feed.op, feed.inputs, {"weight": feed.constants["weight"] * 0, "bias": feed.constants["bias"] * 0}
        )
    y = Int(8, int(rng.integers(3, 7)))
    op = LayerNorm(size, r, Int(8, int(rng.integers(4, 8))), y, eps_code(size, r))
    gamma, beta = rng.integers(-128, 128, size), rng.integers(-(1 << 18), 1 << 18, size)
    program = Program(f"layernorm{seed}", inputs, COUNTS, (feed, Node("y", op, ("h",), {"gamma": gamma, "beta": beta})))
    return program, stimulus(rng, program, 4)


def attention_case(seed: int) -> Case:
    """Three Linears and their attention, past the window's first turn."""
    rng = np.random.default_rng(seed)
    heads, inputs = int(rng.integers(1, 5)), int(rng.integers(1, 12))
    size, window = heads * int(rng.integers(1, 7)), int(rng.integers(1, 12))
    fracs = rng.integers(2, 6, 4)
    q, k, v, y = (Int(8, int(frac)) for frac in fracs)
    nodes = [linear(rng, name, inputs, size, COUNTS, form) for name, form in zip("qkv", (q, k, v), strict=True)]
    nodes.append(Node("y", Attention(size, heads, window, q, k, v, y), ("q", "k", "v")))
    program = Program(f"attention{seed}", inputs, COUNTS, tuple(nodes))
    return program, stimulus(rng, program, min(2 * window + 1, 14))


def rotary_case(seed: int) -> Case:
    """A Linear and what turns its codes; in every other case two of them and the attention that reads both."""
    rng = np.random.default_rng(seed)
    inputs, heads = int(rng.integers(1, 12)), int(rng.integers(1, 4))
    pairs = int(rng.integers(1, 5 if heads > 1 else 17))
    turning = rng.random(pairs) < 0.9  # the others stand still
    size, steps = 2 * heads * pairs, tuple((rng.integers(1, 1 << 15, pairs, endpoint=True) * turning).tolist())
    raw, turned = Int(8, int(rng.integers(2, 6))), Int(8, int(rng.integers(2, 6)))
    if seed % 2:
        x = linear(rng, "x", inputs, size, COUNTS, Int(int(rng.choice([5, 8, 11])), raw.frac))
        nodes = [x, Node("y", Rotary(size, steps, x.op.y, turned), ("x",))]
    else:
        nodes = [linear(rng, name, inputs, size, COUNTS, raw) for name in "qkv"]
        nodes += [Node(f"{name}_rot", Rotary(size, steps, raw, turned), (name,)) for name in "qk"]
        op = Attention(size, heads, int(rng.integers(1, 8)), turned, turned, raw, Int(8, int(rng.integers(2, 6))))
        nodes.append(Node("y", op, ("q_rot", "k_rot", "v")))
    program = Program(f"rotary{seed}", inputs, COUNTS, tuple(nodes))
    return program, stimulus(rng, program, 12)


def spatial_case(seed: int) -> Case:
    """Time courses of channels, weights between them, and what they mix: a whole window's three ops in a row."""
    rng = np.random.default_rng(seed)
    inputs, size, bins, r = int(rng.integers(1, 12)), int(rng.integers(1, 20)), int(rng.integers(1, 13)), residual(rng)

    def tokens() -> list[Node]:
        return [linear(rng, "h", inputs, size, COUNTS, r), Node("tokens", Transpose(size, bins, r), ("h",))]

    return _looked_at(f"spatial{seed}", rng, inputs, size, bins, r, tokens)


def course_case(seed: int) -> Case:
    """The same with time courses of operands, which a Linear and a row per channel make tokens of.

    More bins than channels, or fewer; in a third of them a row per bin too; in another a LayerNorm reads the courses.
    """
    rng = np.random.default_rng(seed)
    inputs, size, bins, r = int(rng.integers(1, 12)), int(rng.integers(1, 20)), int(rng.integers(1, 13)), residual(rng)
    x = Int(int(rng.integers(2, 9)), int(rng.integers(0, 4)), signed=seed % 3 == 1)

    def tokens() -> list[Node]:
        nodes = [linear(rng, "x", inputs, size, COUNTS, x), Node("courses", Transpose(size, bins, x), ("x",))]
        nodes.append(linear(rng, "row", bins, bins, x, r, "courses"))
        table = rng.integers(r.lo, r.hi, (size, bins), endpoint=True)
        nodes.append(Node("tokens", Position(bins, size, r), ("row",), {"table": table}))
        if x.signed:
            affine = {"gamma": rng.integers(-128, 128, bins), "beta": rng.integers(-(1 << 17), 1 << 17, bins)}
            nodes.append(Node("also", LayerNorm(bins, x, Int(8, 6), x, eps_code(bins, x)), ("courses",), affine))
            nodes.append(linear(rng, "other", bins, bins, x, r, "also"))
            nodes.append(Node("both", Add(bins, r), ("tokens", "other")))
        return nodes

    return _looked_at(f"courses{seed}", rng, inputs, size, bins, r, tokens, seed % 3 == 2)


def _looked_at(
    name: str,
    rng: Generator,
    inputs: int,
    size: int,
    bins: int,
    r: Int,
    tokens: Callable[[], list[Node]],
    rows: bool = False,
) -> Case:
    """Weights between tokens of format r, the last of those nodes, and what they mix; with `rows`, a row per bin."""
    heads = 2 if bins % 2 == 0 and rng.random() < 0.7 else 1
    q, k, z, token = (Int(8, int(frac)) for frac in rng.integers(2, 6, 4))
    shares = Int(int(rng.choice([4, 8])), int(rng.integers(3, 11)), signed=False)
    y = Int(int(rng.choice([8, 12, 16])), int(rng.integers(z.frac + shares.frac - 12, z.frac + shares.frac + 1)))
    norm = LayerNorm(bins, r, Int(8, 6), token, eps_code(bins, r))
    affine = {"gamma": rng.integers(-128, 128, bins), "beta": rng.integers(-(1 << 17), 1 << 17, bins)}
    nodes = tokens()
    nodes += [
        Node("norm", norm, (nodes[-1].name,), affine),
        linear(rng, "q", bins, bins, token, q, "norm"),
        linear(rng, "k", bins, bins, token, k, "norm"),
        Node("weights", SpatialWeights(size, bins, heads, q, k, shares), ("q", "k")),
        linear(rng, "z", inputs, size, COUNTS, z),
        Node("y", SpatialMix(size, shares, z, y), ("weights", "z")),
    ]
    if rows:
        table = rng.integers(y.lo, y.hi, (bins, size), endpoint=True)
        last = linear(rng, "last", inputs, size, COUNTS, y)
        nodes += [last, Node("placed", Position(size, bins, y), ("last",), {"table": table})]
    program = Program(name, inputs, COUNTS, tuple(nodes))
    return program, stimulus(rng, program, bins)


def carried(name: str, given: Example, tied: bool = False) -> Case:
    """The example as a Program: each bin's counts pick its codes out of the weights of a Linear per input.

    An accumulator is 2 * code, or with `tied` 2 * code + 1, so that the input itself is a tie that the op's own Linear
    rounds. UnsupportedOp where the engine's compiler or the Program holds no such op.
    """
    op, bins = given.op, len(given.inputs[0])
    wide = any(form.limit > 128 for _, form in wants(op))  # 8-bit weights hold no such code: code = 127 * high + low
    nodes, names = [], []
    for index, (codes, (size, form)) in enumerate(zip(given.inputs, wants(op), strict=True)):
        high = np.round(codes / 127).astype(np.int64) if wide else 0 * codes
        parts = [high // 3, (high + 1) // 3, (high + 2) // 3] if wide else []
        weight = np.concatenate([*parts, codes - 127 * high]).T
        feed = Linear(len(weight[0]), size, BYTES, Int(8, form.frac + 1), form)
        names.append(f"x{index}")
        nodes.append(Node(names[-1], feed, (INPUT,), {"weight": weight, "bias": np.full(size, int(tied))}))
    counts = np.concatenate([254 * np.eye(bins, dtype=np.int64)] * (3 * wide) + [2 * np.eye(bins, dtype=np.int64)], 1)
    program = Program(name, counts.shape[1], BYTES, (*nodes, Node("y", op, tuple(names), given.constants)))
    assert tied or np.array_equal(program.run(counts), given.run())
    return program, counts


def looked_up(name: str, given: Example, axes: Sequence[str], times: Codes | None = None) -> Case:
    """The example as a network of tokens: inputs of an axis lie side by side in the rows of a Lookup.

    Linears part them.

    axes: of each input; the first one's rows are the queries. times: by which a Rotary turns its rows.
    """
    nodes, names, window = [], [""] * len(axes), {}
    inputs = [Input(axis, 2, Axis(axis)) for axis in dict.fromkeys(axes)]
    for axis in dict.fromkeys(axes):
        slots = [slot for slot, one in enumerate(axes) if one == axis]
        table = np.concatenate([given.inputs[slot] for slot in slots], axis=1)
        rows, size = table.shape
        tables = {"table": table, "kinds": np.zeros((1, size), np.int64)}
        nodes.append(Node(axis + "_rows", Lookup(size, rows, 1, Int(8)), (axis,), tables))
        window[axis] = np.stack([np.arange(rows), 0 * np.arange(rows)], axis=1)
        at = 0
        for slot in slots:
            width, form = list(wants(given.op))[slot]
            feed = Linear(size, width, Int(8), Int(2, form.frac), form)
            part = {"weight": np.eye(size, dtype=np.int64)[at : at + width], "bias": np.zeros(width, np.int64)}
            names[slot], at = f"x{slot}", at + width
            nodes.append(Node(names[slot], feed, (axis + "_rows",), part))
    if times is not None:
        inputs.append(Input("times", 1, inputs[0].axis))
        names.append("times")
        window["times"] = times
    nodes.append(Node("y", given.op, tuple(names), given.constants))
    return Program(name, 0, INDEX, tuple(nodes), {}, Int(28), tuple(inputs)), window


def token_cases(make: Callable[[int], Case], count: int) -> list[Case]:
    """Cases of the first seeds that make a Program which the engine for tokens holds."""
    found: list[Case] = []
    for seed in range(100 * count):
        try:
            case = make(seed)
            compile_program(case[0], TOKENS).starts(case[1])
        except EdgendtError:
            continue
        found.append(case)
        if len(found) == count:
            break
    assert len(found) == count
    return found


def examples(kind: str, count: int, tied: bool = False) -> list[Case]:
    """The first `count` of the examples that the C++ ops are held to and the engine carries.

    It carries no unsigned input of a LayerNorm or an attention, no negative last shift of a LayerNorm, and no more bins
    than a Program of 256 channels can tell apart.
    """
    found: list[Case] = []
    seed = 0
    while len(found) < count:
        op = OPS[kind][seed % len(OPS[kind])]
        try:
            case = carried(f"{kind}{seed}", example(op, np.random.default_rng(seed)), tied)
            compile_program(case[0], TINY)
            found.append(case)
        except UnsupportedOp:
            pass
        seed += 1
    return found


def cases(make: Callable[[int], Case], count: int) -> list[Case]:
    """Cases of the first `count` seeds that make a Program (a random one may leave the accumulator)."""
    found: list[Case] = []
    seed = 0
    while len(found) < count:
        try:
            found.append(make(seed))
        except EdgendtError:
            pass
        seed += 1
    return found
