"""Cycles, multipliers and memory of the emitted loops, op by op; analytic: a tool adds the depth of its pipelines.

Ops run one after another, so a bin's latency is their sum, and so is the interval between bins.
tests/test_firmware_folding.py counts the beats of the compiled loops and finds these.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from edgendt.firmware.folding import Folding
from edgendt.ops import Attention, LayerNorm, Linear, Op, Rotary, SpatialMix, SpatialWeights, Transpose
from edgendt.program import INPUT, Node, Program


@dataclass(frozen=True)
class Row:
    """One op. cycles: beats of its pipelined loops in a call of the top; bits: constants and state that it keeps."""

    name: str
    kind: str
    cycles: int
    multipliers: int
    bits: int


def schedule(program: Program, folding: Folding, keys: int | None = None) -> list[Row]:
    """A row per op. keys: of a bin's attention; as many as its window holds by default.

    UnsupportedOp for a network of tokens, whose windows differ in length.
    """
    program.needs_counts("the schedule")
    return [
        Row(
            node.name,
            node.op.kind,
            cycles(program, node, folding, keys),
            folding.multipliers_of(node.name, node.op),
            memory(node),
        )
        for node in program.nodes
    ]


def summary(rows: list[Row]) -> dict[str, Any]:
    """Totals and rows for synth.json."""
    totals = {key: sum(getattr(row, key) for row in rows) for key in ("cycles", "multipliers", "bits")}
    return totals | {"ops": [asdict(row) for row in rows]}


def cycles(program: Program, node: Node, folding: Folding, keys: int | None) -> int:
    """Beats of one op in a call of the top: a bin, or a whole window."""
    op, rows = node.op, program.rows(node.name)
    fold = folding.reuse[node.name] if isinstance(op, Linear) else folding.unroll[node.name]
    if isinstance(op, Transpose):
        return op.bins * op.channels
    if isinstance(op, SpatialWeights):
        head = op.size * op.head_size // fold + 2 * op.size
        return op.size * (2 * op.size + op.heads * head)
    if isinstance(op, SpatialMix):
        return max(rows, 1) * op.size * op.size // fold
    if isinstance(op, Attention):
        beats = op.heads * op.head_size // fold  # of one key, which is scored and weighed; and of clearing, dividing
        if not rows:
            held = op.window if keys is None else min(keys, op.window)
            return op.size // fold + (2 * held + 2) * beats
        seen = sum(stop - first for first, stop in op.sees(rows))
        return (2 * seen + 2 * rows) * beats + 3 * rows * op.size
    copied = sum(_width(program, source) for source in node.inputs) + op.size if rows else 0
    return max(rows, 1) * (_row(op, fold) + copied)


def _row(op: Op, fold: int) -> int:
    """Beats of an op that takes a row at a time."""
    if isinstance(op, Linear):
        return fold
    if isinstance(op, Rotary):
        return op.heads * len(op.steps) // fold
    return (2 if isinstance(op, LayerNorm) else 1) * op.size // fold


def _width(program: Program, source: str) -> int:
    return program.channels if source == INPUT else program.node(source).op.size


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
    elif op.kind == "position":
        bits += node.constants["table"].size * op.y.bits
    return bits
