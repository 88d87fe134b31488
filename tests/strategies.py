"""Hypothesis strategies: ops over formats and shapes, with codes biased to ties and limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from edgendt.fixed import Codes, Int
from edgendt.ops import (
    Add,
    Attention,
    LayerNorm,
    Linear,
    Op,
    Position,
    Rotary,
    SpatialMix,
    SpatialWeights,
    Table,
    Transpose,
)
from edgendt.ops.attention import ALL
from edgendt.ops.layernorm import BETA, eps_code
from edgendt.ops.rotary import COS, SIN

ACCUMULATOR = Int(24)


@dataclass(frozen=True)
class Example:
    """One op with inputs [rows, size] and constants: every implementation of the op must give op.run's codes."""

    op: Op
    inputs: tuple[Codes, ...]
    constants: dict[str, Codes]

    def run(self) -> Codes:
        """The reference's codes. [bins, size]"""
        return self.op.run(*self.inputs, **self.constants)  # type: ignore[call-arg,arg-type]


def biased(rng: np.random.Generator, form: Int, shape: tuple[int, ...]) -> Codes:
    """Codes of `form`: a random mix of uniform, small, limits and their neighbours; now and then all equal."""
    uniform = rng.integers(form.lo, form.hi, shape, endpoint=True)
    small = np.clip(rng.integers(-3, 3, shape, endpoint=True), form.lo, form.hi)
    edges = rng.choice([form.lo, form.lo + 1, form.hi - 1, form.hi], shape)
    pick = rng.choice(3, shape, p=rng.dirichlet([1.0, 0.7, 0.5]))
    mixed = np.choose(pick, [uniform, small, edges])
    return np.full(shape, mixed.flat[0]) if rng.random() < 0.05 else mixed


generators = st.integers(0, 2**32 - 1).map(np.random.default_rng)


@st.composite
def formats(draw: st.DrawFn, bits: tuple[int, int] = (8, 8), frac: tuple[int, int] = (0, 7), signed: Any = True) -> Int:
    """A format with bits and fraction in the given ranges; signed: or a strategy for it."""
    sign = draw(signed) if isinstance(signed, st.SearchStrategy) else signed
    return Int(draw(st.integers(*bits)), draw(st.integers(*frac)), sign)


@st.composite
def linears(draw: st.DrawFn, most: int = 24) -> Example:
    """A Linear whose first row's accumulators are ties wherever its shift is right, the others biased codes."""
    rng, inputs, outputs = draw(generators), draw(st.integers(1, most)), draw(st.integers(1, most))
    x = draw(formats(signed=draw(st.booleans())))
    w = draw(formats((2, 8), (-2, 9)))
    y = draw(st.sampled_from([Int(8), Int(8, 0, False), Int(12), Int(16)]))
    shift = draw(st.integers(-3, 12))
    y = Int(y.bits, x.frac + w.frac - shift, y.signed)
    w_frac = tuple(int(f) for f in w.frac + rng.integers(-1, 2, outputs)) if draw(st.booleans()) else None
    op = Linear(inputs, outputs, x, w, y, w_frac)
    codes, weight = biased(rng, x, (3, inputs)), biased(rng, w, (outputs, inputs))
    reach = min(1 << 21, 4 << max(y.bits + shift - 1, 1))
    bias = biased(rng, Int(reach.bit_length()), (outputs,))
    for row in range(outputs):  # bias of a tie on the first bin: accumulator = odd multiple of half a step
        half = 1 << max(int(op.shifts[row]) - 1, 0)
        if op.shifts[row] > 0 and rng.random() < 0.5:
            target = half * (2 * int(rng.integers(-(2 ** (y.bits - 1)) - 2, 2 ** (y.bits - 1) + 2)) + 1)
            bias[row] = np.clip(target, -(1 << 21), 1 << 21) // half * half - int(codes[0] @ weight[row])
    return Example(op, (codes,), {"weight": weight, "bias": bias})


@st.composite
def tables(draw: st.DrawFn) -> Example:
    """A Table of any entries, over all codes."""
    rng, x = draw(generators), draw(formats((1, 8), (-2, 8), st.booleans()))
    op = Table(1 << x.bits, x, draw(formats((1, 16), (-2, 12), st.booleans())))
    codes = rng.permuted(np.tile(np.arange(x.lo, x.hi + 1), (3, 1)), axis=1)
    return Example(op, (codes,), {"table": biased(rng, op.y, (op.size,))})


@st.composite
def adds(draw: st.DrawFn, most: int = 24) -> Example:
    """An Add in a residual format of 8 to 16 bits."""
    rng, size, r = draw(generators), draw(st.integers(1, most)), draw(formats((8, 16), (0, 9)))
    return Example(Add(size, r), (biased(rng, r, (4, size)), biased(rng, r, (4, size))), {})


@st.composite
def positions(draw: st.DrawFn, most: int = 24) -> Example:
    """A Position with as many rows as bins, or more."""
    rng, size, r = draw(generators), draw(st.integers(1, most)), draw(formats((8, 16), (0, 9)))
    rows = draw(st.integers(4, 9))
    return Example(Position(size, rows, r), (biased(rng, r, (4, size)),), {"table": biased(rng, r, (rows, size))})


def tied(op: LayerNorm, codes: Codes, gamma: Codes, beta: Codes, rng: np.random.Generator) -> Codes:
    """beta with every other sum of the first bin put on a tie between neighbouring codes: chance makes none."""
    if op.shift < 1:
        return beta
    odd = 2 * rng.integers(-(1 << 7) - 1, 1 << 7, op.size, endpoint=True) + 1
    tie = odd * (1 << (op.shift - 1)) - op.normalise(codes[:1])[0] * gamma
    return np.where((np.arange(op.size) % 2 == 0) & (np.abs(tie) <= BETA.hi), tie, beta)


@st.composite
def layernorms(draw: st.DrawFn, most: int = 64) -> Example:
    """A LayerNorm, its rows at several magnitudes, constant rows among them; ties in the first row."""
    rng, size = draw(generators), draw(st.integers(1, most))
    x = draw(formats((8, 16), (0, 9)))
    op = LayerNorm(size, x, draw(formats((8, 8), (4, 7))), draw(formats((8, 8), (2, 7))), eps_code(size, x))
    codes = biased(rng, x, (5, size)) >> rng.integers(0, x.bits, (5, 1))
    gamma = biased(rng, op.gamma, (size,))
    beta = biased(rng, Int(draw(st.integers(4, 24))), (size,))
    return Example(op, (codes,), {"gamma": gamma, "beta": tied(op, codes, gamma, beta, rng)})


@st.composite
def attentions(draw: st.DrawFn, most: int = 16) -> Example:
    """An Attention, causal or not; some queries and keys are small: scores tie and exponentials stay alive."""
    rng, heads = draw(generators), draw(st.sampled_from([1, 2, 3, 4, 8]))
    size, window, bins = heads * draw(st.integers(1, most)), draw(st.integers(1, 12)), draw(st.integers(1, 14))
    q, k, v = (draw(formats(frac=(2, 7))) for _ in range(3))
    causal = draw(st.booleans())
    reach = (ALL, ALL) if causal else (draw(st.integers(-1, 5)), draw(st.integers(-1, 5)))
    op = Attention(size, heads, window, q, k, v, Int(8, draw(st.integers(v.frac - 2, v.frac + 2))), causal, *reach)
    bins = bins if causal else window
    small = int(rng.integers(0, 6))
    queries, keys = (biased(rng, form, (bins, size)) >> small for form in (q, k))
    return Example(op, (queries, keys, biased(rng, v, (bins, size))), {})


def tied_pairs(op: Rotary, codes: Codes, times: Codes, rng: np.random.Generator) -> Codes:
    """codes [rows, size] of times [rows]; the first pair of every row on a tie of one of its sums, where one is."""
    if op.shift < 1:
        return codes
    codes, every = codes.copy(), np.arange(op.x.lo, op.x.hi + 1)
    for row, a in zip(codes, op.addresses(times)[:, 0], strict=True):
        even, odd = every[:, None], every[None]
        sin = -SIN[a] if op.inverse else SIN[a]
        sums = np.stack([even * COS[a] - odd * sin, even * sin + odd * COS[a]])
        tie = (sums & (1 << op.shift) - 1 == 1 << op.shift - 1) & (np.abs(sums >> op.shift) <= op.y.hi)
        found = np.argwhere(tie.any(axis=0))
        if len(found):
            row[:2] = every[rng.choice(found)]
    return codes


@st.composite
def rotaries(draw: st.DrawFn, most: int = 6) -> Example:
    """A Rotary over several heads, its sums tied in every row that allows it."""
    rng, heads, pairs = draw(generators), draw(st.integers(1, 4)), draw(st.integers(1, most))
    x, bits, shift = (
        draw(formats()),
        draw(st.sampled_from([8, 8, 12, 16])),
        draw(st.sampled_from([-2, 0, 1, 8, 10, 11])),
    )
    steps = np.where(rng.random(pairs) < 0.3, rng.choice([0, 1, 2**14, 2**15], pairs), rng.integers(1, 2**15, pairs))
    op = Rotary(2 * heads * pairs, tuple(steps.tolist()), x, Int(bits, 10 + x.frac - shift))
    codes = biased(rng, x, (draw(st.integers(1, 8)), op.size))
    return Example(op, (tied_pairs(op, codes, np.arange(len(codes)), rng),), {})


def spatial_example(op: SpatialWeights | SpatialMix, rng: np.random.Generator) -> Example:
    """Queries and keys of several magnitudes; or weights and codes of which the first channel's first sum is a tie."""
    if isinstance(op, SpatialWeights):
        shape = (op.size, op.bins)
        queries, keys = (biased(rng, form, shape) >> int(rng.integers(0, 7)) for form in (op.q, op.k))
        return Example(op, (queries, keys), {})
    a, z = biased(rng, op.a, (op.size, op.size)), biased(rng, op.z, (4, op.size))
    if op.shift > 0:  # a power of two alone in the row, so that the code under it decides
        a[0], z[0] = 0, biased(rng, Int(3), (op.size,)) * 2 + 1
        a[0, 0] = min(1 << (op.shift - 1), 1 << (op.a.bits - 1))
    return Example(op, (a, z), {})


@st.composite
def spatial_weights(draw: st.DrawFn, most: int = 24) -> Example:
    """SpatialWeights over formats and shapes."""
    heads, (q, k) = draw(st.sampled_from([1, 2, 4, 8])), (draw(formats(frac=(2, 7))) for _ in range(2))
    y = draw(formats((4, 8), (6, 12), signed=False))
    op = SpatialWeights(draw(st.integers(1, most)), heads * draw(st.integers(1, 8)), heads, q, k, y)
    return spatial_example(op, draw(generators))


@st.composite
def spatial_mixes(draw: st.DrawFn, most: int = 24) -> Example:
    """SpatialMix over formats and shapes; shifts of either sign."""
    a, z = draw(formats(frac=(4, 12), signed=False)), draw(formats(frac=(2, 7)))
    y = Int(draw(st.sampled_from([8, 12, 16])), a.frac + z.frac - draw(st.integers(-2, 12)))
    return spatial_example(SpatialMix(draw(st.integers(1, most)), a, z, y), draw(generators))


@st.composite
def transposes(draw: st.DrawFn, most: int = 12) -> Example:
    """A Transpose of any codes, of a whole window or causal."""
    op = Transpose(draw(st.integers(1, most)), draw(st.integers(1, most)), draw(formats((8, 16))), draw(st.booleans()))
    bins = op.whole or draw(st.integers(1, 2 * most))
    return Example(op, (biased(draw(generators), op.y, (bins, op.channels)),), {})
