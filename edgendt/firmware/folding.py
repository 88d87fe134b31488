"""How far each op is folded: multipliers per Linear and elements per cycle of the other ops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgendt.ops import Linear
from edgendt.program import Program


@dataclass(frozen=True)
class Folding:
    """`reuse`: multiplications per multiplier of each Linear; `unroll`: elements per cycle of each other op."""

    reuse: Mapping[str, int]
    unroll: Mapping[str, int]
    multipliers: int


def _divisors(n: int) -> list[int]:
    return [k for k in range(1, n + 1) if n % k == 0]


def plan(program: Program, multipliers: int = 1 << 30) -> Folding:
    """One multiplier per output of each Linear, or per 2, 3, ... outputs until `multipliers` suffice.

    hls4ml's exact kernels want a reuse factor that is a multiple of the inputs and divides inputs x outputs.
    """
    linears = {node.name: node.op for node in program.nodes if isinstance(node.op, Linear)}

    def share(op: Linear, outputs: int) -> int:
        return min((k for k in _divisors(op.outputs) if k >= outputs), default=op.outputs)

    per = 1
    while True:
        shares = {name: share(op, per) for name, op in linears.items()}
        used = sum(op.outputs // shares[name] for name, op in linears.items())
        if used <= multipliers or all(shares[name] == op.outputs for name, op in linears.items()):
            break
        per += 1
    reuse = {name: op.inputs * shares[name] for name, op in linears.items()}
    unroll = {node.name: 1 for node in program.nodes if node.name not in linears}
    return Folding(reuse, unroll, used)
