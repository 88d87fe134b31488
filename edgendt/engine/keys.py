"""Keys and values of tokens on an engine: rows of a table, or a projection of each token; analytic.

Both ways give the same codes (edgendt/tabled.py). A table takes position words, a projection weights and time.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from edgendt.engine.compile import Compiled, attempts, compile_program, shortfalls
from edgendt.engine.config import Engine
from edgendt.engine.cycles import cycles_per_row
from edgendt.errors import UnsupportedOp
from edgendt.ops import LayerNorm, Linear, Lookup
from edgendt.ops.layernorm import BETA
from edgendt.program import Node, Program
from edgendt.tabled import tabled

PROJECTION, TABLE = "projection", "table"


def compile_for(program: Program, engine: Engine) -> Compiled:
    """`program` on `engine`, keys and values of tokens in the way that costs a token least, of those that fit."""
    if not program.inputs:
        return compile_program(program, engine)
    return taken(ways(program, engine))


def ways(program: Program, engine: Engine) -> dict[str, Compiled]:
    """A network of tokens both ways, also where it does not fit; the projection alone where there is no table."""
    found, other = {PROJECTION: attempts(program, engine)[0]}, tabled(program)
    if other is not program:
        with suppress(UnsupportedOp):  # something else reads rows of the same tokens
            found[TABLE] = attempts(other, engine)[0]
    return found


def choice(found: Mapping[str, Compiled]) -> str | None:
    """The way that costs a token least, of those that fit: the projection where they cost the same."""
    fits = [name for name, one in found.items() if not shortfalls(one)]
    return fits[0] if len(fits) == 1 else min(fits, key=lambda name: _token(found[name]), default=None)


def taken(found: Mapping[str, Compiled]) -> Compiled:
    """The one of `choice`. DoesNotFit where neither fits."""
    name = choice(found)
    if name is None:
        raise shortfalls(found[PROJECTION])[0]
    return found[name]


def way_of(compiled: Compiled) -> str | None:
    """How keys and values of tokens are held; None in a network that has none of a row alone."""
    if any(isinstance(node.op, Lookup) and node.op.pairs for node in compiled.program.nodes):
        return TABLE
    return None if tabled(compiled.program) is compiled.program else PROJECTION


def compared(found: Mapping[str, Compiled]) -> dict[str, Any] | None:
    """Bits, products and cycles of a token both ways, what is short where one does not fit; None without a table.

    rows: that a table has room for.
    """
    if TABLE not in found:
        return None
    names = [{node.name: node for node in one.program.nodes} for one in found.values()]
    sides: dict[str, dict[str, Any]] = {}
    for (name, one), ours, other in zip(found.items(), names, reversed(names), strict=True):
        made = [node for key, node in ours.items() if key not in other or other[key].op != node.op]
        short = shortfalls(one)
        sides[name] = {
            "bits": sum(_constants(node) for node in made),
            "products_per_token": sum(node.op.inputs * node.op.outputs for node in made if isinstance(node.op, Linear)),
            "token": None if short else _token(one),
            "short": short[0].what if short else None,
        }
    return {"choice": choice(found), "rows": _rows(found[TABLE]), "ways": sides}


def _token(compiled: Compiled) -> int:
    """Cycles of a token, not the last of its window."""
    return cycles_per_row(compiled, compiled.most, 1)[0]


def _rows(compiled: Compiled) -> int:
    """Rows of units that the tables have room for in the position memory, all else as it is."""
    tables = [node.op for node in compiled.program.nodes if isinstance(node.op, Lookup) and node.op.pairs]
    each = sum(op.which for op in tables) * compiled.sizes["looked"]
    return max(0, tables[0].rows + (compiled.engine.pos_depth - compiled.sizes["pos"]) // each)


def _constants(node: Node) -> int:
    """Bits of weights, biases and rows, in the formats of the op."""
    op = node.op
    if isinstance(op, Linear):
        return op.inputs * op.outputs * op.w.bits + op.outputs * BETA.bits
    if isinstance(op, LayerNorm):
        return op.size * (op.gamma.bits + BETA.bits)
    if isinstance(op, Lookup):
        return (op.entries + (0 if op.pairs else op.which)) * op.size * op.y.bits
    return 0
