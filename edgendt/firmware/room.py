"""Rows of a window that a firmware has room for, and the names of its inputs and layers."""

from __future__ import annotations

import re
from collections.abc import Mapping

from edgendt.ops import CrossAttention
from edgendt.program import INPUT, Axis, Program

RESET = "reset"  # name of the input that begins a trial
RESERVED = {INPUT, RESET, "input", "rows"}
ROWS = 128  # of an axis at most, where no op has a bound of its own


def most_rows(program: Program, asked: Mapping[str, int]) -> dict[str, int]:
    """Rows of each open axis by name: those asked for, or ROWS, or as many keys as every op weights that sees them,
    which is the bound of any asked for; none of bins.
    """
    most = {axis.name: asked.get(axis.name, ROWS) for axis in program.open_axes if program.inputs}
    weighted: dict[str, int] = {}
    for node in program.nodes:
        if isinstance(node.op, CrossAttention) and (axis := program.axis(node.inputs[1]).name) in most:
            weighted[axis] = min(weighted.get(axis, node.op.keys), node.op.keys)
    return most | {axis: min(asked.get(axis, keys), keys) for axis, keys in weighted.items()}


def number(axis: Axis) -> str:
    """hls4ml name of the input that says how many rows of an axis there are."""
    return re.sub(r"\W", "_", axis.name) + "_rows"


def axis_of(number: str) -> Axis:
    """The axis whose rows an input of that name counts, by `number`."""
    return Axis(number.removesuffix("_rows"))


def layer_names(program: Program) -> dict[str, str]:
    """hls4ml layer name of each input and node: letters, digits and _ only, unique without regard to case."""
    names: dict[str, str] = {}
    taken = RESERVED | {number(axis).lower() for axis in program.open_axes}
    for original in (*(item.name for item in program.inputs), *(node.name for node in program.nodes)):
        stem = re.sub(r"\W", "_", original)
        name = next(n for n in (stem, *(f"{stem}_{i}" for i in range(1, len(names) + 5))) if n.lower() not in taken)
        taken.add(name.lower())
        names[original] = name
    return names
