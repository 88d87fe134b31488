"""The folding of a part: few cycles with the multipliers and memory blocks that it has (analytic), op by op."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edgendt.errors import DoesNotFit
from edgendt.firmware.folding import FILE, Folding, divisors, length, plan, reuses
from edgendt.firmware.room import most_rows
from edgendt.firmware.schedule import Row, row, schedule
from edgendt.ops import Linear
from edgendt.program import Node, Program

MOST = 16  # elements per cycle
LARGER = "choose a larger part, or"
FEWER = f"{LARGER} a network with fewer layers"
SMALLER = f"{FEWER}, fewer bits or a shorter window"
ROWS = f"{LARGER} room for fewer rows of a window: `edgendt synth --rows tokens=N`"
SHORTER = f"{LARGER} shorter windows"
FREE = 1e-9  # share of a part that a step takes which takes nothing


@dataclass(frozen=True)
class Budget:
    """Of a part or of ops: multipliers, and memory blocks of 18 kbit."""

    multipliers: int
    blocks: int

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Budget:
        """What ops take together."""
        held = list(rows)
        return cls(sum(one.multipliers for one in held), sum(one.blocks for one in held))

    def __sub__(self, other: Budget) -> Budget:
        return Budget(self.multipliers - other.multipliers, self.blocks - other.blocks)

    def demand(self, needed: Budget, what: str, advice: tuple[str, str]) -> None:
        """DoesNotFit where `needed` is more than this part has. advice: for multipliers, for blocks."""
        for asked, there, kind, said in (
            (needed.multipliers, self.multipliers, "multipliers", advice[0]),
            (needed.blocks, self.blocks, "memory blocks of 18 kbit", advice[1]),
        ):
            if asked > there:
                raise DoesNotFit(f"{what} {asked} {kind}, the board has {there} for it", said)

    def share(self, step: Budget) -> float:
        """Of this part, that a step takes of what it takes most of."""
        return max(step.multipliers / max(self.multipliers, 1), step.blocks / max(self.blocks, 1), FREE)


def fit(program: Program, part: Budget, most: Mapping[str, int] | None = None) -> Folding:
    """A folding of few cycles that `part` holds; DoesNotFit when the least asks for more.

    From the fewest multipliers, step by step: until memory is enough, then the next ones go where each saves most.
    most: rows of each axis of a network of tokens, see room.most_rows; cycles and memory count so many.
    """
    rows, advice = most_rows(program, most or {}), (FEWER, ROWS if program.inputs else SMALLER)
    folding = plan(program)
    constants = [one for one in schedule(program, folding, rows=rows) if one.kind == "constant"]
    ways = {one.name: {0: one} for one in constants}
    ways |= {node.name: _ways(program, node, folding, rows) for node in program.nodes}
    taken = {name: next(iter(found)) for name, found in ways.items()}
    smallest = sum(min(way.blocks for way in found.values()) for found in ways.values())
    part.demand(Budget(_cost(ways, taken).multipliers, smallest), "the firmware needs at least", advice)
    while better := _better(ways, taken, part):
        taken |= better
    part.demand(_cost(ways, taken), "within its multipliers the firmware needs", advice)
    return _with(folding, taken)


def fit_rows(
    program: Program, part: Budget, folding: Folding | None, asked: Mapping[str, int], least: Mapping[str, int]
) -> tuple[Folding, dict[str, int]]:
    """The folding, and the rows that the part has memory for: those not asked for are halved until it has, down to
    `least`.
    """
    advice = f"raise reuse or lower unroll in the folding file, or leave it out: {FILE} is then planned"
    most = most_rows(program, asked)
    most |= {name: max(most[name], rows) for name, rows in least.items()}
    while True:
        try:
            fitted = folding or fit(program, part, most)
            part.demand(Budget.of(schedule(program, fitted, rows=most)), "the folding asks for", (advice, advice))
            return fitted, most
        except DoesNotFit as error:
            free = {name: count for name, count in most.items() if name not in asked and count > least[name]}
            if not free:
                shorter = error.advice == ROWS and not asked
                raise DoesNotFit(error.what, SHORTER if shorter else error.advice) from None
        largest = max(free, key=free.__getitem__)
        most = most | {largest: max(free[largest] // 2, least[largest])}


def _ways(program: Program, node: Node, folding: Folding, rows: Mapping[str, int]) -> dict[int, Row]:
    """What an op takes, by how it is folded: the fewest multipliers first, of equals the fewest blocks.

    An op without multipliers takes no more elements per cycle than planned.
    """
    op, name = node.op, node.name
    most = MOST if folding.multipliers_of(name, op) else folding.unroll[name]
    folds = reuses(op) if isinstance(op, Linear) else [k for k in divisors(length(op)) if k <= most]
    found = {fold: row(program, node, _with(folding, {name: fold}), rows) for fold in folds}
    return dict(sorted(found.items(), key=lambda way: (way[1].multipliers, way[1].blocks, way[1].cycles)))


def _with(folding: Folding, folds: Mapping[str, int]) -> Folding:
    """The folding with other numbers for some ops."""
    tables = (folding.reuse, folding.unroll)
    return Folding(*({name: folds.get(name, fold) for name, fold in table.items()} for table in tables))


def _cost(ways: Mapping[str, Mapping[int, Row]], taken: Mapping[str, int]) -> Budget:
    """Of all ops, each folded as taken."""
    return Budget.of(ways[name][fold] for name, fold in taken.items())


def _better(ways: Mapping[str, Mapping[int, Row]], taken: Mapping[str, int], part: Budget) -> dict[str, int] | None:
    """The step that gains most per share of the part: blocks while it has too few, then cycles. None: none gains."""
    left = part - _cost(ways, taken)
    best, most = None, 0.0
    for name, found in ways.items():
        here = found[taken[name]]
        for fold, there in found.items():
            more = Budget.of([there]) - Budget.of([here])
            gain = -more.blocks if left.blocks < 0 else here.cycles - there.cycles
            fits = more.multipliers <= left.multipliers and (left.blocks < 0 or more.blocks <= left.blocks)
            if fits and gain > most * part.share(more):
                best, most = {name: fold}, gain / part.share(more)
    return best
