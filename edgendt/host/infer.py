"""`edgendt infer`: a run's test trials through the board behind a port, bin by bin, every answer checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from time import perf_counter, perf_counter_ns
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgendt.artifact import Run, write_json
from edgendt.compare import compare
from edgendt.engine.cycles import cycles_per_start
from edgendt.errors import CyclesDiffer
from edgendt.fixed import Codes
from edgendt.host.attach import UNCHANGED, Attached, attach, bar, wired
from edgendt.metrics import summary
from edgendt.program import Program
from edgendt.wiring import Wiring, groups


@dataclass(frozen=True)
class Streamed:
    """What trials gave: codes [bins, outputs] and cycles [starts] of each; every start's round trip, µs, and bytes on
    the line; seconds in all. A bin is one start, of a whole window two.
    """

    codes: tuple[Codes, ...]
    cycles: tuple[NDArray[np.int64], ...]
    micros: tuple[float, ...]
    bytes: tuple[int, ...]
    seconds: float

    def round_trip(self) -> dict[str, float]:
        """p50, p99, max µs from a bin's request to its answer, in this process."""
        return {name: round(value, 1) for name, value in summary(self.micros).items()}


def infer(
    run: Run,
    port: str,
    board: str,
    engine: str | None = None,
    wiring: Wiring = UNCHANGED,
    *,
    check: bool = True,
    trials: int | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Stream the run's test trials (`trials` of them) and keep `infer-<board>/`; returns its `infer.json`.

    Mismatch or CyclesDiffer at the first answer that is not the Program's, when `check`; then no stage is kept.
    """
    model = run.stage("quantize")
    with attach(run, port, board, engine, wiring) as attached, bar("bins", quiet) as progress:
        attached.demand_network()
        got = stream(attached, wired(run, wiring, clip=False)[:trials], check, progress)
        line = attached.link.counters() | {"clipped": attached.link.clipped}
        result = attached.head() | summarise(got, check) | {"whole_window": attached.program.bins} | line
    inputs = [model / "program.edt", model / "stimulus.npz"]
    config = {"engine": attached.engine, "check": check, "trials": trials, **asdict(wiring)}
    with run.write(f"infer-{board}", inputs, config) as folder:
        np.savez_compressed(folder / "answers.npz", **answers(attached.program, got))
        write_json(folder / "infer.json", result)
    return result | {"answers": str(run.path / f"infer-{board}" / "answers.npz")}


def stream(
    attached: Attached, trials: Sequence[Any], check: bool, progress: Callable[[int, int], None] | None = None
) -> Streamed:
    """trials: counts [bins, channels] or inputs by name each, start by start through the board, where the driver clips.

    Mismatch, CyclesDiffer when `check`.
    """
    link, compiled = attached.link, attached.compiled
    starts = [compiled.starts(trial) for trial in trials]
    every = sum(map(len, starts))
    codes: list[Codes] = []
    cycles: list[NDArray[np.int64]] = []
    micros: list[float] = []
    sizes: list[int] = []
    seconds = 0.0
    for number, trial in enumerate(trials):
        start = perf_counter()
        link.reset()
        steps = []
        for row in starts[number]:
            before, begin = link.bytes, perf_counter_ns()
            steps.append(link.step(row))
            micros.append((perf_counter_ns() - begin) / 1e3)
            sizes.append(link.bytes - before)
            if progress is not None:
                progress(len(micros), every)
        seconds += perf_counter() - start
        codes.append(compiled.answers(as_output(attached.program, [step.outputs for step in steps]), trial))
        cycles.append(np.array([step.cycles for step in steps], np.int64))
        if check:
            compare_trial(attached, number, trial, codes[-1], cycles[-1])
    return Streamed(tuple(codes), tuple(cycles), tuple(micros), tuple(sizes), seconds)


def as_output(program: Program, outputs: Sequence[Sequence[int]]) -> Codes:
    """Answers' 16-bit words [bins, outputs] as codes of the Program's output format."""
    words = np.array(outputs, np.int64).reshape(len(outputs), -1)
    return words if program.output_format.signed else words & 0xFFFF


def compare_trial(attached: Attached, number: int, trial: Any, codes: Codes, cycles: NDArray[np.int64]) -> None:
    """Every code of one trial against the Program, every start's cycles against the cycle model."""
    program = attached.program
    expected = program.run(trial if program.inputs else program.clip(trial)[0])
    tally = compare(f"{attached.stage}, trial {number}", {program.output: expected}, {program.output: codes}, program)
    if tally.first is not None:
        raise tally.first
    for start, (model, took) in enumerate(zip(cycles_per_start(attached.compiled, trial), cycles, strict=True)):
        if model != took:
            raise CyclesDiffer(number, start, model, int(took), program.streams)


def summarise(got: Streamed, check: bool) -> dict[str, Any]:
    """The numbers of `infer.json`."""
    bins = sum(map(len, got.codes))
    return {
        "trials": len(got.codes),
        "bins": bins,
        "checked": check,
        "codes": sum(codes.size for codes in got.codes) if check else 0,
        "mismatches": 0 if check else None,
        "seconds": round(got.seconds, 3),
        "bins_per_s": round(bins / got.seconds, 1),
        "cycles": summary(np.concatenate(got.cycles).tolist()),
        "round_trip_us": got.round_trip(),
        "bytes": summary(got.bytes),
    }


def answers(program: Program, got: Streamed) -> dict[str, Any]:
    """codes [trials, bins, outputs], cycles [trials, starts], and each group's values: rates (expected counts per bin),
    velocity (as recorded); zero behind `lengths`.
    """
    lengths = np.array([len(codes) for codes in got.codes])
    codes = np.zeros((len(lengths), lengths.max(), program.outputs), np.int64)
    cycles = np.zeros((len(lengths), max(map(len, got.cycles))), np.int64)
    for trial, length in enumerate(lengths):
        codes[trial, :length], cycles[trial, : len(got.cycles[trial])] = got.codes[trial], got.cycles[trial]
    inside = np.arange(lengths.max()) < lengths[:, None]
    values = {name: group.values(codes, program.output_format) for name, group in groups(program).items()}
    real = {name: np.where(inside[..., None], value, 0).astype(np.float32) for name, value in values.items()}
    return {"codes": codes, "cycles": cycles, "lengths": lengths, **real}
