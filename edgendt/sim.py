"""The regression of a run: every link of the chain of equality that this machine can run, each in its own process."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgendt import boards
from edgendt.artifact import Run, write_json
from edgendt.compare import LinkResult, Tally, compare
from edgendt.engine.sources import engine_sources, hashes
from edgendt.errors import BadInput, EdgendtError, ToolMissing
from edgendt.fixed import Codes
from edgendt.program import Program
from edgendt.tools import cache_folder, environment

PARALLEL = 2


@dataclass(frozen=True)
class Case:
    """What a link is checked on. trials: counts [bins, channels] each, clipped; folder: where the link may write."""

    run: Run
    program: Program
    trials: tuple[Codes, ...]
    folder: Path
    engine: str | None
    waves: bool

    @property
    def model(self) -> Path:
        """The quantize stage's folder."""
        return self.run.stage("quantize")


def torch(case: Case) -> Tally:
    """The QAT network in eval mode, every op."""
    from edgendt.qat.ndt import QuantNDT

    network = QuantNDT.load(case.model / "qat.pt")
    return over_trials("torch", case, network.trace)


def qonnx(case: Case) -> Tally:
    """The exported file in the qonnx executor, every op."""
    from edgendt.lower.execute import trace_qonnx

    return over_trials("qonnx", case, lambda counts: trace_qonnx(case.model / "model.onnx", case.program, counts))


def stream(case: Case) -> Tally:
    """The Program one bin per call, every op."""

    def trace(counts: Codes) -> dict[str, Codes]:
        stepper = case.program.stream()
        rows = [stepper.trace_step(row) for row in counts]
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    return over_trials("stream", case, trace)


def over_trials(
    link: str, case: Case, trace: Callable[[Codes], dict[str, Codes]], points: Sequence[str] | None = None
) -> Tally:
    """Compare `trace` with the Program's own on every trial, at `points` (all trace points by default)."""
    tally = Tally()
    for counts in case.trials:
        expected = case.program.trace(counts)
        seen = {name: expected[name] for name in points or case.program.trace_points}
        tally += compare(link, seen, trace(counts))
    return tally


def hls4ml(case: Case) -> Tally:
    """The compiled firmware, every op: called directly, and in a simulation behind the engine's ports."""
    from edgendt.firmware.library import cached
    from edgendt.shell import simulated

    firmware = cached(case.program, cache_folder("firmware"))
    tally = over_trials("hls4ml", case, firmware.trace)
    return tally if tally.mismatches else tally + simulated(firmware, case.trials, case.folder)


def engine(case: Case) -> Tally:
    """The RTL at its stream ports, every op, and compiled on every test trial, network output; cycles as predicted."""
    from edgendt import rtl
    from edgendt.engine.compile import compile_program
    from edgendt.engine.config import Engine
    from edgendt.fastsim import FastCore

    compiled = compile_program(case.program, Engine.named(case.engine or boards.Board.named(boards.DEFAULT).engine))
    traced = rtl.trace(compiled, case.trials, case.folder, waves=case.waves)
    tally = rtl.check(case.program, case.trials, traced)
    rtl.check_cycles(compiled, [trial.cycles for trial in traced])
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
    tally += over_trials("engine", replace(case, trials=every), run, (output,))
    rtl.check_cycles(compiled, cycles)
    return tally


LINKS: dict[str, Callable[[Case], Tally]] = {
    "torch": torch,
    "qonnx": qonnx,
    "stream": stream,
    "hls4ml": hls4ml,
    "engine": engine,
}


def regress(
    run: Run,
    links: Sequence[str],
    bins: int,
    *,
    engine: str | None = None,
    strict: bool = False,
    waves: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Run the links in parallel and keep `sim/sim.json`; returns {"run", "links"}. BadInput for an unknown link.

    A link that cannot run is `skipped` with its reason, or fails when `strict`.
    """
    unknown = [name for name in links if name not in LINKS]
    if unknown:
        raise BadInput(f"link {unknown[0]!r} is not known: choose from {', '.join(LINKS)}")
    model = run.stage("quantize")
    options = {"bins": bins, "engine": engine, "waves": waves}
    with run.write("sim", inputs=[model / "program.edt", model / "stimulus.npz"], config=options) as folder:
        with progress(quiet) as bar, ThreadPoolExecutor(PARALLEL) as pool:
            task = bar.add_task("links", total=len(links))

            def one(name: str) -> LinkResult:
                result = in_process(name, run, folder, options, strict)
                bar.update(task, advance=1, description=f"{name} {result.status}")
                return result

            results = list(pool.map(one, links))
        data: dict[str, Any] = {"run": str(run.path), "links": [result.json() for result in results]}
        data["sources"] = hashes(engine_sources())  # synth.json holds the same: what was proven is what was built
        write_json(folder / "sim.json", data)
    return data


def progress(quiet: bool) -> Any:
    """A bar on stderr."""
    from rich.console import Console
    from rich.progress import Progress

    return Progress(console=Console(stderr=True), disable=quiet, transient=True)


def in_process(name: str, run: Run, folder: Path, options: dict[str, Any], strict: bool) -> LinkResult:
    """One link in a process of its own: a crash or a leak there is that link's failure."""
    here = folder / name
    here.mkdir()
    request = {"link": name, "run": str(run.path.resolve()), "folder": str(here.resolve()), **options}
    command = [sys.executable, "-m", "edgendt.sim", json.dumps(request)]
    log = here / "log.txt"
    env = environment({"OMP_NUM_THREADS": "1"})  # links share the cores already
    start = time.monotonic()
    with log.open("w") as out:
        code = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, env=env, check=False).returncode
    seconds = round(time.monotonic() - start, 2)
    answer = here / "result.json"
    if code or not answer.exists():
        last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["no output"]
        return LinkResult(
            name, "fail", f"{name}: the link's process ended with status {code}: {last[0]}", seconds=seconds
        )
    home = run.path / "sim"  # where this folder will be when the stage is complete
    result = json.loads(answer.read_text().replace(str(folder.resolve()), str(home)))
    if strict and result["status"] == "skipped":
        result |= {"status": "fail", "reason": f"{name} could not run: {result['reason']}"}
    return LinkResult(**result | {"seconds": seconds})


def execute(request: dict[str, Any]) -> LinkResult:
    """What the process of one link does."""
    run, name = Run(Path(request["run"])), request["link"]
    program = Program.load(run.stage("quantize") / "program.edt")
    trials = stimulus(run, program, request["bins"])
    case = Case(run, program, trials, Path(request["folder"]), request["engine"], request["waves"])
    try:
        tally = LINKS[name](case)
    except (ToolMissing, ModuleNotFoundError) as error:
        return LinkResult(name, "skipped", str(error))
    except EdgendtError as error:
        return LinkResult(name, "fail", f"{name}: {error}")
    if tally.codes == 0:
        return LinkResult(name, "fail", f"{name}: nothing was compared")
    status = "fail" if tally.mismatches else "pass"
    return LinkResult(name, status, str(tally.first) if tally.first else None, tally.ops, tally.codes, tally.mismatches)


def stimulus(run: Run, program: Program, bins: int | None) -> tuple[Codes, ...]:
    """Whole test trials of the run, clipped to the input format, until there are at least `bins`; all for None."""
    with np.load(run.stage("quantize") / "stimulus.npz", allow_pickle=False) as data:
        counts, lengths = data["counts"], data["lengths"]
    trials: list[Codes] = []
    for trial, length in zip(counts, lengths, strict=True):
        if bins is not None and sum(map(len, trials)) >= bins:
            break
        trials.append(program.clip(trial[:length])[0])
    return tuple(trials)


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    write_json(Path(asked["folder"]) / "result.json", execute(asked).json())
