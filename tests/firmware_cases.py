"""Small networks that between them have every layer of the firmware, and what to run through each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from needs import needs_package
from networks import random_counts, random_ndt

from edgendt.program import Program

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


CASES: dict[str, Callable[[], tuple[Program, Any]]] = {
    "bin by bin": bin_by_bin,
    "rotary": rotary,
    "whole window": whole_window,
    "tokens": tokens,
}
