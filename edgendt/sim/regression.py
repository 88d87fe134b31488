"""The regression of a run: every link of the chain of equality that this machine can run, each in its own process."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from edgendt.artifact import Run, read_json, write_json
from edgendt.boards import DEFAULT, Board
from edgendt.compare import LinkResult
from edgendt.data.stimulus import stimulus
from edgendt.engine.config import Engine
from edgendt.errors import BadInput
from edgendt.program import Program
from edgendt.sim.links import LINKS, PROVEN, VENDOR
from edgendt.sim.vendor import Rtl
from edgendt.synth.usual import longest, rooms, usual_engine
from edgendt.tools import environment

PARALLEL = 2


def regress(
    run: Run,
    links: Sequence[str],
    bins: int,
    *,
    engine: str | None = None,
    strict: bool = False,
    waves: bool = False,
    quiet: bool = False,
    rtl: Path | None = None,
    warn: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Run the links in parallel and keep `sim/sim.json`; returns {"run", "links"}.

    A link that cannot run is `skipped` with its reason, or fails when `strict`; one not asked for is `skipped`.
    rtl: a folder of a vendor's Verilog, which becomes a link too. Where the engine link passed, "sources" (SHA-256 by
    file) and "engine" (parameters) say what was proven. warn: told where not the engine of the default board is taken,
    which does not hold the network or a window. BadInput, before anything runs, for links, an engine, a folder
    or a run that cannot be used.
    """
    check(run, links, bins, engine)
    model = run.stage("quantize")
    if rtl is not None:
        Rtl.of(rtl, Program.load(model / "program.edt"))
        links = [*links, VENDOR]
    if engine is None and "engine" in links:
        engine = _usual(run, Program.load(model / "program.edt"), warn)
    options = {"bins": bins, "engine": engine, "waves": waves, "rtl": rtl and str(rtl.resolve())}
    with run.write("sim", inputs=[model / "program.edt", model / "stimulus.npz"], config=options) as folder:
        with progress(quiet) as bar, ThreadPoolExecutor(PARALLEL) as pool:
            task = bar.add_task("links", total=len(links))

            def one(name: str) -> LinkResult:
                result = in_process(name, run, folder, options, strict)
                bar.update(task, advance=1, description=f"{name} {result.status}")
                return result

            results = {result.name: result for result in pool.map(one, links)}
        absent = {name: LinkResult(name, "skipped", "not asked for") for name in LINKS}
        every = [result.json() for result in (absent | results).values()]
        data: dict[str, Any] = {"run": str(run.path), "links": every}
        if "engine" in results and results["engine"].status == "pass":
            data |= read_json(folder / "engine" / PROVEN)
        write_json(folder / "sim.json", data)
    return data


def _usual(run: Run, program: Program, warn: Callable[[str], None] | None) -> str:
    """The engine that is simulated where none is named: one with room for every window of tokens."""
    own, name = usual_engine(program, Board.named(DEFAULT)), usual_engine(program)
    why = f"does not hold {program.name}"
    if program.inputs and (room := rooms(program)):
        many = longest(program, stimulus(run, program, None))
        if room.get(name, 0) < many:
            name = next((each for each, most in room.items() if most >= many), name)
            why = f"has no room for windows of {many:,} tokens"
    if name != own and warn is not None:
        warn(f"engine {own}, of board {DEFAULT}, {why}: {name} is simulated in its place")
    return name


def check(run: Run, links: Sequence[str], bins: int, engine: str | None) -> None:
    """BadInput for a link that is unknown or named twice, and for files that every link reads."""
    for place, name in enumerate(links):
        if name not in LINKS:
            raise BadInput(f"link {name!r} is not known: choose from {', '.join(LINKS)}")
        if name in links[:place]:
            raise BadInput(f"link {name!r} is named twice: leave one out")
    stimulus(run, Program.load(run.stage("quantize") / "program.edt"), bins)
    if engine is not None:
        Engine.named(engine)


def progress(quiet: bool) -> Any:
    """A bar on stderr."""
    from rich.console import Console
    from rich.progress import Progress

    return Progress(console=Console(stderr=True), disable=quiet or not sys.stderr.isatty(), transient=True)


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
    home = run.path / "sim"  # where this folder will be when the stage is complete
    waves = next(here.glob("*.vcd"), None)
    timed: dict[str, Any] = {"seconds": round(time.monotonic() - start, 2)}
    timed["waves"] = str(home / name / waves.name) if waves else None
    answer = here / "result.json"
    if code or not answer.exists():
        last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["no output"]
        return LinkResult(name, "fail", f"{name}: the link's process ended with status {code}: {last[0]}", **timed)
    result = json.loads(answer.read_text().replace(str(folder.resolve()), str(home)))
    if strict and result["status"] == "skipped":
        result |= {"status": "fail", "reason": f"{name} could not run: {result['reason']}"}
    return LinkResult(**result | timed)
