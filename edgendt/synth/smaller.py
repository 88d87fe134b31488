"""Networks like one that no engine of a board holds, and are held: fewer layers, narrower ones, a shorter window."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from edgendt.boards import Board
from edgendt.engine.compile import Compiled, compile_program
from edgendt.engine.config import ENGINES, Engine
from edgendt.engine.reference import Network
from edgendt.errors import DoesNotFit, UnsupportedOp
from edgendt.synth.size import fits

WIDTHS = (192, 128, 96, 64, 48, 32, 16)  # of d
WINDOWS = (128, 64, 32, 16)


@dataclass(frozen=True)
class Held:
    """A network, and the named engine that holds it."""

    network: Network
    engine: str
    compiled: Compiled

    def contains(self, other: Network) -> bool:
        """No size of the other network is larger."""
        return all(a >= b for a, b in zip(_sizes(self.network), _sizes(other), strict=True))


def smaller(board: Board, asked: Network) -> list[Held]:
    """The largest networks like `asked` that named engines on the board's part hold, most weights first.

    Channels, outputs and heads stay, and the FFN unless it is wider than d: then it keeps its share. Position rows are
    as many as there is room for. Of several engines that hold a network it is the one with most lanes.
    """
    found: list[Held] = []
    engines = {name: engine for name, engine in ENGINES.items() if fits(board, engine)}
    for name in sorted(engines, key=lambda name: -engines[name].products):
        for windows in _like(asked, engines[name]):
            new = (one for one in windows if not any(other.contains(one) for other in found))
            found += next(([held] for one in new if (held := _held(one, name))), [])
    largest = [one for one in found if not any(other is not one and other.contains(one.network) for other in found)]
    return sorted(largest, key=lambda one: -one.network.weights)


def lacking(board: Board, asked: Network) -> str:
    """What even the smallest network that `smaller` tries takes too much of, on the engine with most lanes."""
    engines = [engine for engine in ENGINES.values() if fits(board, engine)]
    if not engines:
        return f"{board.part} holds no named engine"
    engine = max(engines, key=lambda one: one.products)
    *_, least = (one for windows in _like(asked, engine) for one in windows)
    name = f"{asked.name} with 1 layer, d {least.d}, FFN {least.ffn}, W {least.window}"
    try:
        compile_program(replace(least, name=name).program(), engine)
    except (DoesNotFit, UnsupportedOp) as error:
        return error.what if isinstance(error, DoesNotFit) else str(error)
    raise AssertionError(f"{name} fits {board.name}")


def _like(asked: Network, engine: Engine) -> Iterator[list[Network]]:
    """Lists of networks that differ in the window alone, the longest first; each has other layers, or another d."""
    lengths = (asked.window, *(window for window in WINDOWS if window < asked.window))
    layers = asked.layers
    while layers:
        for d in (asked.d, *(width for width in WIDTHS if width < asked.d and not width % (2 * asked.heads))):
            ffn = asked.ffn if asked.ffn <= asked.d else asked.ffn * d // asked.d
            rows = min(asked.rows, engine.pos_depth // -(-d // engine.pipes))
            like = replace(asked, layers=layers, d=d, ffn=ffn, bins=rows)
            yield [replace(like, window=window) for window in lengths if rows >= min(window, asked.rows)]
        layers //= 2


def _sizes(network: Network) -> tuple[int, ...]:
    return network.layers, network.d, network.window, network.rows


def _held(network: Network, name: str) -> Held | None:
    engine = ENGINES[name]
    lanes, each = engine.lane_count, 2 if engine.packed and network.bits <= 4 else 1
    if network.weights > each * lanes * engine.weight_depth or network.cached > lanes * engine.kv_depth:
        return None  # nothing to compile
    with suppress(DoesNotFit, UnsupportedOp):
        return Held(network, name, compile_program(network.program(), engine))
    return None
