"""Small networks that between them have every layer of the firmware, and what to run through each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from needs import needs_package
from networks import random_counts, random_ndt

from edgendt.fixed import Int
from edgendt.ops import Linear, Position, Table
from edgendt.program import INPUT, Node, Program

MOST = {"tokens": 128, "queries": 16}  # rows that the network of tokens has room for


def bin_by_bin() -> tuple[Program, Any]:
    program = random_ndt(10, 5, 6, 1, 2, 7, 3, 4, 12)
    return program, random_counts(program, 1, 12)


def rotary() -> tuple[Program, Any]:
    program = random_ndt(11, 5, 8, 1, 2, 7, 3, 4, rotary=True)
    return program, random_counts(program, 1, 12)


def whole_window() -> tuple[Program, Any]:
    program = random_ndt(12, 5, 6, 1, 2, 7, outputs=4, bins=8, causal=False, spatial=2)
    return program, random_counts(program, 1, 8)


def tokens() -> tuple[Program, Any]:
    needs_package("torch")
    from poyos import random_poyo, windows

    return random_poyo(depth=1), windows()[0]


def function() -> tuple[Program, Any]:
    """A product, positions, a table, a product."""
    rng = np.random.default_rng(13)
    act, counts = Int(8, 4), rng.integers(0, 16, (12, 5))

    def linear(name: str, inputs: int, x: Int, source: str) -> Node:
        constants = {"weight": rng.integers(-8, 8, (6, inputs)), "bias": rng.integers(-99, 99, 6)}
        return Node(name, Linear(inputs, 6, x, Int(4, 4), act), (source,), constants)

    x = Int(4, 0, False)
    nodes = (
        linear("x", 5, x, INPUT),
        Node("h", Position(6, 12, act), ("x",), {"table": rng.integers(-9, 9, (12, 6))}),
        Node("f", Table(6, act, act), ("h",), {"table": rng.integers(-128, 128, 256)}),
        linear("y", 6, act, "f"),
    )
    return Program("function", 5, x, nodes), counts


CASES: dict[str, Callable[[], tuple[Program, Any]]] = {
    "bin by bin": bin_by_bin,
    "rotary": rotary,
    "whole window": whole_window,
    "tokens": tokens,
    "function": function,
}
