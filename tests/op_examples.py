"""Ops of every kind over formats and shapes, and examples of them biased to ties and limits, from a random generator.

Who compiles a shape in (the C++ ops) or compiles Programs (the engine) takes a fixed list of ops; properties over free
shapes are in strategies.py.
"""

from __future__ import annotations

import numpy as np
from strategies import Example, biased, spatial_example, tied, tied_pairs

from edgendt.fixed import Int
from edgendt.ops import (
    GEGLU,
    Add,
    Attention,
    CrossAttention,
    LayerNorm,
    Linear,
    Lookup,
    Op,
    Position,
    Rotary,
    SpatialMix,
    SpatialWeights,
    Table,
    Transpose,
)
from edgendt.ops.layernorm import eps_code
from edgendt.ops.rotary import geometric

R12, R16, R9 = Int(12, 7), Int(16, 9), Int(9, 3)
COUNTS, ACT, HIDDEN = Int(8, 0, False), Int(8, 5), Int(8, 5, False)

# Formats and shapes: shifts of either sign, signed and unsigned, 1 element and primes.
OPS: dict[str, list[Op]] = {
    "linear": [
        Linear(1, 1, ACT, Int(8, 6), Int(8, 3)),
        Linear(13, 16, COUNTS, Int(8, 6), R12),  # negative shift: the embedder
        Linear(16, 7, ACT, Int(4, 4), ACT),
        Linear(24, 5, ACT, Int(4, 3), HIDDEN),  # ReLU
        Linear(23, 16, HIDDEN, Int(2, 1), R12),
        Linear(17, 11, ACT, Int(8, 6), Int(16, 10)),
        Linear(8, 12, HIDDEN, Int(3, -1), R16),  # weights of negative fraction
        Linear(11, 6, ACT, Int(8, 12), Int(8, -2)),  # a shift of 19
        Linear(9, 9, ACT, Int(4, 4), ACT, tuple(range(1, 10))),  # a fraction per output
        Linear(5, 4, Int(4, 0, False), Int(8, 0), Int(8)),  # shift 0
    ],
    "add": [Add(1, R12), Add(16, R12), Add(23, R16), Add(8, R9), Add(7, COUNTS)],
    "position": [Position(1, 1, R12), Position(16, 9, R12), Position(23, 4, R16), Position(8, 140, R9)],
    "layernorm": [
        LayerNorm(1, R12, Int(8, 6), ACT, eps_code(1, R12)),
        LayerNorm(2, R9, Int(8, 7), Int(8, 6), 1),
        LayerNorm(16, R12, Int(8, 6), ACT, eps_code(16, R12)),
        LayerNorm(23, Int(8, 0), Int(8, 4), Int(8, 2), eps_code(23, Int(8, 0))),
        LayerNorm(64, R16, Int(8, 6), Int(8, 7), eps_code(64, R16)),
        LayerNorm(182, R12, Int(8, 5), Int(8, 3), eps_code(182, R12)),
        LayerNorm(256, Int(16, 0), Int(8, 6), ACT, eps_code(256, Int(16, 0))),
        LayerNorm(12, COUNTS, Int(8, 6), ACT, eps_code(12, COUNTS)),  # unsigned input, as in a one-op Program
        LayerNorm(9, R12, Int(8, 6), Int(8, 19), eps_code(9, R12)),  # negative final shift
    ],
    "attention": [
        Attention(1, 1, 1, ACT, ACT, ACT, ACT),
        Attention(16, 2, 9, Int(8, 4), Int(8, 4), Int(8, 4), ACT),
        Attention(12, 3, 5, Int(8, 7), Int(8, 6), ACT, Int(8, 7)),
        Attention(24, 8, 12, Int(8, 3), Int(8, 4), Int(8, 2), Int(8, 0)),
        Attention(13, 1, 16, Int(8, 2), Int(8, 2), Int(8, 7), Int(8, 9)),
        Attention(32, 4, 2, ACT, Int(8, 3), ACT, Int(8, 3)),
        Attention(6, 2, 4, COUNTS, COUNTS, COUNTS, Int(8, -1)),  # unsigned input, as in a one-op Program
    ],
    "rotary": [
        Rotary(2, (16384,), ACT, ACT),
        Rotary(16, geometric(4, 9), ACT, ACT),
        Rotary(24, geometric(3, 32), Int(8, 4), Int(8, 3)),  # four heads
        Rotary(6, (1, 32768, 12345), Int(8, 7), Int(8, 7)),
        Rotary(12, geometric(2, 5), ACT, Int(8, 9)),  # it saturates
        Rotary(8, (77, 5), Int(8, 4), Int(16, 14)),  # a shift of 0
        Rotary(4, (9999,), Int(8, 4), Int(16, 16)),  # a shift of -2
    ],
}

# Ops of a whole window.
WHOLE: dict[str, list[Op]] = {
    "attention": [
        Attention(16, 2, 9, Int(8, 4), Int(8, 4), Int(8, 4), ACT, causal=False),
        Attention(7, 1, 1, ACT, ACT, ACT, ACT, causal=False),
        Attention(12, 3, 5, Int(8, 7), Int(8, 6), ACT, Int(8, 7), causal=False),
        Attention(8, 2, 9, Int(8, 4), Int(8, 4), Int(8, 4), ACT, causal=False, back=3, ahead=1),
        Attention(8, 2, 6, Int(8, 4), Int(8, 4), Int(8, 4), ACT, causal=False, back=0, ahead=2),
        Attention(8, 2, 6, Int(8, 4), Int(8, 4), Int(8, 4), ACT, causal=False, ahead=0),
    ],
    "transpose": [
        Transpose(1, 1, R12),
        Transpose(5, 9, ACT),
        Transpose(8, 3, R16),
        Transpose(7, 4, ACT, causal=True),
        Transpose(7, 7, COUNTS),
        Transpose(1, 1, R12, causal=True),
        Transpose(3, 12, R12, causal=True),
    ],
    "spatial_weights": [
        SpatialWeights(1, 1, 1, ACT, ACT, Int(8, 8, False)),
        SpatialWeights(9, 12, 4, Int(8, 4), Int(8, 5), Int(8, 8, False)),
        SpatialWeights(24, 10, 2, Int(8, 4), Int(8, 4), Int(8, 11, False)),
        SpatialWeights(70, 8, 8, ACT, ACT, Int(8, 9, False)),
        SpatialWeights(5, 7, 1, Int(8, 2), Int(8, 3), Int(6, 6, False)),
        SpatialWeights(12, 6, 2, ACT, ACT, Int(16, 26, False)),  # a left shift
    ],
    "spatial_mix": [
        SpatialMix(1, Int(8, 8, False), ACT, R12),
        SpatialMix(16, Int(8, 9, False), ACT, R12),
        SpatialMix(23, Int(8, 10, False), Int(8, 4), R16),
        SpatialMix(7, Int(8, 4, False), Int(8, 2), Int(8, 7)),  # a left shift
    ],
    "rotary": [  # by times given
        Rotary(16, (*geometric(3, 90), 0), ACT, ACT),  # a pair that stands still
        Rotary(16, (*geometric(3, 90), 0), ACT, ACT, inverse=True),
        Rotary(6, (1, 32768, 12345), Int(8, 7), Int(8, 7), inverse=True),
        Rotary(8, (77, 5), Int(8, 4), Int(16, 14), inverse=True),  # a shift of 0
    ],
    "lookup": [
        Lookup(1, 1, 1, ACT),
        Lookup(12, 9, 3, ACT),
        Lookup(7, 30, 2, R16),
        Lookup(8, 3, 1, R12),
        Lookup(5, 6, 3, ACT, pairs=True),
    ],
    "geglu": [
        GEGLU(1, ACT, ACT, ACT),
        GEGLU(23, Int(8, 4), Int(8, 5), Int(8, 3)),
        GEGLU(16, Int(8, 7), Int(8, -2), Int(8, 1, False)),
        GEGLU(9, ACT, Int(8, 5), Int(16, 20)),  # a left shift
    ],
    "table": [
        Table(1, ACT, ACT),
        Table(23, Int(8, 4), Int(8, 5, False)),
        Table(16, COUNTS, R16),
        Table(9, Int(5, -1), Int(3, 2)),
        Table(7, Int(1, 0, False), Int(8, 3)),
    ],
    "cross_attention": [
        CrossAttention(1, 1, 1, ACT, ACT, ACT, ACT),
        CrossAttention(16, 2, 9, Int(8, 4), Int(8, 4), Int(8, 4), ACT),
        CrossAttention(12, 3, 40, Int(8, 7), Int(8, 6), ACT, Int(8, 7)),
        CrossAttention(8, 8, 300, Int(8, 3), Int(8, 4), Int(8, 2), Int(8, 0)),  # more keys than 24 bits hold
    ],
}


def linear_example(op: Linear, rng: np.random.Generator) -> Example:
    """Biased codes; on the first bin every other output's accumulator is a tie between neighbouring codes."""
    codes, weight = biased(rng, op.x, (3, op.inputs)), biased(rng, op.w, (op.outputs, op.inputs))
    bias = biased(rng, Int(16), (op.outputs,))
    for row in range(0, op.outputs, 2):
        shift = int(op.shifts[row])
        if shift > 0:
            most = min(1 << (op.y.bits - 1), (1 << 20) >> shift) + 1
            bias[row] = (2 * int(rng.integers(-most, most)) + 1) * (1 << (shift - 1)) - int(codes[0] @ weight[row])
    return Example(op, (codes,), {"weight": weight, "bias": bias})


def example(op: Op, rng: np.random.Generator) -> Example:
    """Inputs and constants of one op, biased to ties and limits."""
    if isinstance(op, Linear):
        return linear_example(op, rng)
    if isinstance(op, Add):
        return Example(op, (biased(rng, op.y, (4, op.size)), biased(rng, op.y, (4, op.size))), {})
    if isinstance(op, Position):
        bins = int(rng.integers(1, op.bins, endpoint=True))
        return Example(op, (biased(rng, op.y, (bins, op.size)),), {"table": biased(rng, op.y, (op.bins, op.size))})
    if isinstance(op, LayerNorm):
        codes = biased(rng, op.x, (5, op.size)) >> rng.integers(0, op.x.bits, (5, 1))
        gamma, beta = biased(rng, op.gamma, (op.size,)), biased(rng, Int(int(rng.integers(4, 25))), (op.size,))
        return Example(op, (codes,), {"gamma": gamma, "beta": tied(op, codes, gamma, beta, rng)})
    if isinstance(op, Rotary):
        codes = biased(rng, op.x, (12, op.size))
        if op not in WHOLE["rotary"]:
            return Example(op, (tied_pairs(op, codes, np.arange(12), rng),), {})
        times = rng.permutation(np.concatenate([rng.integers(0, 1 << 16, 9), [0, 1, 65535]]))
        return Example(op, (tied_pairs(op, codes, times, rng), times), {})
    if isinstance(op, Lookup):
        tokens = np.stack([rng.integers(0, op.rows, 9), rng.integers(0, op.which, 9)], axis=1)
        tables = {"table": biased(rng, op.y, (op.entries, op.size)), "kinds": biased(rng, op.y, (op.which, op.size))}
        return Example(op, (tokens,), tables)
    if isinstance(op, GEGLU):
        return Example(op, (biased(rng, op.a, (4, op.size)), biased(rng, op.gate, (4, op.size))), {})
    if isinstance(op, Table):
        entries = biased(rng, op.y, (1 << op.x.bits,))
        return Example(op, (biased(rng, op.x, (9, op.size)),), {"table": entries})
    if isinstance(op, CrossAttention):
        rows, small = int(rng.integers(1, op.keys, endpoint=True)), int(rng.integers(0, 6))
        q, k = biased(rng, op.q, (int(rng.integers(1, 7)), op.size)), biased(rng, op.k, (rows, op.size))
        return Example(op, (q >> small, k >> small, biased(rng, op.v, (rows, op.size))), {})
    if isinstance(op, Transpose):
        bins = op.whole or int(rng.integers(1, 20))
        return Example(op, (biased(rng, op.y, (bins, op.channels)),), {})
    if isinstance(op, SpatialWeights | SpatialMix):
        return spatial_example(op, rng)
    bins, small = op.whole or int(rng.integers(1, 20)), int(rng.integers(0, 6))
    queries, keys = (biased(rng, form, (bins, op.size)) >> small for form in (op.q, op.k))
    return Example(op, (queries, keys, biased(rng, op.v, (bins, op.size))), {})
