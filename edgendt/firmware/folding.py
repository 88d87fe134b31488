"""How far each op is folded: multipliers per Linear and elements per cycle of the other ops. Counts are analytic."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from edgendt.errors import BadInput, reading
from edgendt.ops import GEGLU, Attention, CrossAttention, LayerNorm, Linear, Op, Rotary, SpatialMix, SpatialWeights
from edgendt.program import Program

ELEMENTS = 4  # per cycle, of an op that is not a Linear, unless a file says otherwise
FILE = "folding.toml"  # of a project
HEAD = """\
# Multiplications per multiplier of each Linear; elements (of a rotary pairs) per cycle of each other op. ultra, where
# there is one: ops whose rows of a window lie in UltraRAM.
"""


@dataclass(frozen=True)
class Folding:
    """`reuse`: multiplications per multiplier of each Linear; `unroll`: elements (of a Rotary pairs) per cycle of each
    other op. ultra: ops whose rows of a window lie in UltraRAM, where they are large enough for it.
    """

    reuse: Mapping[str, int]
    unroll: Mapping[str, int]
    ultra: frozenset[str] = frozenset()

    def save(self, path: Path) -> None:
        """Write the TOML that `load` reads."""
        ultra = {"ultra": sorted(self.ultra)} if self.ultra else {}
        path.write_text(HEAD + tomli_w.dumps(ultra | {"reuse": dict(self.reuse), "unroll": dict(self.unroll)}))

    @classmethod
    def load(cls, path: Path | str, program: Program) -> Folding:
        """A file of `save`, as it was or edited. BadInput for an op that the Program lacks or one that is missing, and
        for a number that does not divide the op's loops.
        """
        with reading(f"folding {path}"):
            found = tomllib.loads(Path(path).read_text())
        linears = {node.name: node.op for node in program.nodes if isinstance(node.op, Linear)}
        others = {node.name: node.op for node in program.nodes if not isinstance(node.op, Linear)}
        ultra = found.pop("ultra", [])
        if not isinstance(ultra, list) or not {*map(str, ultra)} <= {node.name for node in program.nodes}:
            raise BadInput(f"folding {path}: ultra must be a list of ops of the network, got {ultra!r}")
        if set(found) != {"reuse", "unroll"}:
            raise BadInput(f"folding {path} must have the tables reuse and unroll, it has {', '.join(found) or 'none'}")
        for table, ops in (("reuse", linears), ("unroll", others)):
            if not isinstance(found[table], dict) or set(found[table]) != set(ops):
                odd = sorted(set(found[table]) ^ set(ops))
                raise BadInput(f"folding {path}: {table} must name every op of its kind once, see {', '.join(odd)}")
        for name, op in linears.items():
            _demand(path, f"reuse.{name}", found["reuse"][name], reuses(op))
        for name, other in others.items():
            _demand(path, f"unroll.{name}", found["unroll"][name], divisors(length(other)))
        return cls(found["reuse"], found["unroll"], frozenset(ultra))

    def of(self, name: str) -> int:
        """The number of an op, of either table."""
        return self.reuse[name] if name in self.reuse else self.unroll[name]

    def multipliers(self, program: Program) -> int:
        """How many the emitted loops ask for, counted from the C++ (analytic; a tool may share or split some)."""
        return sum(self.multipliers_of(node.name, node.op) for node in program.nodes)

    def multipliers_of(self, name: str, op: Op) -> int:
        """Of one op.

        Square, normalise and scale; dot, accumulate and divide, and the exponent; the phase and four of the rotation;
        between channels: dot, exponent and share, or the sum; the gate.
        """
        if isinstance(op, Linear):
            return op.inputs * op.outputs // self.reuse[name]
        unroll = self.unroll[name]
        if isinstance(op, Rotary):
            return 5 * unroll
        if isinstance(op, SpatialWeights | SpatialMix):
            return unroll + (2 if isinstance(op, SpatialWeights) else 0)
        if isinstance(op, LayerNorm):
            return 3 * unroll + 2
        if isinstance(op, GEGLU):
            return unroll
        return 3 * unroll + 1 if isinstance(op, Attention | CrossAttention) else 0


def _demand(path: Path | str, key: str, value: Any, allowed: list[int]) -> None:
    if value not in allowed or isinstance(value, bool):
        some = ", ".join(map(str, allowed if len(allowed) < 13 else [*allowed[:10], "…", allowed[-1]]))
        raise BadInput(f"folding {path}: {key} must be one of {some}, got {value!r}")


def divisors(n: int) -> list[int]:
    return [k for k in range(1, n + 1) if n % k == 0]


def reuses(op: Linear) -> list[int]:
    """Reuse factors of a Linear that hls4ml's exact kernels take: divisors of its inputs, or its inputs times a divisor
    of its outputs. Not 1, by which its weights would lie in LUTs, which nobody counts.
    """
    several = [k for k in divisors(op.inputs)[:-1] if k > 1]
    return [*several, *(op.inputs * k for k in divisors(op.outputs))]


def length(op: Op) -> int:
    """What an op's inner loops run over, which its elements per cycle must divide."""
    if isinstance(op, Rotary):
        return len(op.steps)
    op = op.attention if isinstance(op, CrossAttention) else op
    return op.head_size if isinstance(op, Attention | SpatialWeights) else op.size


def plan(program: Program) -> Folding:
    """One multiplier per output of each Linear, a few elements per cycle of each other op: of no part in particular."""
    reuse = {node.name: node.op.inputs for node in program.nodes if isinstance(node.op, Linear)}
    others = {node.name: length(node.op) for node in program.nodes if not isinstance(node.op, Linear)}
    return Folding(reuse, {name: max(k for k in divisors(n) if k <= ELEMENTS) for name, n in others.items()})
