"""The engine of a network on a board where none is named."""

from __future__ import annotations

from edgendt.boards import DEFAULT, Board
from edgendt.engine.config import Engine
from edgendt.errors import DoesNotFit
from edgendt.ops import Rotary, Table
from edgendt.program import Program
from edgendt.synth.size import part

BUILT_FOR = {"tokens": ("tokens-large", "tokens"), "windows": ("window",), "rotary": ("streaming",)}  # largest first


def usual_engine(program: Program, board: Board | None = None) -> str:
    """The board's own (of the default board where none is given), unless the network needs a build that it is not.

    Then the largest one with it that the part holds, or the smallest, whose DoesNotFit will say what is short.
    """
    own = (board or Board.named(DEFAULT)).engine
    need = needed(program)
    if need is None or getattr(Engine.named(own), need):
        return own
    names = BUILT_FOR[need]
    return next((name for name in names if board is None or _holds(board, name)), names[-1])


def needed(program: Program) -> str | None:
    """The build parameter without which no engine runs the network, if there is one."""
    if program.inputs or any(isinstance(node.op, Table) for node in program.nodes):
        return "tokens"
    if program.bins:
        return "windows"
    return "rotary" if any(isinstance(node.op, Rotary) for node in program.nodes) else None


def _holds(board: Board, name: str) -> bool:
    try:
        part(board, Engine.named(name))
    except DoesNotFit:
        return False
    return True
