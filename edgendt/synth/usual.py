"""The engine of a network on a board where none is named."""

from __future__ import annotations

from edgendt.boards import DEFAULT, Board
from edgendt.engine.config import Engine
from edgendt.errors import DoesNotFit
from edgendt.ops import Rotary, Table
from edgendt.program import Program
from edgendt.synth.size import part

BUILT_FOR = {  # largest first
    ("tokens",): ("kria", "tokens-large", "tokens"),
    ("windows",): ("kria", "window"),
    ("windows", "rotary"): ("kria", "tokens-large", "tokens"),
    ("rotary",): ("streaming",),
}


def usual_engine(program: Program, board: Board | None = None) -> str:
    """The board's own (of the default board where none is given), unless the network needs a build that it is not.

    Then the largest one with it that the part holds, or the smallest, whose DoesNotFit will say what is short. Where no
    board is given UltraRAM is not taken for granted. BadInput for a board that has none.
    """
    own = (board or Board.named(DEFAULT)).own_engine
    need = needed(program)
    if all(getattr(Engine.named(own), one) for one in need):
        return own
    names = BUILT_FOR[need]
    return next((name for name in names if _there(board, name)), names[-1])


def needed(program: Program) -> tuple[str, ...]:
    """The build parameters without which no engine runs the network."""
    if program.inputs or any(isinstance(node.op, Table) for node in program.nodes):
        return ("tokens",)
    rotary = any(isinstance(node.op, Rotary) for node in program.nodes)
    return ("windows",) * bool(program.bins) + ("rotary",) * rotary


def _there(board: Board | None, name: str) -> bool:
    """The board's part holds the engine."""
    engine = Engine.named(name)
    if board is None:
        return not engine.ultra
    try:
        part(board, engine)
    except DoesNotFit:
        return False
    return True
