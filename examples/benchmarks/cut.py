"""Engines whose memories are cut to one network: the widest that a board's part holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache

from edgendt.boards import Board
from edgendt.engine.compile import DEPTHS, compile_program
from edgendt.engine.config import Engine
from edgendt.engine.cycles import cycles_of
from edgendt.engine.reference import Network
from edgendt.errors import DoesNotFit
from edgendt.synth.capacity import arrays
from edgendt.synth.size import fits


def cut_to(network: Network, board: Board) -> Iterator[tuple[Engine, int]]:
    """(engine, cycles) of the widest arrays that hold the network in the part's memory."""
    widest = 0
    for array in arrays():
        if array.products < widest:
            return
        large = {"weights": network.weights >> array.packed, "kv": network.cached}
        if not fits(board, _shrunk(array, {name: -(-count // array.lane_count) for name, count in large.items()})):
            continue  # weights, keys and values alone are too many: nothing to compile
        try:
            engine, cycles = _compiled(network, array)
        except DoesNotFit:  # more words than any memory of these pipes may have
            continue
        if fits(board, engine):
            widest = engine.products
            yield engine, cycles


@cache
def _compiled(network: Network, array: Engine) -> tuple[Engine, int]:
    """`array` with the memory that the network takes, and the cycles of a bin once the window is full."""
    compiled = compile_program(_program(network), array)
    return _shrunk(array, compiled.sizes), cycles_of(compiled, network.window - 1).total


_program = cache(Network.program)


def _shrunk(array: Engine, sizes: Mapping[str, int]) -> Engine:
    """`array` with memories of these sizes, no smaller than an engine may have."""
    least = {"act_depth": 256 // array.pipes}
    depths = {depth: max(sizes.get(name, 0), least.get(depth, 16)) for name, (depth, *_) in DEPTHS.items()}
    return replace(array, **depths)
