"""Networks for tests: random NDTs of any geometry, and the golden one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from golden_cases import arrays, scalar

from edgendt.artifact import Run
from edgendt.data.stimulus import packed
from edgendt.engine.reference import Network
from edgendt.fixed import Codes, Int
from edgendt.ops import (
    Add,
    Attention,
    LayerNorm,
    Linear,
    Position,
    Rotary,
    SpatialMix,
    SpatialWeights,
    Transpose,
)
from edgendt.ops.layernorm import eps_code
from edgendt.ops.rotary import geometric
from edgendt.program import INPUT, Node, Program

ACT, QKV = Int(8, 5), Int(8, 4)


def ndt_nodes(parts: dict[str, tuple[Any, dict[str, Codes]]], layers: int) -> tuple[Node, ...]:
    """The NDT's wiring; `parts` gives (op, constants) by node name."""
    wiring: list[tuple[str, tuple[str, ...]]] = [("embed_linear", (INPUT,))]
    rotary = "embed" not in parts
    wiring += [] if rotary else [("embed", ("embed_linear",))]
    tokens = ""
    if "course" in parts:
        names = ("spread", "courses", "course_linear", "course")
        wiring += [(name, (source,)) for name, source in zip(names, (INPUT, *names), strict=False)]
        tokens = "course"
    stream, turned = ("embed_linear", "_rot") if rotary else ("embed", "")
    for i in range(layers):
        p = f"layer{i}."
        wiring += [(p + "ln1", (stream,)), *((p + n, (p + "ln1",)) for n in "qkv")]
        wiring += [(p + n + turned, (p + n,)) for n in "qk" if rotary]
        wiring += [(p + "attention", (p + "q" + turned, p + "k" + turned, p + "v")), (p + "o", (p + "attention",))]
        wiring += [(p + "res1", (stream, p + "o")), (p + "ln2", (p + "res1",)), (p + "f1", (p + "ln2",))]
        wiring += [(p + "f2", (p + "f1",)), (p + "res2", (p + "res1", p + "f2"))]
        if p + "lns" in parts:
            wiring += [] if tokens else [(p + "tokens", (stream,))]
            wiring += [(p + "lns", (tokens or p + "tokens",))]
            tokens = ""
            wiring += [(p + n, (p + "lns",)) for n in ("sq", "sk")]
            wiring += [(p + "weights", (p + "sq", p + "sk")), (p + "ln3", (p + "res2",))]
            wiring += [(p + "mix", (p + "weights", p + "ln3")), (p + "res3", (p + "res2", p + "mix"))]
            wiring += [(p + "ln4", (p + "res3",)), (p + "f3", (p + "ln4",)), (p + "f4", (p + "f3",))]
            wiring += [(p + "res4", (p + "res3", p + "f4"))]
        stream = p + ("res4" if p + "lns" in parts else "res2")
    wiring += [("lnf", (stream,)), ("readout", ("lnf",))]
    return tuple(Node(name, parts[name][0], inputs, parts[name][1]) for name, inputs in wiring)


def golden_ndt() -> tuple[Program, Codes, dict[str, Codes]]:
    """(Program, counts, expected codes by trace point) of the golden network."""
    a = {name.removeprefix("ndt/"): value for name, value in arrays().items() if name.startswith("ndt/")}
    s = {name: scalar(value) for name, value in a.items() if value.size == 1}
    d, channels = a["embed_w"].shape
    counts, r = Int(s["counts_bits"], 0, False), Int(s["rbits"], s["rfrac"])
    parts: dict[str, tuple[Any, dict[str, Codes]]] = {}

    def linear(name: str, w: Codes, b: Codes, x: Int, wfrac: int, bits: int, y: Int) -> Int:
        parts[name] = (Linear(w.shape[1], len(w), x, Int(bits, wfrac), y), {"weight": w, "bias": b})
        return y

    def norm(name: str, prefix: str, stem: str, eps: int, gfrac: int, yfrac: int) -> Int:
        op = LayerNorm(d, r, Int(8, gfrac), Int(8, yfrac), eps)
        parts[name] = (op, {"gamma": a[f"{prefix}{stem}_gamma"], "beta": a[f"{prefix}{stem}_beta"]})
        return op.y

    linear("embed_linear", a["embed_w"], np.zeros(d, np.int64), counts, s["embed_wfrac"], 8, r)
    parts["embed"] = (Position(d, len(a["pos"]), r), {"table": a["pos"]})
    layers = 2
    expected = {"embed": a["trace_embed"], "lnf": a["trace_lnf"], "readout": a["y"]}
    for i in range(layers):
        p, n = f"layer{i}/", f"layer{i}."
        wfrac, qkv = s[p + "wfrac"], Int(8, s[p + "qkvfrac"])
        attn, ffn = Int(8, s[p + "attnfrac"]), Int(8, s[p + "ffnfrac"], False)
        ln = norm(n + "ln1", p, "ln1", s[p + "E"], s[p + "gfrac"], s[p + "lnfrac"])
        for c in "qkv":
            linear(n + c, a[f"{p}{c}_w"], a[f"{p}{c}_b"], ln, wfrac, 4, qkv)
        parts[n + "attention"] = (Attention(d, s["heads"], s["window"], qkv, qkv, qkv, attn), {})
        linear(n + "o", a[p + "o_w"], a[p + "o_b"], attn, wfrac, 4, r)
        norm(n + "ln2", p, "ln2", s[p + "E"], s[p + "gfrac"], s[p + "lnfrac"])
        linear(n + "f1", a[p + "f1_w"], a[p + "f1_b"], ln, wfrac, 4, ffn)
        linear(n + "f2", a[p + "f2_w"], a[p + "f2_b"], ffn, wfrac, 4, r)
        parts[n + "res1"] = parts[n + "res2"] = (Add(d, r), {})
        expected |= {n + t: a[f"{p}trace_{t}"] for t in "ln1 q k v attention res1 ln2 f1 res2".split()}
    ln = norm("lnf", "", "lnf", s["E"], s["gfrac"], s["lnfrac"])
    linear("readout", a["readout_w"], a["readout_b"], ln, s["readout_wfrac"], 8, Int(16, s["outfrac"]))
    program = Program("golden", channels, counts, ndt_nodes(parts, layers))
    return program, a["x"], expected


@dataclass
class Draw:
    """Random ops and constants of an NDT: codes use their range and a share of them saturates.

    per_channel: every output's weights have a fraction of their own; mixed: every Linear draws its weight bits.
    """

    rng: np.random.Generator
    d: int
    r: Int
    per_channel: bool
    mixed: bool
    parts: dict[str, tuple[Any, dict[str, Codes]]] = field(default_factory=dict)

    def linear(self, name: str, source: Int, n: int, m: int, bits: int, y: Int, biased: bool = True) -> None:
        rng = self.rng
        bits = int(rng.integers(2, 9)) if self.mixed else bits
        limit = 2 ** (bits - 1) - 1
        weight = rng.integers(-limit - (rng.random() < 0.5), limit, (m, n), endpoint=True)
        # The accumulator's spread is a third of the output range: ties, limits and the middle occur.
        spread = max(1.0, (limit / 1.7) * (source.hi / 3.0) * n**0.5)
        w_form = Int(bits, y.frac - source.frac + round(np.log2(spread / (y.hi / 3))))
        w_frac = tuple(int(w_form.frac + v) for v in rng.integers(-1, 2, m)) if self.per_channel else None
        bias = rng.integers(-int(spread), int(spread), m, endpoint=True) if biased else np.zeros(m, np.int64)
        self.parts[name] = (Linear(n, m, source, w_form, y, w_frac), {"weight": weight, "bias": bias})

    def norm(self, name: str, size: int | None = None) -> None:
        """size: d by default."""
        size = size or self.d
        op = LayerNorm(size, self.r, Int(8, 6), ACT, eps_code(size, self.r))
        gamma, beta = self.rng.integers(-127, 127, size), self.rng.integers(-(2**17), 2**17, size)
        self.parts[name] = (op, {"gamma": gamma, "beta": beta})

    def layer(self, n: str, weight: int, ffn: int, attention: Attention, steps: tuple[int, ...]) -> None:
        """steps: of rotary position; none without it."""
        d, hidden = self.d, Int(8, 5, False)
        self.norm(n + "ln1")
        for c in "qkv":
            self.linear(n + c, ACT, d, d, weight, attention.q)
        if steps:
            for c in "qk":
                self.parts[f"{n}{c}_rot"] = (Rotary(d, steps, attention.q, attention.q), {})
        self.parts[n + "attention"] = (attention, {})
        self.linear(n + "o", attention.y, d, d, weight, self.r)
        self.norm(n + "ln2")
        self.linear(n + "f1", ACT, d, ffn, weight, hidden)
        self.linear(n + "f2", hidden, ffn, d, weight, self.r)
        self.parts[n + "res1"] = self.parts[n + "res2"] = (Add(d, self.r), {})

    def courses(self, counts: Int, channels: int, bins: int) -> None:
        """The tokens of a first layer that are the counts' own time courses; columns without a channel are zero."""
        d, rng = self.d, self.rng
        spread = np.zeros((d, channels), np.int64)
        spread[rng.permutation(d)[:channels], np.arange(channels)[:d]] = 1
        ones = {"weight": spread, "bias": np.zeros(d, np.int64)}
        self.parts["spread"] = (Linear(channels, d, counts, Int(2, 0), counts), ones)
        self.parts["courses"] = (Transpose(d, bins, counts), {})
        self.linear("course_linear", counts, bins, bins, 8, self.r)
        table = rng.integers(self.r.lo // 2, self.r.hi // 2, (d, bins))
        self.parts["course"] = (Position(bins, d, self.r), {"table": table})

    def spatial(self, n: str, weight: int, ffn: int, bins: int, heads: int, causal: bool) -> None:
        """The spatial stream of an STNDT's layer. bins: of the time courses."""
        d, hidden, shares = self.d, Int(8, 5, False), Int(8, int(self.rng.integers(7, 12)), False)
        self.parts[n + "tokens"] = (Transpose(d, bins, self.r, causal), {})
        self.norm(n + "lns", bins)
        for name in ("sq", "sk"):
            self.linear(n + name, ACT, bins, bins, weight, QKV)
        self.parts[n + "weights"] = (SpatialWeights(d, bins, heads, QKV, QKV, shares), {})
        self.norm(n + "ln3")
        self.parts[n + "mix"] = (SpatialMix(d, shares, ACT, self.r), {})
        self.norm(n + "ln4")
        self.linear(n + "f3", ACT, d, ffn, weight, hidden)
        self.linear(n + "f4", hidden, ffn, d, weight, self.r)
        self.parts[n + "res3"] = self.parts[n + "res4"] = (Add(d, self.r), {})


def random_ndt(
    seed: int,
    channels: int = 12,
    d: int = 16,
    layers: int = 2,
    heads: int = 2,
    ffn: int = 24,
    window: int = 9,
    outputs: int = 14,
    bins: int = 33,
    weight: int = 4,
    embed: int = 8,
    readout: int = 8,
    residual: int = 12,
    counts: int = 4,
    per_channel: bool = False,
    mixed: bool = False,
    rotary: bool = False,
    causal: bool = True,
    spatial: int = 0,
    courses: bool = False,
) -> Program:
    """A network with random weights, see Draw.

    rotary: by rotary position, without `bins` rows. Not causal: the whole window is `bins`. spatial: heads of attention
    between the d columns, as in an STNDT; causal, time courses of `window` bins. courses: its first layer's tokens are
    those of the counts.
    """
    window = window if causal else bins
    r, x = Int(residual, residual - 5), Int(counts, 0, False)
    draw = Draw(np.random.default_rng(seed), d, r, per_channel, mixed)
    draw.linear("embed_linear", x, channels, d, embed, r, biased=rotary)
    if not rotary:
        draw.parts["embed"] = (Position(d, bins, r), {"table": draw.rng.integers(r.lo // 8, r.hi // 8, (bins, d))})
    if courses:
        draw.courses(x, channels, bins)
    attention = Attention(d, heads, window, QKV, QKV, QKV, ACT, causal)
    for i in range(layers):
        draw.layer(f"layer{i}.", weight, ffn, attention, geometric(d // heads // 2, window) if rotary else ())
        if spatial:
            draw.spatial(f"layer{i}.", weight, ffn, window, spatial, causal)
    draw.norm("lnf")
    draw.linear("readout", ACT, d, outputs, readout, Int(16, 10))
    return Program(f"random{seed}", channels, x, ndt_nodes(draw.parts, layers))


def random_counts(program: Program, seed: int, bins: int) -> Codes:
    """counts: [bins, channels], Poisson with some entries at the limit."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(1.5, (bins, program.channels))
    counts[rng.random(counts.shape) < 0.02] = program.input.hi
    return np.minimum(counts, program.input.hi).astype(np.int64)


def save_run(folder: Path, program: Program, lengths: Sequence[int]) -> Run:
    """A run whose network is `program`; its test trials are random counts of these lengths."""
    counts = np.zeros((len(lengths), max(lengths), program.channels), np.int64)
    for trial, length in enumerate(lengths):
        counts[trial, :length] = random_counts(program, trial, length)
    return keep_run(folder, program, counts=counts, lengths=np.array(lengths), bin_s=0.02)


def keep_run(folder: Path, program: Program, **stimulus: Any) -> Run:
    """A run as quantize leaves it: its network, and the arrays of stimulus.npz."""
    run = Run(folder)
    with run.write("quantize") as stage:
        program.save(stage / "program.edt")
        np.savez(stage / "stimulus.npz", **stimulus)
    return run


def one_trial(program: Program, given: Any) -> dict[str, Any]:
    """stimulus.npz's arrays of one trial, counts [bins, channels], or one window of tokens."""
    return packed([given]) if program.inputs else {"counts": given[None], "lengths": np.array([len(given)])}


def random_of(network: Network, seed: int, bins: int) -> Program:
    """A reference network with random weights and `bins` position rows."""
    n = network
    sizes = (n.channels, n.d, n.layers, n.heads, n.ffn, n.window, n.outputs, bins)
    return random_ndt(seed, *sizes, embed=n.ends, readout=n.ends)
