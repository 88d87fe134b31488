"""Cycles, multipliers and memory of the emitted loops, op by op; analytic: a tool adds the depth of its pipelines.

Ops run one after another, so a bin's latency is the sum of their cycles, and so is the interval between bins.
tests/test_firmware_folding.py counts the beats of the compiled loops and finds these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from edgendt.blocks import Memory, blocks, ultra_rams
from edgendt.firmware.folding import Folding
from edgendt.firmware.memory import PART, brought, memories, rows_of
from edgendt.firmware.room import most_rows
from edgendt.ops import Attention, CrossAttention, LayerNorm, Linear, Op, Rotary, SpatialMix, SpatialWeights, Transpose
from edgendt.program import Node, Program

INTERVAL = 1  # cycles from one beat of a pipelined loop to the next: what each pragma asks for


@dataclass(frozen=True)
class Beats:
    """Of an op's loops: in a call of its function, how often that is called, and of each call's rows taken and put."""

    call: int
    calls: int = 1
    copied: int = 0

    @property
    def total(self) -> int:
        """In a call of the top."""
        return self.calls * (self.call + self.copied)


@dataclass(frozen=True)
class Row:
    """One op. cycles: beats of its pipelined loops in a call of the top; calls: of its function in one, of call_cycles
    each, beside which rows are taken and put; interval: of a loop, from beat to beat; bits: of constants and state;
    blocks: of 18 kbit, that they take; ultra_rams: that rows take in their place; distributed: bits of them that are
    cheaper in LUTs.
    """

    name: str
    kind: str
    cycles: int
    calls: int
    call_cycles: int
    interval: int
    multipliers: int
    bits: int
    blocks: int
    ultra_rams: int
    distributed: int

    @classmethod
    def of(cls, name: str, kind: str, beats: Beats, multipliers: int, held: list[Memory]) -> Row:
        bits = sum(one.count * one.words * one.bits for one in held)
        ultra = sum(ultra_rams(one) for one in held if one.ultra)
        taken = [(one, blocks(one, PART)) for one in held if not one.ultra]
        small = sum(one.count * one.words * one.bits for one, count in taken if not count)
        cycles, held_in = (beats.total, beats.calls, beats.call), sum(count for _, count in taken)
        return cls(name, kind, *cycles, INTERVAL, multipliers, bits, held_in, ultra, small)


def schedule(
    program: Program, folding: Folding, keys: int | None = None, rows: Mapping[str, int] | None = None
) -> list[Row]:
    """A row per op, before them one per constant input. keys: of a bin's attention; by default as many as its window
    holds, or as there are bins. rows: of each axis of a window of tokens; as many as there is room for by default.
    """
    rows = most_rows(program, {}) if rows is None else rows
    given = {item.name: item.codes.size for item in program.inputs if item.codes is not None}
    return [
        *(Row.of(name, "constant", Beats(size), 0, brought(size, program.input)) for name, size in given.items()),
        *(row(program, node, folding, rows, keys) for node in program.nodes),
    ]


def row(program: Program, node: Node, folding: Folding, rows: Mapping[str, int], keys: int | None = None) -> Row:
    """Of one op."""
    return Row.of(
        node.name,
        node.op.kind,
        beats(program, node, folding, keys, rows),
        folding.multipliers_of(node.name, node.op),
        memories(program, node, folding.of(node.name), rows, node.name in folding.ultra),
    )


def summary(rows: list[Row]) -> dict[str, Any]:
    """Totals and rows for synth.json. interval: cycles from one call to the next, since ops run one after another."""
    summed = ("cycles", "multipliers", "bits", "blocks", "ultra_rams", "distributed")
    totals = {key: sum(getattr(row, key) for row in rows) for key in summed}
    return totals | {"interval": totals["cycles"], "ops": [asdict(row) for row in rows]}


def beats(
    program: Program, node: Node, folding: Folding, keys: int | None, window: Mapping[str, int] | None = None
) -> Beats:
    """Of one op in a call of the top: a bin, or a whole window, of tokens with so many rows of each axis."""
    op, rows, fold = node.op, rows_of(program, node.name, window), folding.of(node.name)
    if isinstance(op, Transpose):
        return Beats(op.bins * op.channels)
    if isinstance(op, SpatialWeights):
        head = op.size * op.head_size // fold + 2 * op.size
        return Beats(op.size * (2 * op.size + op.heads * head))
    if isinstance(op, SpatialMix):
        return Beats(max(rows, 1) * op.size * op.size // fold)
    if isinstance(op, CrossAttention):
        held = rows_of(program, node.inputs[1], window)
        return Beats((2 * held + 2) * rows * _of_key(op.attention, fold) + (held + 2 * rows) * op.size)
    if isinstance(op, Attention):
        if not rows:
            held = min(most for most in (op.window, keys, program.max_bins) if most is not None)
            return Beats(op.size // fold + (2 * held + 2) * _of_key(op, fold))
        seen = sum(stop - first for first, stop in op.sees(rows))
        return Beats((2 * seen + 2 * rows) * _of_key(op, fold) + 3 * rows * op.size)
    copied = sum(_width(program, source) for source in node.inputs) + op.size if rows else 0
    return Beats(_row(op, fold), max(rows, 1), copied)


def _of_key(op: Attention, fold: int) -> int:
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
