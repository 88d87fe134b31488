"""The engine of a network on a board where none is named, and those to name where it does not fit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgendt.boards import DEFAULT, Board, known
from edgendt.engine.compile import Compiled
from edgendt.engine.config import ENGINES, Engine
from edgendt.engine.keys import compile_for
from edgendt.errors import DoesNotFit, UnsupportedOp
from edgendt.ops import Rotary, Table, Transpose
from edgendt.program import Program
from edgendt.synth.size import part

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
    return next((name for name in names if _holds(board, Engine.named(name), None)), names[-1])


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
    """DoesNotFit in the block says which engines hold the program on the board, or which other board has one."""
    try:
        yield
    except DoesNotFit as error:
        fit = [name for name, engine in ENGINES.items() if name != asked and _holds(board, engine, program)]
        where = f" on {board.name}" if board else ""
        there = _elsewhere(program) if program is not None and board is not None else None
        names = " or ".join(filter(None, (", ".join(fit[:-1]), *fit[-1:])))
        taken = f"take --engine {names}, which {'fit' if fit[1:] else 'fits'}{where}, or"
        moved = f" take {there}, or" if there else ""
        raise DoesNotFit(
            error.what, f"{taken if fit else f'no named engine{where} holds the network:{moved}'} {error.advice}"
        ) from error


def _elsewhere(program: Program) -> str | None:
    """The first named engine that holds the program, on the first board whose part holds that, as options."""
    boards = [Board.named(name) for name in (DEFAULT, *known())]
    for name, engine in ENGINES.items():
        if _holds(None, engine, program):
            for board in boards:
                if board.engine is not None and _holds(board, engine, None):
                    return f"--board {board.name} --engine {name}"
    return None


def _holds(board: Board | None, engine: Engine, program: Program | None) -> bool:
    try:
        if board is not None:
            part(board, engine)
        if program is not None:
            compile_for(program, engine)
    except (DoesNotFit, UnsupportedOp):
        return False
    return True
