"""What each board could hold, before any build: the most lanes, and a reference network's latency."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any

from edgendt import boards
from edgendt.boards import Board
from edgendt.engine.compile import compile_program
from edgendt.engine.config import ENGINES, Engine
from edgendt.engine.cycles import cycles_of
from edgendt.engine.reference import DEFAULT, TINY, Network, S
from edgendt.errors import DoesNotFit
from edgendt.synth.project import FAMILIES
from edgendt.synth.size import fits

ARRAYS = ((16, 8), (16, 4), (8, 4), (8, 2), (4, 1), (2, 1))  # narrowing pipes, special-function units
SHARED = ((1, 4), (0, 1))  # packed, splits
LEAST = 2048  # weights of a lane: one block memory
ROOM = {  # more of everything than a reference network takes
    "weight_depth": 1 << 17,
    "kv_depth": 1 << 14,
    **dict.fromkeys(("bias_depth", "act_depth", "res_depth", "pos_depth", "score_depth", "gamma_depth"), 1 << 13),
    "prog_depth": 1024,
}


def describe() -> dict[str, Any]:
    """`edgendt.boards.describe`, with the lanes and the latency of each board."""
    entries = boards.describe()["boards"]
    return {"boards": [entry | _capacity(Board.named(entry["name"])) for entry in entries]}


def _capacity(board: Board) -> dict[str, Any]:
    if board.engine is None:
        return {"most_lanes": None, "latency": None}
    return {"most_lanes": most_lanes(board), "latency": latency(board)}


def most_lanes(board: Board) -> int:
    """The widest named engine or power of two of lanes, one weight block each, that fits the part; 0 for none."""
    small = replace(ENGINES["small"], weight_depth=LEAST)
    plain = [replace(small, segments=a.segments, lanes=a.lanes, pipes=a.pipes, sfus=a.sfus) for a in arrays()]
    fitting = [engine.products for engine in [*ENGINES.values(), *plain] if fits(board, engine)]
    return max(fitting, default=0)


def latency(board: Board) -> dict[str, Any] | None:
    """Cycles per bin, window full, of S, else `default`, else `tiny`, on the fastest named engine that the part holds.

    The clock is the one asked of that engine, kept post-route or assumed; where the board's tool times no multiplier,
    neither stage nor time is given. None when none fits.
    """
    timed = board.open is None or FAMILIES[board.open.family].timed
    for network in (S, DEFAULT, TINY):
        found = dict(_named(board, network))
        if found:
            name = min(found, key=lambda one: found[one])
            clock = board.running(name).clock_mhz
            return {
                "network": network.name,
                "engine": name,
                "lanes": ENGINES[name].products,
                "cycles": found[name],
                "stage": "analytic",
                "clock_mhz": clock,
                "clock_stage": board.clock_stage(name) if timed else None,
                "us": found[name] / clock if timed else None,
            }
    return None


def _named(board: Board, network: Network) -> Iterator[tuple[str, int]]:
    """(name, cycles) of the engines that the part holds and that hold the network."""
    for name, engine in ENGINES.items():
        if fits(board, engine):
            with suppress(DoesNotFit):
                yield name, _cycles(network, engine)


def arrays() -> Iterator[Engine]:
    """Arrays of 1024 to 4 lanes, the widest first, then the serial core, with room for any reference network."""
    for power in range(10, 1, -1):
        each = min(8, 1 << power)
        segments, room = (1 << power) // each, ROOM | {"weight_depth": min(ROOM["weight_depth"], (1 << 26) >> power)}
        for (pipes, sfus), (packed, splits) in product(ARRAYS, SHARED):
            words = (1 << power) // pipes
            splits = min(splits, segments, pipes, max(words, 1))
            if 0 < words <= (128 if packed else 256):
                yield Engine(segments, each, pipes, sfus, packed=packed, splits=splits, **room)
    yield Engine(1, 4, 2, 1, serial=1, **ROOM)


@cache
def _cycles(network: Network, engine: Engine) -> int:
    """Of a bin once the window is full. DoesNotFit."""
    return cycles_of(compile_program(_program(network), engine), network.window - 1).total


_program = cache(Network.program)
