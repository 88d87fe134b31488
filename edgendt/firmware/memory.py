"""The arrays of the firmware that lie in memory, as the pragmas partition them (analytic).

Not among them, since it lies in registers: one bin's codes, a row that an op works on, biases and accumulators.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from edgendt.blocks import Memory, blocks, ultra_rams
from edgendt.firmware.folding import Folding
from edgendt.fixed import Int
from edgendt.ops import (
    GEGLU,
    Attention,
    CrossAttention,
    LayerNorm,
    Linear,
    Lookup,
    Position,
    Rotary,
    SpatialMix,
    SpatialWeights,
    Table,
    Transpose,
)
from edgendt.ops.attention import EXP, RECIP
from edgendt.ops.layernorm import BETA, RSQRT
from edgendt.ops.rotary import COS
from edgendt.program import Node, Program

PART = "xilinx"  # whose blocks are counted
ROWS = "rows"  # name of an op's own, between ops
TABLE = Int(16, signed=False)  # entries of EXP, RECIP and RSQRT
STEP, COSINE, GELU = TABLE, Int(12), Int(16)
WEIGHT = 9  # bits of an exponential 0..255, with a sign
SHARE = WEIGHT + TABLE.bits  # of an exponential over a sum, before the sum's own bits


def memories(program: Program, node: Node, fold: int, rows: Mapping[str, int], ultra: bool = False) -> list[Memory]:
    """Of an op folded so far. rows: that a window has room for, of each axis. ultra: rows lie in UltraRAM where that
    takes fewer of them than blocks. Constants cannot: an UltraRAM is written at run time alone.
    """
    between = list(_between(program, node, fold, rows))
    if ultra:
        between = [replace(one, ultra=ultra_rams(one) < blocks(one, PART)) for one in between]
    return [*_own(program, node, fold, rows), *between]


def in_ultra(program: Program, folding: Folding, rows: Mapping[str, int]) -> list[str]:
    """The ops whose rows lie in UltraRAM."""
    held = [
        (node.name, one)
        for node in program.nodes
        if node.name in folding.ultra
        for one in memories(program, node, folding.of(node.name), rows, ultra=True)
    ]
    return sorted({name if one.name == ROWS else one.name for name, one in held if one.ultra})


def brought(codes: int, form: Int) -> list[Memory]:
    """Of a constant input of so many codes: these, and the rows that the ops read."""
    return [Memory(name, 1, codes, form.bits) for name in ("codes", ROWS)]


def rows_of(program: Program, name: str, window: Mapping[str, int] | None) -> int:
    """Of the codes of `name` in a call; 0: one bin."""
    return (window or {}).get(program.axis(name).name) or program.rows(name)


def banks(program: Program, name: str, unroll: Mapping[str, int]) -> int:
    """Banks of the rows of `name`: as many codes as the op between channels that reads them takes per cycle."""
    return max((unroll[node.name] for node in _between_channels(program, name)), default=1)


def _between_channels(program: Program, name: str) -> list[Node]:
    spatial = [node for node in program.nodes if isinstance(node.op, SpatialWeights | SpatialMix)]
    return [node for node in spatial if name in node.inputs]


def _own(program: Program, node: Node, fold: int, rows: Mapping[str, int]) -> Iterator[Memory]:
    """Constants and state. What an unrolled loop reads lies side by side in a word (ARRAY_RESHAPE)."""
    op = node.op
    match op:
        case Linear():
            yield from _linear(op, fold)
        case LayerNorm():
            yield Memory("gamma", 1, op.size // fold, fold * op.gamma.bits)
            yield Memory("beta", 1, op.size // fold, fold * BETA.bits)
            yield Memory("reciprocal roots", 1, len(RSQRT) - 256, TABLE.bits)
        case Position():
            yield Memory("positions", 1, op.bins * op.size // fold, fold * op.y.bits)
        case Lookup():
            yield Memory("table", 1, op.entries * op.size // fold, fold * op.y.bits)
            yield Memory("kinds", 1, op.which * op.size // fold, fold * op.y.bits)
        case Rotary():
            yield Memory("steps", 1, len(op.steps) // fold, fold * STEP.bits)
            yield Memory("cosine", fold, len(COS), COSINE.bits)  # sine and cosine through a block's two ports
        case GEGLU():
            yield Memory("GELU", -(-fold // 2), 1 << op.gate.bits, GELU.bits)
        case Table():
            yield Memory("table", -(-fold // 2), 1 << op.x.bits, op.y.bits)
        case Attention():
            yield from _attention(op, op.window, fold)
        case CrossAttention():
            yield from _attention(op.attention, rows_of(program, node.inputs[1], rows), fold)
        case SpatialWeights():
            yield from _spatial_weights(op)
        case Transpose(causal=True):
            yield Memory("bins", 1, op.channels * op.bins, _sint(op.y))


def _between(program: Program, node: Node, fold: int, rows: Mapping[str, int]) -> Iterator[Memory]:
    """Rows that it gives the next ops. Those that an op between channels reads are that one's, in as many banks."""
    op = node.op
    if isinstance(op, SpatialWeights | SpatialMix):
        forms = (op.q, op.k) if isinstance(op, SpatialWeights) else (op.a, op.z)
        width = op.bins if isinstance(op, SpatialWeights) else op.size
        for source, form in zip(node.inputs, forms, strict=True):
            if held := rows_of(program, source, rows):
                yield Memory(source, fold, held * width // fold, form.bits)
    held = rows_of(program, node.name, rows)
    if held and node.name != program.output and not _between_channels(program, node.name):
        yield Memory(ROWS, 1, held * op.size, op.y.bits)


def _sint(form: Int) -> int:
    """Bits of its codes as signed numbers."""
    return form.bits + (not form.signed)


def _linear(op: Linear, reuse: int) -> Iterator[Memory]:
    """hls4ml's kernel: a word has a weight for each multiplier; it asks for blocks, unless there is one word."""
    fracs = op.w_frac or (op.w.frac,)  # weights are held at the finest
    bits = op.w.bits + max(fracs) - min(fracs)
    yield Memory("weights", 1, reuse, op.inputs * op.outputs // reuse * bits, forced=reuse > 1)
    if reuse > op.inputs:
        yield Memory("indices of outputs", 1, reuse, op.outputs.bit_length())


def _divides() -> Iterator[Memory]:
    yield Memory("exponentials", 1, len(EXP), TABLE.bits)
    yield Memory("reciprocals", 1, len(RECIP) - 512, TABLE.bits)


def _attention(op: Attention, window: int, unroll: int) -> Iterator[Memory]:
    yield from _divides()
    for name, form in (("keys", op.k), ("values", op.v)):
        yield Memory(name, unroll, window * op.size // unroll, _sint(form))
    yield Memory("scores", 1, window, _sint(op.q) + _sint(op.k) + op.head_size.bit_length())
    sum_bits = WEIGHT + _sint(op.v) + window.bit_length() + 1
    yield Memory("sums", unroll, op.head_size // unroll, sum_bits)


def _spatial_weights(op: SpatialWeights) -> Iterator[Memory]:
    yield from _divides()
    yield Memory("scores", 1, op.size, _sint(op.q) + _sint(op.k) + op.head_size.bit_length())
    yield Memory("exponentials of a row", 1, op.size, WEIGHT)
    yield Memory("sums", 1, op.size, SHARE + op.longest - 8 + op.heads.bit_length())
