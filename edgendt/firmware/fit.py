"""The folding of a part: the fewest cycles that its multipliers allow (analytic), op by op."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgendt.errors import DoesNotFit
from edgendt.firmware.folding import Folding, divisors, length, plan, reuses
from edgendt.firmware.room import most_rows
from edgendt.firmware.schedule import cycles
from edgendt.ops import Linear
from edgendt.program import Node, Program

MOST = 16  # elements per cycle


@dataclass(frozen=True)
class Choice:
    """A way to fold one op."""

    fold: int
    multipliers: int
    cycles: int


def fit(program: Program, available: int, most: Mapping[str, int] | None = None) -> Folding:
    """The folding of fewest cycles with `available` multipliers; DoesNotFit when the least asks for more.

    From the least, step by step: the next multipliers go where each saves most. most: rows of each axis of a network of
    tokens, see room.most_rows; cycles count so many.
    """
    rows = most_rows(program, most or {})
    folding = plan(program)
    ways = {node.name: _choices(program, node, folding, rows) for node in program.nodes}
    taken = {name: choices[0] for name, choices in ways.items()}
    left = available - sum(choice.multipliers for choice in taken.values())
    if left < 0:
        raise DoesNotFit(
            f"the firmware needs at least {available - left} multipliers, the part has {available}",
            "choose a larger part, or a network with fewer layers",
        )
    while better := _better(ways, taken, left):
        name, choice = better
        left -= choice.multipliers - taken[name].multipliers
        taken[name] = choice
    return _with(folding, {name: choice.fold for name, choice in taken.items()})


def _with(folding: Folding, folds: Mapping[str, int]) -> Folding:
    """The folding with other numbers for some ops."""
    tables = (folding.reuse, folding.unroll)
    return Folding(*({name: folds.get(name, fold) for name, fold in table.items()} for table in tables))


def _choices(program: Program, node: Node, folding: Folding, rows: Mapping[str, int]) -> list[Choice]:
    """From the fewest multipliers to the most; an op without any stays as it is planned."""
    op, name = node.op, node.name
    folds = reuses(op)[::-1] if isinstance(op, Linear) else [k for k in divisors(length(op)) if k <= MOST]
    if not folding.multipliers_of(name, op):
        folds = [folding.unroll[name]]
    found = []
    for fold in folds:
        one = _with(folding, {name: fold})
        found.append(Choice(fold, one.multipliers_of(name, op), cycles(program, node, one, None, rows)))
    return found


def _better(ways: Mapping[str, list[Choice]], taken: Mapping[str, Choice], left: int) -> tuple[str, Choice] | None:
    """The step that saves most cycles per multiplier among those that `left` allows."""
    best, most = None, 0.0
    for name, choices in ways.items():
        here = taken[name]
        for choice in choices:
            more, saved = choice.multipliers - here.multipliers, here.cycles - choice.cycles
            if 0 < more <= left and saved > most * more:
                best, most = (name, choice), saved / more
    return best
