"""The links of the chain of equality, each checked against the Program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgendt.artifact import Run, write_json
from edgendt.compare import LinkResult, Tally, compare
from edgendt.data.stimulus import stimulus
from edgendt.errors import EdgendtError, ToolMissing, UnsupportedOp
from edgendt.fixed import Codes
from edgendt.ops import Transpose
from edgendt.program import Program
from edgendt.tools import cache_folder, missing_package

ROOM = 64  # rows
MANY, FIRST = 2000, 500  # bins: of more than MANY the FIRST go through hls4ml's kernels; fewer pay for no other build
PLAIN = "hls4ml, plain integers"
PROVEN = "proven.json"  # in the engine link's folder


@dataclass(frozen=True)
class Case:
    """What a link is checked on. trials: counts [bins, channels] each, clipped, or inputs by name; folder: where the
    link may write.
    """

    run: Run
    program: Program
    trials: tuple[Any, ...]
    folder: Path
    engine: str | None
    waves: bool
    rtl: str | None = None  # a vendor's

    @property
    def model(self) -> Path:
        """The quantize stage's folder."""
        return self.run.stage("quantize")


def torch(case: Case) -> Tally:
    """The QAT network in eval mode, every op."""
    from edgendt.qat.ndt import QuantNDT
    from edgendt.qat.poyo import QuantPOYO

    saved = case.model / "qat.pt"
    trace = QuantPOYO.load(saved).trace_given if case.program.inputs else QuantNDT.load(saved).trace
    return over_trials("torch", case, trace)


def qonnx(case: Case) -> Tally:
    """The exported file in the qonnx executor, every op."""
    from edgendt.lower.execute import trace_qonnx
    from edgendt.lower.read import load

    load(case.model / "model.onnx")  # BadInput where the executor would say less

    return over_trials("qonnx", case, lambda given: trace_qonnx(case.model / "model.onnx", case.program, given))


def stream(case: Case) -> Tally:
    """The Program one bin per call, every op."""

    def trace(counts: Codes) -> dict[str, Codes]:
        stepper = case.program.stream()
        rows = [stepper.trace_step(row) for row in counts]
        return {name: np.concatenate([np.atleast_2d(row[name]) for row in rows]) for name in rows[0]}

    return over_trials("stream", case, trace)


def over_trials(
    link: str, case: Case, trace: Callable[[Any], dict[str, Codes]], points: Sequence[str] | None = None
) -> Tally:
    """Compare `trace` with the Program's own on every trial, at `points` (all trace points by default)."""
    tally = Tally()
    for given in case.trials:
        expected = case.program.trace(given)
        seen = {name: expected[name] for name in points or case.program.trace_points}
        tally += compare(link, seen, trace(given), case.program)
    return tally


def hls4ml(case: Case) -> Tally:
    """The compiled firmware, every op: called directly, and in a simulation behind the engine's ports.

    Of many bins those of the first trials. The others go through its build of plain integers, network output, once that
    is equal at every op of the first trial too.
    """
    from edgendt.firmware.library import cached
    from edgendt.sim.shell import simulated

    first, more = split(case)
    firmware = cached(case.program, cache_folder("firmware"), room(case))
    tally = over_trials("hls4ml", first, firmware.trace)
    if not tally.mismatches and case.program.streams:  # the engine's ports carry bins
        tally += simulated(firmware, first.trials, case.folder)
    if tally.mismatches or not more.trials:
        return tally
    plain = cached(case.program, cache_folder("firmware"), room(case), fast=True)
    tally += replace(over_trials(PLAIN, replace(first, trials=first.trials[:1]), plain.trace), bins=0)
    if tally.mismatches:
        return tally
    output = case.program.output
    rest = over_trials(PLAIN, more, lambda given: {output: plain.run(given)}, (output,))
    return tally + replace(rest, bins=0, output_bins=rest.bins)


def split(case: Case) -> tuple[Case, Case]:
    """Trials for hls4ml's kernels, and those beyond, if they are worth another compilation."""
    many = len(case.trials)
    if not case.program.inputs and (bins := np.cumsum([len(counts) for counts in case.trials]))[-1] > MANY:
        many = int(np.searchsorted(bins, FIRST)) + 1
    return replace(case, trials=case.trials[:many]), replace(case, trials=case.trials[many:])


def room(case: Case) -> dict[str, int]:
    """Rows of each axis of a network of tokens that every window has room in, in steps that many runs share."""
    most: dict[str, int] = {}
    for item in case.program.inputs:
        if item.codes is None:
            longest = max(len(given[item.name]) for given in case.trials)
            most[item.axis.name] = -(-longest // ROOM) * ROOM
    return most


def engine(case: Case) -> Tally:
    """The RTL at its stream ports, every op, and compiled on every test trial, network output; cycles as predicted."""
    from edgendt.engine.sources import engine_sources, hashes
    from edgendt.sim import rtl
    from edgendt.sim.fast import FastCore
    from edgendt.synth.usual import compiled_for

    _, compiled = compiled_for(None, case.program, case.engine)
    # What is about to be proven, hashed before it is built: synth.json can then say whether it was this.
    write_json(case.folder / PROVEN, {"sources": hashes(engine_sources()), "engine": compiled.engine.parameters()})
    traced = rtl.trace(compiled, case.trials, case.folder, waves=case.waves)
    tally = rtl.check(case.program, case.trials, traced, compiled.program.trace_points)
    rtl.check_cycles(compiled, case.trials, [trial.cycles for trial in traced])
    if tally.mismatches:
        return tally
    core = FastCore(compiled.engine)
    core.load(compiled)
    output, cycles = case.program.output, []

    def run(counts: Codes) -> dict[str, Codes]:
        codes, taken, _ = core.run(counts)
        cycles.append(taken)
        return {output: codes}

    every = stimulus(case.run, case.program, None)
    more = over_trials("engine", replace(case, trials=every), run, (output,))
    tally += replace(more, bins=0, output_bins=more.bins)
    rtl.check_cycles(compiled, every, cycles)
    return tally


def vendor(case: Case) -> Tally:
    """RTL that an HLS tool made of the firmware, at its streams or arrays, network output."""
    from edgendt.sim.vendor import simulated

    assert case.rtl is not None
    return simulated(case.program, case.trials, Path(case.rtl), case.folder)


VENDOR = "rtl"  # a link where its folder is given
LINKS: dict[str, Callable[[Case], Tally]] = {
    "torch": torch,
    "qonnx": qonnx,
    "stream": stream,
    "hls4ml": hls4ml,
    "engine": engine,
}


def held(program: Program) -> bool:
    """True for what an engine must run: a stream without attention between channels."""
    return program.streams and not any(isinstance(node.op, Transpose) for node in program.nodes)


def execute(request: dict[str, Any]) -> LinkResult:
    """What the process of one link does."""
    run, name = Run(Path(request["run"])), request["link"]
    program = Program.load(run.stage("quantize") / "program.edt")
    trials = stimulus(run, program, request["bins"])
    case = Case(run, program, trials, Path(request["folder"]), request["engine"], request["waves"], request.get("rtl"))
    if name == "torch" and not (case.model / "qat.pt").is_file():
        return LinkResult(name, "skipped", "the network was lowered from a file: there is no torch network of it")
    if not program.streams and name == "stream":
        of = f" of {program.bins} bins" if program.bins else ""
        said = f"the network answers whole windows{of} at once, this link goes bin by bin"
        return LinkResult(name, "skipped", said)
    try:
        tally = (vendor if name == VENDOR else LINKS[name])(case)
    except ToolMissing as error:
        return LinkResult(name, "skipped", str(error))
    except ModuleNotFoundError as error:
        missing = missing_package(error)
        if missing is None:
            raise
        return LinkResult(name, "skipped", missing)
    except UnsupportedOp as error:
        if name != "engine" or held(program):
            return LinkResult(name, "fail", f"{name}: {error}")
        return LinkResult(name, "skipped", str(error))  # of the other networks the engine holds a part
    except EdgendtError as error:
        return LinkResult(name, "fail", f"{name}: {error}")
    if tally.codes == 0:
        return LinkResult(name, "fail", f"{name}: nothing was compared")
    status = "fail" if tally.mismatches else "pass"
    counts = {key: getattr(tally, key) for key in ("ops", "codes", "mismatches", "bins", "output_bins")}
    return LinkResult(name, status, str(tally.first) if tally.first else None, **counts)
