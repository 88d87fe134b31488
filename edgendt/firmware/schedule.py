"""Cycles, multipliers and memory of the emitted loops, op by op; analytic: a tool adds the depth of its pipelines.

Ops run one after another, so a bin's latency is their sum, and so is the interval between bins.
tests/test_firmware_folding.py counts the beats of the compiled loops and finds these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from edgendt.firmware.folding import Folding
from edgendt.firmware.room import most_rows
from edgendt.ops import Attention, CrossAttention, LayerNorm, Linear, Op, Rotary, SpatialMix, SpatialWeights, Transpose
from edgendt.program import Node, Program


@dataclass(frozen=True)
class Row:
    """One op. cycles: beats of its pipelined loops in a call of the top; bits: constants and state that it keeps."""

    name: str
    kind: str
    cycles: int
    multipliers: int
    bits: int


def schedule(
    program: Program, folding: Folding, keys: int | None = None, rows: Mapping[str, int] | None = None
) -> list[Row]:
    """A row per op, before them one per constant input. keys: of a bin's attention; as many as its window holds by
    default. rows: of each axis of a window of tokens; as many as there is room for by default.
    """
    rows = most_rows(program, {}) if rows is None else rows
    sizes = {item.name: item.codes.size for item in program.inputs if item.codes is not None}
    brought = [Row(name, "constant", size, 0, size * program.input.bits) for name, size in sizes.items()]
    return brought + [
        Row(
            node.name,
            node.op.kind,
            cycles(program, node, folding, keys, rows),
            folding.multipliers_of(node.name, node.op),
            memory(node),
        )
        for node in program.nodes
    ]


def summary(rows: list[Row]) -> dict[str, Any]:
    """Totals and rows for synth.json."""
    totals = {key: sum(getattr(row, key) for row in rows) for key in ("cycles", "multipliers", "bits")}
    return totals | {"ops": [asdict(row) for row in rows]}


def cycles(
    program: Program, node: Node, folding: Folding, keys: int | None, window: Mapping[str, int] | None = None
) -> int:
    """Beats of one op in a call of the top: a bin, or a whole window, of tokens with so many rows of each axis."""
    op, rows = node.op, _rows(program, node.name, window)
    fold = folding.reuse[node.name] if isinstance(op, Linear) else folding.unroll[node.name]
    if isinstance(op, Transpose):
        return op.bins * op.channels
    if isinstance(op, SpatialWeights):
        head = op.size * op.head_size // fold + 2 * op.size
        return op.size * (2 * op.size + op.heads * head)
    if isinstance(op, SpatialMix):
        return max(rows, 1) * op.size * op.size // fold
    if isinstance(op, CrossAttention):
        held = _rows(program, node.inputs[1], window)
        return (2 * held + 2) * rows * _beats(op.attention, fold) + (held + 2 * rows) * op.size
    if isinstance(op, Attention):
        if not rows:
            held = op.window if keys is None else min(keys, op.window)
            return op.size // fold + (2 * held + 2) * _beats(op, fold)
        seen = sum(stop - first for first, stop in op.sees(rows))
        return (2 * seen + 2 * rows) * _beats(op, fold) + 3 * rows * op.size
    copied = sum(_width(program, source) for source in node.inputs) + op.size if rows else 0
    return max(rows, 1) * (_row(op, fold) + copied)


def _rows(program: Program, name: str, window: Mapping[str, int] | None) -> int:
    """Of the codes of `name` in a call; 0: one bin."""
    return (window or {}).get(program.axis(name).name) or program.rows(name)


def _beats(op: Attention, fold: int) -> int:
    """Of one key, which is scored and weighed; and of clearing, dividing."""
    return op.heads * op.head_size // fold


def _row(op: Op, fold: int) -> int:
    """Beats of an op that takes a row at a time."""
    if isinstance(op, Linear):
        return fold
    if isinstance(op, Rotary):
        return op.size // 2 // fold
    return (2 if isinstance(op, LayerNorm) else 1) * op.size // fold


def _width(program: Program, source: str) -> int:
    return next((item.size for item in program.sources if item.name == source), 0) or program.node(source).op.size


def memory(node: Node) -> int:
    """Bits of weights, biases, tables and caches; what an op keeps in registers is left out."""
    op = node.op
    if isinstance(op, Linear):
        fracs = op.w_frac or (op.w.frac,)  # weights are held at the finest
        return op.inputs * op.outputs * (op.w.bits + max(fracs) - min(fracs))
    tables = {"layernorm": 768 * 16, "attention": (256 + 512) * 16, "spatial_weights": (256 + 512) * 16}
    tables["rotary"] = 1024 * 12
    bits = tables.get(op.kind, 0)
    if isinstance(op, LayerNorm):
        bits += op.size * (op.gamma.bits + 24)
    elif isinstance(op, Attention):
        bits += op.window * op.size * (op.k.bits + op.v.bits)
    elif isinstance(op, Transpose) and op.causal:
        bits += op.bins * op.channels * op.y.bits
    elif op.kind in ("position", "table"):
        bits += node.constants["table"].size * op.y.bits
    return bits
