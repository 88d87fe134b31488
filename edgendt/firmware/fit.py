"""The folding of a part: the fewest cycles with the multipliers and memory blocks that it has (analytic)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import astuple, dataclass, replace
from itertools import product

from edgendt.errors import DoesNotFit
from edgendt.firmware.folding import FILE, Folding, divisors, length, plan, reuses
from edgendt.firmware.room import most_rows
from edgendt.firmware.schedule import Row, row, schedule
from edgendt.firmware.target import AMD, Part, Target
from edgendt.ops import Linear
from edgendt.program import Node, Program

MOST = 16  # elements per cycle
LARGER = "choose a larger part, or"
FEWER = f"{LARGER} a network with fewer layers"
SMALLER = f"{FEWER}, fewer bits or a shorter window"
ROWS = f"{LARGER} room for fewer rows of a window: `edgendt synth --rows tokens=N`"
SHORTER = f"{LARGER} shorter windows"
ANY = 1 << 40  # blocks of a part that has as many as are asked for


@dataclass(frozen=True)
class Budget:
    """Of a part or of ops: multipliers, memory blocks of 18 kbit, and UltraRAMs."""

    multipliers: int
    blocks: int
    ultra_rams: int = 0

    @classmethod
    def on(cls, board: Part, target: Target) -> Budget:
        """What the board has for a firmware: UltraRAMs for Vitis alone, since vivado_hls has other words for them."""
        multipliers, blocks, ultra_rams = board.left(target.streams)
        return cls(multipliers, blocks, ultra_rams if target.backend == AMD else 0)

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Budget:
        """What ops take together."""
        held = list(rows)
        multipliers, blocks = sum(one.multipliers for one in held), sum(one.blocks for one in held)
        return cls(multipliers, blocks, sum(one.ultra_rams for one in held))

    def __sub__(self, other: Budget) -> Budget:
        multipliers, blocks = self.multipliers - other.multipliers, self.blocks - other.blocks
        return Budget(multipliers, blocks, self.ultra_rams - other.ultra_rams)

    def demand(self, needed: Budget, what: str, advice: tuple[str, str, str]) -> None:
        """DoesNotFit where `needed` is more than this part has. advice: for multipliers, blocks and UltraRAMs."""
        for asked, there, kind, said in (
            (needed.multipliers, self.multipliers, "multipliers", advice[0]),
            (needed.blocks, self.blocks, "memory blocks of 18 kbit", advice[1]),
            (needed.ultra_rams, self.ultra_rams, "UltraRAMs", advice[2]),
        ):
            if asked > there:
                raise DoesNotFit(f"{what} {asked} {kind}, the board has {there} for it", said)

    def share(self, step: Budget) -> float:
        """Of this part, that something takes; less than 1 is all of it. An UltraRAM is more than all the rest."""
        others = step.multipliers / max(self.multipliers, 1) + step.blocks / max(self.blocks, 1)
        return (step.ultra_rams + others / 4) / (self.ultra_rams + 1)


@dataclass(frozen=True)
class Way:
    """A number that an op may be folded by, whether its rows lie in UltraRAM, and what it then takes."""

    fold: int
    ultra: bool
    cycles: int
    takes: Budget

    @property
    def costs(self) -> tuple[int, ...]:
        return (self.cycles, self.takes.multipliers, self.takes.blocks, self.takes.ultra_rams)


Ways = tuple[Way, ...]


def fit(program: Program, part: Budget, most: Mapping[str, int] | None = None) -> Folding:
    """The folding of fewest cycles that `part` holds, of several the one that takes least; DoesNotFit without one.

    most: rows of each axis of a network of tokens, see room.most_rows; cycles and memory count so many.
    """
    rows, memory = most_rows(program, most or {}), ROWS if program.inputs else SMALLER
    advice = (FEWER, memory, memory)
    folding = plan(program)
    constants = Budget.of(one for one in schedule(program, folding, rows=rows) if one.kind == "constant")
    places = (False, True) if part.ultra_rams else (False,)
    ways = {node.name: _ways(program, node, folding, rows, places) for node in program.nodes}
    smallest = [sum(min(way.costs[kind] for way in found) for found in ways.values()) for kind in (1, 2)]
    part.demand(Budget(smallest[0], smallest[1] + constants.blocks), "the firmware needs at least", advice)
    left = part - constants
    found = _least(ways, lambda way: way.cycles + left.share(way.takes), left)
    if found is None:
        fewest = _least(ways, lambda way: way.takes.blocks, replace(left, blocks=ANY)) or {}
        needed = Budget(0, constants.blocks + sum(way.takes.blocks for way in fewest.values()))
        within = "within its multipliers" + (" and UltraRAMs" if part.ultra_rams else "")
        part.demand(needed, f"{within} the firmware needs", advice)
    assert found, "some way was held"
    ultra = {name for name, way in found.items() if way.ultra}
    return _with(folding, {name: way.fold for name, way in found.items()}, ultra)


def fit_rows(
    program: Program, part: Budget, folding: Folding | None, asked: Mapping[str, int], least: Mapping[str, int]
) -> tuple[Folding, dict[str, int]]:
    """The folding, and the rows that the part has memory for: those not asked for are halved until it has, down to
    `least`.
    """
    planned = f"or leave it out: {FILE} is then planned"
    slower = f"raise reuse or lower unroll in the folding file, {planned}"
    advice = (slower, slower, f"name fewer ops in ultra of the folding file, {planned}")
    most = most_rows(program, asked)
    most |= {name: max(most[name], rows) for name, rows in least.items()}
    while True:
        try:
            fitted = folding or fit(program, part, most)
            part.demand(Budget.of(schedule(program, fitted, rows=most)), "the folding asks for", advice)
            return fitted, most
        except DoesNotFit as error:
            free = {name: count for name, count in most.items() if name not in asked and count > least[name]}
            if not free:
                shorter = error.advice == ROWS and not asked
                raise DoesNotFit(error.what, SHORTER if shorter else error.advice) from None
        largest = max(free, key=free.__getitem__)
        most = most | {largest: max(free[largest] // 2, least[largest])}


def _ways(program: Program, node: Node, folding: Folding, rows: Mapping[str, int], places: tuple[bool, ...]) -> Ways:
    """How an op may be folded, but for what takes more of one kind and less of none than another way.

    An op without multipliers takes no more elements per cycle than planned.
    """
    op, name = node.op, node.name
    most = MOST if folding.multipliers_of(name, op) else folding.unroll[name]
    folds = reuses(op) if isinstance(op, Linear) else [k for k in divisors(length(op)) if k <= most]
    found = []
    for fold, ultra in product(folds, places):
        one = row(program, node, _with(folding, {name: fold}, {name} if ultra else set()), rows)
        found.append(Way(fold, ultra, one.cycles, Budget.of([one])))
    unlike = {way.costs: way for way in reversed(found)}  # of equals the first
    return tuple(way for way in unlike.values() if not any(_better(other, way) for other in unlike.values()))


def _better(one: Way, other: Way) -> bool:
    """Takes less of something and more of nothing."""
    return one.costs != other.costs and all(less <= more for less, more in zip(one.costs, other.costs, strict=True))


def _with(folding: Folding, folds: Mapping[str, int], ultra: Set[str]) -> Folding:
    """The folding with other numbers for some ops, and the rows of these in UltraRAM."""
    reuse, unroll = ({name: folds.get(name, it[name]) for name in it} for it in (folding.reuse, folding.unroll))
    return Folding(reuse, unroll, frozenset(ultra))


def _least(ways: Mapping[str, Ways], asked: Callable[[Way], float], part: Budget) -> dict[str, Way] | None:
    """A way for each op: of all that `part` holds together those whose `asked` sum to the least. None: it holds none.

    An integer program, solved to its end. Its numbers say how many of the ops that have the same ways take each of
    them, for to take two equal layers' ways in turn would be the same again.
    """
    import numpy as np
    from scipy.optimize import Bounds, LinearConstraint, milp

    alike: dict[Ways, list[str]] = {}
    for name, found in ways.items():
        alike.setdefault(found, []).append(name)
    flat = [(at, way) for at, found in enumerate(alike) for way in found]
    of_op = np.array([at for at, _ in flat]) == np.arange(len(alike))[:, None]
    many = [len(names) for names in alike.values()]
    takes = np.array([way.costs[1:] for _, way in flat]).T
    solved = milp(
        [asked(way) for _, way in flat],
        integrality=np.ones(len(flat)),
        bounds=Bounds(0, np.inf),
        constraints=[LinearConstraint(of_op, many, many), LinearConstraint(takes, ub=list(astuple(part)))],
        options={"mip_rel_gap": 0.0},
    )
    if solved.x is None:
        return None
    counted = zip(flat, solved.x.round().astype(int), strict=True)
    names = {at: iter(each) for at, each in enumerate(alike.values())}
    return {next(names[at]): way for (at, way), count in counted for _ in range(count)}
