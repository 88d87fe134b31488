"""The engine's RTL in a cocotb simulation, at its stream ports: every op of recorded trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgendt.compare import Tally, compare
from edgendt.engine.compile import Compiled
from edgendt.engine.config import Engine
from edgendt.engine.cycles import cycles_per_start
from edgendt.engine.image import Image, engine_id
from edgendt.engine.sources import engine_sources
from edgendt.errors import CyclesDiffer, ToolFailed
from edgendt.fixed import Codes
from edgendt.program import Program
from edgendt.sim.simulator import build, last_error, simulate

TOP = "edt_engine"
BENCH = "model_bench"
WAVES = "engine.vcd"


@dataclass(frozen=True)
class Traced:
    """What one trial showed: codes [bins, size] by op, answered outputs [bins, outputs], cycles [starts]."""

    ops: dict[str, Codes]
    answers: Codes
    cycles: Codes


def build_engine(engine: Engine, sources: Sequence[Path] | None = None, waves: bool = False) -> Path:
    """Build folder of edt_engine with its taps, for cocotb and Verilator; one build serves every network that fits."""
    identity = {"EngineId": f"32'd{engine_id(engine.parameters())}"}
    parameters = {**engine.parameters(), **identity}
    return build(TOP, list(sources or engine_sources()), parameters, {"EDT_TAP": 1}, ["--assert"], waves)


def trace(
    compiled: Compiled,
    trials: Sequence[Any],
    folder: Path,
    *,
    sources: Sequence[Path] | None = None,
    image: Image | None = None,
    waves: bool = False,
    **bench: Any,
) -> list[Traced]:
    """Run trials through the engine, counts [bins, channels] each or inputs by name.

    folder: gets stimulus, traces and waveform; image: loaded instead of the compiled one; waves: kept also when the
    bench fails. ToolMissing without Verilator; ToolFailed when the bench itself fails.
    """
    names = ("image.edi", "trials.npz", "trace.npz")
    paths = {name.partition(".")[0]: str(folder / name) for name in names}
    (image or compiled.image).save(Path(paths["image"]))
    arrays: dict[str, Any] = {str(index): compiled.starts(counts) for index, counts in enumerate(trials)}
    np.savez(paths["trials"], **arrays)
    longest = max(max(cycles_per_start(compiled, given)) for given in trials)  # a window's last row computes all of it
    case = {**paths, "pipes": compiled.engine.pipes, "timeout": 100_000 + 2 * longest, **bench}
    try:
        built = build_engine(compiled.engine, sources, waves)
        simulate(BENCH, TOP, built, case, waves=folder / WAVES if waves else None)
    except (AssertionError, RuntimeError) as error:
        (folder / "bench.log").write_text(str(error))
        raise ToolFailed("the engine's bench", folder / "bench.log", last_error(str(error))) from None
    with np.load(paths["trace"]) as found:
        return [_traced(compiled, found, index, given) for index, given in enumerate(trials)]


def _traced(compiled: Compiled, found: Any, trial: int, given: Any) -> Traced:
    starts = len(found[f"{trial}/cycles"])
    ops = compiled.decode([found[f"{trial}/events/{start}"] for start in range(starts)], given)
    return Traced(ops, compiled.answers(found[f"{trial}/answers"], given), found[f"{trial}/cycles"])


def check(
    program: Program, trials: Sequence[Any], traced: Sequence[Traced], points: Sequence[str] | None = None
) -> Tally:
    """`points` (all trace points by default) of every bin, and the answered outputs, against the Program."""
    tally = Tally()
    for counts, got in zip(trials, traced, strict=True):
        expected = program.trace(counts)
        seen = {name: expected[name] for name in points or program.trace_points}
        tally += compare("engine", seen, got.ops, program)
        answered = compare(
            "engine's answer", {program.output: expected[program.output]}, {program.output: got.answers}, program
        )
        tally += replace(answered, bins=0)
    return tally


def check_cycles(compiled: Compiled, trials: Sequence[Any], taken: Sequence[Codes]) -> None:
    """CyclesDiffer unless every start of every trial took exactly the cycles that the model predicts."""
    for trial, (given, cycles) in enumerate(zip(trials, taken, strict=True)):
        for start, (want, got) in enumerate(zip(cycles_per_start(compiled, given), cycles.tolist(), strict=True)):
            if want != got:
                raise CyclesDiffer(trial, start, want, got, compiled.program.streams)
