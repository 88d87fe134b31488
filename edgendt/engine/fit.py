"""Does a Program fit an engine, how fast is it there, and what to change when it does not: before any build."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgendt.engine.compile import DEPTHS, Compiled, attempts, compile_program, shortfalls
from edgendt.engine.config import Engine
from edgendt.engine.cycles import Cycles, cycles_of
from edgendt.engine.size import resources
from edgendt.program import Program


@dataclass(frozen=True)
class Estimate:
    """`memory`: (needed, available) words by kind; `problems`: (what does not fit, what to change), empty when it fits.

    `first` and `steady` are the cycles of a trial's first bin and of one whose window is full, exact even for an engine
    whose memories are too small; `resources` are the engine's, by the part's names.
    """

    fits: bool
    problems: tuple[tuple[str, str], ...]
    memory: Mapping[str, tuple[int, int]]
    first: Cycles
    steady: Cycles
    resources: Mapping[str, int]
    choice: str


def estimate(program: Program, engine: Engine, target: str = "ecp5") -> Estimate:
    """UnsupportedOp for a Program that no engine holds; everything else is in the answer."""
    tried = attempts(program, engine)
    fitting = [one for one in tried if not shortfalls(one)]
    best = compile_program(program, engine) if fitting else min(tried, key=lambda one: len(shortfalls(one)))
    last = min(best.config["window"], program.max_bins or best.config["window"]) - 1
    return Estimate(
        fits=bool(fitting),
        problems=tuple(shortfalls(best)),
        memory=memory_of(best),
        first=cycles_of(best, 0),
        steady=cycles_of(best, last),
        resources=resources(engine, target),
        choice=f"{best.choice.groups} head groups, {best.choice.v_first} value tiles before the scores",
    )


def memory_of(compiled: Compiled) -> dict[str, tuple[int, int]]:
    """(needed, available) words by kind of memory."""
    engine = compiled.engine
    return {name: (compiled.sizes[name], getattr(engine, depth)) for name, (depth, *_) in DEPTHS.items()}
