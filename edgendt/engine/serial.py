"""Exact cycles per bin of the serial core: a mirror in time of edt_serial.sv, where one step follows another."""

from __future__ import annotations

from edgendt.engine import layout as lay
from edgendt.engine.layout import Instr

FETCH = 8  # of every instruction, its decoding included
ROUND = 9  # shifting: three times sixteen, four, one place
FIT = 2  # rounding up, saturation
TAIL = 3  # last element -> sum
ADD = 4  # residual or position, second saturation
LEAD = 52  # leading bit, table


def cycles_of_instr(instr: Instr, keys: int) -> int:
    """Cycles of one instruction when `keys` keys are in use."""
    return FETCH + {lay.OP_MAC: _mac, lay.OP_NORM: _norm, lay.OP_EXP: _exp}.get(instr["op"], _none)(instr, keys)


def _none(instr: Instr, keys: int) -> int:
    return 0


def _mac(instr: Instr, keys: int) -> int:
    """Per result: begin, elements, tail, what its mode does, write."""
    each = 1 + (keys if instr["red_keys"] else instr["n_red"]) + TAIL + 1
    if instr["mode"] == lay.MODE_SCORE:
        return keys * each
    each += ROUND + FIT
    if instr["mode"] == lay.MODE_VALUE:
        each += 2  # the product with the reciprocal
    elif instr["add_res"] or instr["add_pos"]:
        each += ADD
    return (4 * (instr["n_tiles"] - 1) + 2 * instr["words"]) * each


def _norm(instr: Instr, keys: int) -> int:
    """Variance in 7, its root, then per channel two products with their roundings."""
    return 7 + LEAD + instr["n_red"] * (1 + 5 + ROUND + FIT + 3 + ROUND + FIT + 1)


def _exp(instr: Instr, keys: int) -> int:
    """Per key address and exponential, then the reciprocal of their sum."""
    return keys * (1 + 5 + ROUND + 3 + ROUND + FIT + 1) + 2 + LEAD
