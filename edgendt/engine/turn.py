"""Rotary position as instructions: what turns codes, and the angles that it turns them by."""

from __future__ import annotations

import numpy as np

from edgendt.engine import layout as lay
from edgendt.engine.heads import Positions
from edgendt.engine.layout import Instr
from edgendt.engine.schedule import Emitter, Open, Tensor
from edgendt.errors import UnsupportedOp
from edgendt.ops import Rotary
from edgendt.program import Node


def turn(emit: Emitter, node: Node, source: Tensor, partner: int, fields: dict[str, int]) -> int:
    """A Rotary on the special-function units, once its source, residual words, is written.

    partner: places between the codes of a pair, a power of two; pairs do not leave their word. Returns its index.
    """
    op = node.op
    assert isinstance(op, Rotary)
    base = angles(emit, node, op, source.positions)
    fields = {"n_red": op.size, "xstride": op.shift, "xbase": partner, "bias_base": base} | fields
    return pairwise(emit, node, source, fields)


def pairwise(emit: Emitter, node: Node, source: Tensor, fields: dict[str, int]) -> int:
    """What the special-function units make of pairs of codes, once they, residual words, are written."""
    for index in range(source.stats_by + 1, len(emit.instrs)):  # two memories have one port for units and pipes
        instr = emit.instrs[index]
        if instr["op"] == lay.OP_MAC and (instr["dst"] & lay.DST_ACT or instr["add_res"]):
            emit.sync(instr["dst_tag"])
    fields = {
        "op": lay.OP_TURN,
        "tag_clear": 1,
        "tag_fin": 1,
        "y1": lay.fmt(node.op.y),
        "add_base": source.base,
        "rows_add": source.kept,
    } | fields
    if source.tag is not None:
        fields |= {"src_use": 1, "src_tag": source.tag}
    emit.instrs.append(Instr(node.name, fields))
    emit.open.append(Open(fields["dst_tag"], source))
    return len(emit.instrs) - 1


def angles(emit: Emitter, node: Node, op: Rotary, positions: Positions) -> int:
    """Base of the angles of channels at these places; rotaries of the same steps and order share them."""
    sfus = emit.engine.sfus
    rows = np.zeros(-(-op.size // sfus) * sfus, np.int64)
    rows[: op.size] = np.asarray(op.steps)[positions % op.head_size // 2] | positions % 2 << lay.STEP_BITS
    if rows.tobytes() not in emit.angles:
        emit.words.steps.append(rows)
        base = emit.angles[rows.tobytes()] = emit.grow("angle", len(rows) // sfus)
        if base * sfus + len(rows) > lay.ANGLES:
            raise UnsupportedOp(op.kind, node.name, f"rotaries of different steps have over {lay.ANGLES} channels")
    return emit.angles[rows.tobytes()]
