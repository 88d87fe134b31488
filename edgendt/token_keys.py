"""Keys and values of a network's tokens on a board: a table of them, or a projection of each token; analytic.

Before they turn, both depend on a token's rows alone. A table holds them for every row there can be: a token then costs
two reads and two rotations, as often as it is looked at. A projection multiplies for every token, and keeps what it has
made of each for the second look that an attention takes, at its values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgendt import boards
from edgendt.boards import Board
from edgendt.errors import UnsupportedOp
from edgendt.ops import CrossAttention, LayerNorm, Linear, Lookup, Rotary
from edgendt.ops.layernorm import BETA
from edgendt.program import Node, Program

STAGE = "analytic"
TOKENS = 1000  # of a window, where nothing is said
BLOCK = {"ice40": 4096}  # bits of a memory block, by family
USUAL_BLOCK = 18432


def keys_and_values(program: Program, tokens: int = TOKENS) -> dict[str, Any]:
    """Bits and products of both ways, and by board the one whose memory there is: the table where both fit.

    UnsupportedOp for a network that has no such keys.
    """
    attentions = (node for node in program.nodes if isinstance(node.op, CrossAttention))
    read = next((node for node in attentions if of_rows(program, node)), None)
    if read is None:
        raise UnsupportedOp("program", program.name, "it has no keys and values that depend on rows of a table alone")
    path = of_rows(program, read)
    made = {node.name for node in path}
    lookup = next(node.op for node in path if isinstance(node.op, Lookup))
    linears = [node.op for node in path if isinstance(node.op, Linear)]
    row = sum(op.size * op.y.bits for op in linears)
    ways = {
        "table": {"constants": lookup.rows * lookup.which * row, "per_token": 0, "products_per_token": 0},
        "projection": {
            "constants": sum(constants(node) for node in path),
            "per_token": row,
            "products_per_token": sum(op.inputs * op.outputs for op in linears),
        },
    }
    rest = sum(constants(node) for node in program.nodes if node.name not in made)
    for way in ways.values():
        way["bits"] = rest + way["constants"] + tokens * way["per_token"]
    chosen = {name: _choice(Board.named(name), ways) for name in boards.known()}
    said = {"program": program.name, "stage": STAGE, "tokens": tokens, "rows": lookup.rows}
    return said | {"ways": ways, "boards": chosen}


def of_rows(program: Program, read: Node) -> list[Node]:
    """The nodes from a Lookup to the keys and values of an attention, before they turn; [] where there is none."""
    found: dict[str, Node] = {}
    for source in read.inputs[1:]:
        node = program.node(source)
        if isinstance(node.op, Rotary):
            node = program.node(node.inputs[0])
        while not isinstance(node.op, Lookup):
            if not isinstance(node.op, Linear | LayerNorm):
                return []
            found[node.name] = node
            node = program.node(node.inputs[0])
        found[node.name] = node
    return list(found.values())


def constants(node: Node) -> int:
    """Bits of weights, biases and rows, in the formats of the op."""
    op = node.op
    if isinstance(op, Linear):
        return op.inputs * op.outputs * op.w.bits + op.outputs * BETA.bits
    if isinstance(op, LayerNorm):
        return op.size * (op.gamma.bits + BETA.bits)
    if isinstance(op, Lookup):
        return (op.rows + op.which) * op.size * op.y.bits
    return 0


def _choice(board: Board, ways: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    there = board.rams * BLOCK.get(board.family, USUAL_BLOCK)
    return {"there": there, "choice": next((name for name, way in ways.items() if way["bits"] <= there), None)}


def render(result: Mapping[str, Any]) -> Any:
    """Tables for a terminal."""
    from rich.table import Table

    ways = result["ways"]
    of = f"{result['tokens']:,} tokens, {result['rows']} rows ({result['stage']})"
    title = f"{result['program']}: keys and values of {of}"
    made = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in ("board", "memory, kbit", *(f"{name} needs" for name in ways), "choice"):
        made.add_column(column, justify="left" if column in ("board", "choice") else "right")
    needs = [f"{way['bits'] / 1000:,.0f}" for way in ways.values()]
    for name, board in result["boards"].items():
        made.add_row(name, f"{board['there'] / 1000:,.0f}", *needs, board["choice"] or "neither fits")
    return made
