"""The layers of our own, read back into the ops that they hold (edgendt/firmware/described.py)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgendt.firmware.described import described
from edgendt.firmware.layers import LAYERS, EdtLayer
from edgendt.firmware.room import RESET
from edgendt.fixed import Int
from edgendt.node import Input, Node
from edgendt.ops import Op, SpatialMix
from edgendt.plugin.found import Found, Value, constant, counts_of, form, narrows, read_by, result

OURS: Mapping[str, type[EdtLayer]] = {layer.__name__: layer for layer in LAYERS}


def _units(layer: Any) -> int:
    """Rows of a lookup's table, an entry every `step`."""
    if (step := int(layer.get_attr("step"))) < 1:
        raise ValueError(f"its step must be at least 1, got {step}")
    return int(layer.get_attr("entries")) // step


READ: Mapping[str, Callable[[Any], Any]] = {  # fields of ops that stand in more than an attribute
    "gamma": lambda layer: Int(constant(layer, "gamma")[1].bits, int(layer.get_attr("gamma_frac"))),
    "steps": lambda layer: tuple(constant(layer, "steps")[0].ravel().tolist()),
    "rows": _units,
    "y": lambda layer: form(result(layer)),
}


def ours(layer: Any, found: Found) -> Value:
    """The op of a layer, which must say nothing else than the op does."""
    inputs = tuple(found.codes(name) for name in read_by(layer))
    if not narrows(result(layer)):
        raise ValueError(f"its result {result(layer)} must be of RND_CONV,SAT")
    op = op_of(layer, [value.y for value in inputs])
    names, constants = tuple(value.node for value in inputs), {name: constant(layer, name)[0] for name in op.constants}
    agrees(layer, Node(layer.name, op, names, constants))
    value = all_rows(layer, found, found.finish(layer.name, op, names, constants))
    rows, kind = int(layer.get_attr("rows", 0)), OURS[layer.class_name]
    if kind.resets and (kind.at_once or not rows) and RESET not in layer.inputs:
        raise ValueError(f"it must read the input {RESET}")
    if isinstance(op, SpatialMix) and (bins := int(layer.get_attr("bins"))) != (rows or 1):
        raise ValueError(f"its bins must be {rows or 1}, got {bins}")
    return value


def all_rows(layer: Any, found: Found, value: Value) -> Value:
    """What a layer gives, where it goes over all rows, and over all keys, that there are."""
    over = {"rows": value.axis, "window": found.codes(read_by(layer)[-1]).axis}
    for at, (attribute, axis) in zip(counts_of(layer), over.items(), strict=False):
        found.check_rows(layer.inputs[at] if at >= 0 else None, int(layer.get_attr(attribute, 0)), axis)
    return value


def op_of(layer: Any, forms: list[Int]) -> Op:
    """The op that a layer says; forms: of what it reads."""
    kind = OURS[layer.class_name]
    assert kind.op is not None
    if len(forms) != (many := kind.reads or kind.op.arity):
        raise ValueError(f"it reads {many} tensors, got {len(forms)}")
    attributes, given = {kind.words.get(name, name): name for name in ("size", *kind.fields)}, iter(forms)
    fields: dict[str, Any] = dict(kind.holds)
    for field in dataclasses.fields(kind.op):
        if field.name in READ:
            fields[field.name] = READ[field.name](layer)
        elif field.type == "Int":
            fields[field.name] = next(given)
        elif field.name in attributes:
            number = int(layer.get_attr(attributes[field.name]))
            fields[field.name] = bool(number) if field.type == "bool" else number
    return kind.op(**fields)


def agrees(layer: Any, node: Node) -> None:
    """ValueError where an attribute or a table of a layer is not what its op has."""
    said, types = described(node)
    for name in types:
        codes = said.pop(f"{name}_data")
        if name not in node.constants and not np.array_equal(constant(layer, name)[0].ravel(), codes):
            raise ValueError(f"its {name} is not the table that the op of the engine has")
    for name, value in said.items():
        if name != "class_name" and (found := int(layer.get_attr(name))) != value:
            raise ValueError(f"its {name} must be {value}, as the op of the engine has it, got {found}")


def constant_input(layer: Any, found: Found) -> Value:
    """Codes that the network brings along."""
    return found.take(Input.constant(layer.name, constant(layer, "codes")[0]), form(result(layer)), 0)
