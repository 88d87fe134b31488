"""The engine of a network on a board where none is named, and those to name where it does not fit."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgendt.boards import DEFAULT, Board, known
from edgendt.engine.compile import Compiled
from edgendt.engine.config import ENGINES, Engine
from edgendt.engine.keys import compile_for
from edgendt.engine.rows import axes
from edgendt.engine.tiling import PAIR_BITS
from edgendt.errors import DoesNotFit, MemoryTooSmall, UnsupportedOp
from edgendt.ops import Linear, Rotary, Table, Transpose
from edgendt.program import Program
from edgendt.synth.size import fits, part

BUILT_FOR = {  # largest first
    ("tokens",): ("kria", "tokens-large", "tokens"),
    ("windows",): ("kria", "window"),
    ("windows", "rotary"): ("kria", "tokens-large", "tokens"),
    ("rotary",): ("streaming",),
}


def usual_engine(program: Program, board: Board | None = None) -> str:
    """The board's own, unless the network needs a build that it is not.

    Then the largest one with it that the part holds, or the smallest, whose DoesNotFit will say what is short. Where no
    board is given that of the default board, or else the first named one that holds the network. BadInput for a board
    that has none.
    """
    if board is None:
        own = usual_engine(program, Board.named(DEFAULT))
        return next((name for name in (own, *ENGINES) if _holds(None, Engine.named(name), program)), own)
    need = needed(program)
    if all(getattr(Engine.named(board.own_engine), one) for one in need):
        return board.own_engine
    names = BUILT_FOR[need]
    return next((name for name in names if fits(board, Engine.named(name))), names[-1])


def needed(program: Program) -> tuple[str, ...]:
    """The build parameters without which no engine runs the network."""
    if program.inputs or any(isinstance(node.op, Table) for node in program.nodes):
        return ("tokens",)
    kinds = {type(node.op) for node in program.nodes}
    return ("windows",) * bool(program.bins or Transpose in kinds) + ("rotary",) * (Rotary in kinds)


def rooms(program: Program) -> dict[str, int]:
    """Tokens of a window that the named engines which can run the network have room for, smallest first; 0 where it
    does not fit.
    """
    found = {}
    for name in reversed(BUILT_FOR[("tokens",)]):
        with suppress(UnsupportedOp):
            try:
                found[name] = compile_for(program, Engine.named(name)).most
            except DoesNotFit:
                found[name] = 0
    return found


def longest(program: Program, trials: Sequence[Any]) -> int:
    """Tokens of the longest of these windows; 0 of a network of counts."""
    tokens = axes(program)[0] if program.inputs else None
    names = [item.name for item in program.inputs if item.codes is None and item.axis == tokens]
    return max((len(given[names[0]]) for given in trials), default=0) if names else 0


def check_room(name: str, compiled: Compiled, trials: Sequence[Any]) -> None:
    """DoesNotFit where the engine has no room for one of these windows of tokens; it says which has."""
    many = longest(compiled.program, trials)
    if many > compiled.most:
        there = _elsewhere(compiled.program, many)
        moved = f"take {there}, or " if there else ""
        what = f"windows of up to {many:,} tokens do not fit engine {name} (room for {compiled.most:,})"
        raise DoesNotFit(what, f"{moved}train with a lower poyo.window_ms or fewer units")


def compiled_for(
    board: Board | None, program: Program, engine: str | Path | None = None, built: bool = False
) -> tuple[str, Compiled]:
    """Name and network of the engine asked for, the usual one otherwise. DoesNotFit, as `or_another` words it.

    built: the engine is there already, so the board's part is not asked.
    """
    name = str(engine or usual_engine(program, board))
    with or_another(name, board, program):
        compiled = compile_for(program, Engine.named(name))
        if board is not None and not built:
            part(board, compiled.engine)
    return name, compiled


@contextmanager
def or_another(asked: str, board: Board | None = None, program: Program | None = None) -> Iterator[None]:
    """DoesNotFit in the block says which engines hold the program on the board, or which other board has one.

    More memory is advised only where the board's part has it.
    """
    try:
        yield
    except DoesNotFit as error:
        fit = [name for name, engine in ENGINES.items() if name != asked and _holds(board, engine, program)]
        where = f" on {board.name}" if board else ""
        there = _elsewhere(program) if program is not None and board is not None else None
        names = " or ".join(filter(None, (", ".join(fit[:-1]), *fit[-1:])))
        taken = f"take --engine {names}, which {'fit' if fit[1:] else 'fits'}{where}, or"
        none, moved = f"no named engine{where} holds the network:", f"take {there}, or " if there else ""
        advice, room = error.advice, ""
        if board and isinstance(error, MemoryTooSmall) and not _deepens(board, asked, error.depths):
            advice = error.training if fit or there else f"{error.training}, or choose a larger part"
            room = "" if fit else f" {_room(board, asked, error)};"
        raise DoesNotFit(error.what, f"{taken} {advice}" if fit else f"{none}{room} {moved}{advice}") from error


def _deepens(board: Board, name: str, depths: Mapping[str, int]) -> bool:
    """The board's part holds the engine with memories so deep."""
    try:
        return fits(board, replace(Engine.named(name), **depths))
    except ValueError:  # deeper than any engine's
        return False


def _room(board: Board, name: str, error: MemoryTooSmall) -> str:
    """How much of the memory that is short the engine could have on the board's part."""
    depths = range(getattr(Engine.named(name), error.short), error.depths[error.short] + 1)
    there = bisect_left(depths, True, key=lambda depth: not _deepens(board, name, {error.short: depth}))
    if not there:
        return f"{name} itself is too large for {board.part}"
    if there < len(depths):
        return f"on {board.part} {error.short} of {name} can be {depths[there - 1]} at most"
    needed = ", ".join(f"{depth} {words}" for depth, words in error.depths.items())
    return f"{board.part} has no room for {needed} together"


def _elsewhere(program: Program, tokens: int = 0) -> str | None:
    """The first named engine that holds the program and windows of so many tokens, on the first board whose part holds
    that, as options.
    """
    boards = [Board.named(name) for name in (DEFAULT, *known())]
    room = rooms(program) if tokens else {}
    for name, engine in ENGINES.items():
        if _holds(None, engine, program) and room.get(name, 0) >= tokens:
            for board in boards:
                if board.engine is not None and fits(board, engine):
                    return f"--board {board.name} --engine {name}"
    return None


def crowded(program: Program, engine: Engine) -> bool:
    """The weights alone are more than the lanes hold in any schedule: nothing to compile.

    Never of a network of tokens, some of whose Linears may become tables.
    """
    linears = [] if program.inputs else [node.op for node in program.nodes if isinstance(node.op, Linear)]
    words = sum(op.inputs * op.outputs / (1 + (engine.packed and op.w.bits <= PAIR_BITS)) for op in linears)
    return words > engine.lane_count * engine.weight_depth


def _holds(board: Board | None, engine: Engine, program: Program | None) -> bool:
    if board is not None and not fits(board, engine):
        return False
    if program is not None and crowded(program, engine):
        return False
    with suppress(DoesNotFit, UnsupportedOp):
        if program is not None:
            compile_for(program, engine)
        return True
    return False
