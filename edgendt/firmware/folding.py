"""How far each op is folded: multipliers per Linear and elements per cycle of the other ops. Counts are analytic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgendt.errors import DoesNotFit
from edgendt.ops import GEGLU, Attention, CrossAttention, LayerNorm, Linear, Op, Rotary, SpatialMix, SpatialWeights
from edgendt.program import Program

ELEMENTS = 4  # per cycle at most, of an op that is not a Linear


@dataclass(frozen=True)
class Folding:
    """`reuse`: multiplications per multiplier of each Linear; `unroll`: elements (of a Rotary pairs) per cycle of each
    other op.

    `multipliers`: how many the emitted loops ask for, counted from the C++ (analytic; a tool may share or split some).
    """

    reuse: Mapping[str, int]
    unroll: Mapping[str, int]
    multipliers: int


def _divisors(n: int) -> list[int]:
    return [k for k in range(1, n + 1) if n % k == 0]


def unroll(op: Op) -> int:
    """Elements per cycle: the largest divisor of what the op's loops run over, up to ELEMENTS."""
    op = op.attention if isinstance(op, CrossAttention) else op
    if isinstance(op, Rotary):
        length = len(op.steps)
    else:
        length = op.head_size if isinstance(op, Attention | SpatialWeights) else op.size
    return max(k for k in _divisors(length) if k <= ELEMENTS)


def multipliers(op: Op) -> int:
    """Of an op that is not a Linear.

    Square, normalise and scale; dot, accumulate and divide, and the exponent; the phase and four of the rotation;
    between channels: dot, exponent and share, or the sum; the gate.
    """
    if isinstance(op, Rotary):
        return 5 * unroll(op)
    if isinstance(op, SpatialWeights | SpatialMix):
        return unroll(op) + (2 if isinstance(op, SpatialWeights) else 0)
    if isinstance(op, LayerNorm):
        return 3 * unroll(op) + 2
    if isinstance(op, GEGLU):
        return unroll(op)
    return 3 * unroll(op) + 1 if isinstance(op, Attention | CrossAttention) else 0


def plan(program: Program, available: int | None = None) -> Folding:
    """One multiplier per output of each Linear, or per 2, 3, ... outputs until `available` suffice; else DoesNotFit.

    hls4ml's exact kernels want a reuse factor that is a multiple of the inputs and divides inputs x outputs.
    """
    linears = {node.name: node.op for node in program.nodes if isinstance(node.op, Linear)}
    others = {node.name: node.op for node in program.nodes if not isinstance(node.op, Linear)}
    fixed = sum(multipliers(op) for op in others.values())
    for per in range(1, max((op.outputs for op in linears.values()), default=1) + 1):
        share = {
            name: min(k for k in _divisors(op.outputs) if k >= min(per, op.outputs)) for name, op in linears.items()
        }
        used = fixed + sum(op.outputs // share[name] for name, op in linears.items())
        if available is None or used <= available:
            reuse = {name: op.inputs * share[name] for name, op in linears.items()}
            return Folding(reuse, {name: unroll(op) for name, op in others.items()}, used)
    raise DoesNotFit(
        f"the firmware needs at least {used} multipliers, the part has {available}",
        "choose a larger part, or a network with fewer layers",
    )
