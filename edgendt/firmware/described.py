"""An op as a layer of ours: attributes and constants that follow from the op, said once for both ways.

The firmware writes them into an hls4ml graph; the plugin reads an op out of one and holds the rest against this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

import numpy as np

from edgendt.errors import UnsupportedOp
from edgendt.firmware.layers import LAYERS, EdtLayer
from edgendt.firmware.memory import COSINE, GELU, STEP, TABLE
from edgendt.fixed import Codes, Int
from edgendt.node import Node
from edgendt.ops.attention import EXP, RECIP
from edgendt.ops.layernorm import BETA, RSQRT
from edgendt.ops.rotary import COS

TABLES: Mapping[str, Callable[[Any], tuple[Codes, Int]]] = {  # constants that an op has by itself
    "exp": lambda op: (EXP, TABLE),
    "recip": lambda op: (RECIP[512:], TABLE),
    "rsqrt": lambda op: (RSQRT[256:], TABLE),
    "cos": lambda op: (COS, COSINE),
    "steps": lambda op: (np.array(op.steps), STEP),
    "gelu": lambda op: (op.table, GELU),
}
FORMS: Mapping[str, Callable[[Any], Int]] = {"gamma": lambda op: op.gamma, "beta": lambda op: BETA}


def type_name(form: Int, narrows: bool = False) -> str:
    """The ap type of a format; `narrows`: a cast to it rounds ties to even and saturates."""
    modes = ",AP_RND_CONV,AP_SAT" if narrows else ""
    return f"{'' if form.signed else 'u'}fixed<{form.bits},{form.bits - form.frac}{modes}>"


def integer_name(form: Int) -> str:
    """The ap type of a format's codes."""
    return f"{'' if form.signed else 'u'}int<{form.bits}>"


def layer_of(node: Node) -> type[EdtLayer]:
    """The layer that holds a node. UnsupportedOp where there is none."""
    op, many = node.op, len(node.inputs)
    for layer in LAYERS:
        fits = layer.op is type(op) and many == (layer.reads or op.arity)
        if fits and all(getattr(op, name) == value for name, value in layer.holds.items()):
            return layer
    raise UnsupportedOp(op.kind, node.name, "the hls4ml firmware has no layer for it")


def described(node: Node) -> tuple[dict[str, Any], dict[str, str]]:
    """(attributes of the layer, types of its constants by name) of a node, but for what the graph says."""
    layer, op = layer_of(node), node.op
    said: dict[str, Any] = {"class_name": layer.__name__, "size": op.size}
    for name in layer.fields:
        if name not in layer.placed:
            said[name] = int(attrgetter(layer.words.get(name, name))(op))
    types = {}
    for name in layer.constants:
        codes, form = TABLES[name](op) if name not in node.constants else (node.constants[name], _form(op, name))
        said[f"{name}_data"], types[name] = codes, integer_name(form)
    return said, types


def _form(op: Any, name: str) -> Int:
    """Format of a constant: that of the result, unless FORMS says another."""
    form: Int = FORMS[name](op) if name in FORMS else op.y
    return form
