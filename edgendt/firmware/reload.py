"""Another network of the same structure in the place of a firmware's own, without new synthesis: a load packet."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from edgendt.firmware.dense import Dense
from edgendt.fixed import Codes, Int
from edgendt.node import Node
from edgendt.ops import Linear
from edgendt.program import Program, structure

LOAD = 2  # flags of a packet that loads


def structure_id(program: Program) -> int:
    """What two networks share that one firmware can hold: CRC-32 of all but the constants."""
    return zlib.crc32(repr(structure(program)).encode())


def constants(program: Program) -> Iterator[tuple[str, str, Codes]]:
    """(input or node, name, codes) of every constant that differs between networks of one structure, as the C++ holds
    them, in the order of a load packet.
    """
    yield from ((item.name, "codes", item.codes) for item in program.inputs if item.codes is not None)
    for node in program.nodes:
        if isinstance(node.op, Linear):
            dense = Dense.of(node, node.op)
            yield from ((node.name, "weight", dense.weight), (node.name, "bias", dense.bias))
        else:
            yield from ((node.name, name, node.constants[name]) for name in node.op.constants)


def packet(program: Program) -> NDArray[np.int32]:
    """Words: flags, structure, how many codes, the codes, their CRC-32."""
    codes = np.concatenate([codes.ravel() for _, _, codes in constants(program)]).astype("<i4")
    head = np.array([LOAD, structure_id(program), len(codes)], np.uint32)
    words = [head.view(np.int32), codes, np.array([zlib.crc32(codes.tobytes())], np.uint32).view(np.int32)]
    return np.concatenate(words)


def other(program: Program, seed: int = 0) -> Program:
    """A network of the same structure that nobody trained, which shows that what computes was loaded: weights of a row
    in another order, signs turned where an array has both, ones for an array of zeros where sums have room for them.
    Every other array differs, but for the codes of an input whose rows are the same from either end.
    """
    rng = np.random.default_rng(seed)
    nodes = (replace(node, constants=_others(node, program.accumulator, rng)) for node in program.nodes)
    inputs = (one if one.codes is None else replace(one, codes=one.codes[::-1]) for one in program.inputs)
    return replace(program, nodes=tuple(nodes), inputs=tuple(inputs), name=f"{program.name}, stirred")


def _others(node: Node, accumulator: Int, rng: np.random.Generator) -> dict[str, Codes]:
    """Other constants of a node: no sum of magnitudes grows but by the ones."""
    stirred = {key: _stirred(codes, rng) for key, codes in node.constants.items()}
    ones = {key: codes if codes.any() else np.ones_like(codes) for key, codes in stirred.items()}  # biases, often
    try:
        cast(Any, node.op).check(accumulator, **ones)
    except ValueError:  # the accumulator's last code is taken
        return stirred
    return ones


def _stirred(codes: Codes, rng: np.random.Generator) -> Codes:
    """Other codes within the reach of these; the same where all are zeros."""
    low, high = min(codes.min(), 0), max(codes.max(), 0)
    signs = rng.choice([-1, 1], codes.shape)
    signs[..., 0] = -1
    moved: Codes = rng.permuted(codes, axis=-1) if codes.ndim > 1 else codes
    found: Codes = np.clip(moved * signs, low, high)
    return found if (found != codes).any() else np.clip(-codes, low, high)
