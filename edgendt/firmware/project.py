"""The vendor project: firmware, folding for a part, scripts, and a test bench with golden vectors that can fail."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from edgendt.errors import BadInput
from edgendt.firmware import accelerator, vendor
from edgendt.firmware.compared import compared
from edgendt.firmware.fit import Budget, fit_rows
from edgendt.firmware.folding import FILE, Folding
from edgendt.firmware.reload import other, packet
from edgendt.firmware.room import layer_names, most_rows
from edgendt.firmware.schedule import schedule, summary
from edgendt.firmware.target import ACCELERATOR, AMD, USUAL, VIVADO, FirmwareConfig, Part, Target
from edgendt.ops import Lookup
from edgendt.program import Program

BINS = 40  # of golden vectors at most: co-simulation is slow
# hls4ml's own scripts call a test bench that always passes.
STOCK = ("build_prj.tcl", "build_opt.tcl", "project.tcl", "vivado_synth.tcl", "edgendt_test.cpp", "build_lib.sh")


def write_project(
    program: Program,
    board: Part,
    folder: Path | str,
    given: Any = None,
    build: bool = False,
    folding: Folding | None = None,
    config: FirmwareConfig = USUAL,
) -> dict[str, Any]:
    """Write the vendor project of `program` for `board`; returns synth.json.

    given: counts [bins, channels], a trial whose first bins, or whole window, become the golden vectors, clipped; or
    the inputs by name of a window of tokens. folding: `fit` for the part unless given; other rows: see fit_rows.
    With `build` the vendor tool runs: ToolMissing without it, ToolFailed when a step fails. DoesNotFit when the part
    has too few multipliers or memory blocks.
    """
    from edgendt.firmware.writer import write_sources

    target = of_board(board, config)
    if target.backend == ACCELERATOR:
        accelerator.demand_one_input(program)
    if build:
        vendor.command(target.backend)  # missing: say so before anything is written
    home = Path(folder).resolve()
    home.mkdir(parents=True, exist_ok=True)
    given = stimulus(program) if given is None else _cut(program, given)
    part = Budget.on(board, target)
    folding, most = fit_rows(program, part, folding, _asked(program, config.rows, given), _longest(program, given))
    with (home / "hls4ml.log").open("w") as log, redirect_stdout(log):
        graph = write_sources(program, home, folding, target, most)
    for name in STOCK:
        if target.backend != ACCELERATOR or name != "project.tcl":  # which its design reads
            (home / name).unlink(missing_ok=True)
    _vectors(program, given, home / vendor.VECTORS)
    (home / vendor.SCRIPT).write_text(vendor.tcl(program, board.name, target))
    (home / vendor.BUILD).write_text(vendor.build_script(target.backend))
    folding.save(home / FILE)
    result = _result(board, target) | {"analytic": _analytic(program, part, folding, most)}
    _loads(program, given, home, target.reloads)
    names = layer_names(program)
    layers = {graph.graph[names[node.name]].index: node.name for node in program.nodes}
    built = vendor.build(home, target, layers) if build else {}
    result["compared"] = compared(program, folding, most, given, target, built)
    if built and not program.streams:  # what the tool timed is one call
        built["cycles_per_window"] = built.pop("cycles_per_bin")
    return result | built


def of_board(board: Part, config: FirmwareConfig = USUAL) -> Target:
    """What a project for `board` is written for; its backend says by which of AMD's tools it is built.

    BadInput for what does not go together.
    """
    kernel, known = board.alveo is not None, {name.lower(): name for name in vendor.TOOLS}  # hls4ml takes either
    backend = known.get(config.backend.lower())
    if backend is None:
        raise BadInput(f"backend must be one of {', '.join(vendor.TOOLS)}, got {config.backend!r}")
    if backend == ACCELERATOR:
        return accelerator.of_board(board, config)
    if backend == VIVADO and board.part.startswith(vendor.AFTER_VIVADO):
        raise BadInput(f"{board.part} is younger than vivado_hls, which ended with 2020.1: take the backend {AMD}")
    if kernel and config.ports == "arrays":
        raise BadInput(f"board {board.name} is a card, whose kernels meet by streams: take ports axis, or name none")
    ports, clock_ns = config.ports or ("axis" if kernel else "arrays"), 1e3 / board.clock_mhz
    return Target(board.part, clock_ns, backend=backend, ports=ports, weights=config.weights, kernel=kernel)


def _longest(program: Program, given: Any) -> dict[str, int]:
    """Rows of a window by axis."""
    return {item.axis.name: len(given[item.name]) for item in program.inputs if item.codes is None}


def _asked(program: Program, rows: Mapping[str, int], given: Any) -> Mapping[str, int]:
    """Rows as they were asked for; BadInput for an axis that windows do not have, or fewer than the golden window."""
    longest = _longest(program, given)
    for name, count in rows.items():
        if name not in longest:
            known = f"name {' or '.join(longest)}" if longest else "be left out: this network has no windows of tokens"
            raise BadInput(f"rows must {known}, got {name}={count}")
        if count < longest[name]:
            raise BadInput(f"rows of {name} must be at least the {longest[name]} of the test window, got {count}")
    return rows


def _cut(program: Program, given: Any) -> Any:
    """What becomes golden vectors of a trial."""
    return given if program.inputs else program.clip(given)[0][: program.bins or BINS]


def stimulus(program: Program, seed: int = 1) -> Any:
    """Golden vectors of a Program without recordings: counts [bins, channels], some at the limit; of a network of
    tokens a window by input.
    """
    rng = np.random.default_rng(seed)
    if program.inputs:
        rows = {axis: min(BINS, most_rows(program, {})[axis.name]) for axis in program.open_axes}
        window = {item.name: rng.integers(0, 1000, (rows[item.axis], item.size)) for item in program.inputs}
        for node in program.nodes:
            if isinstance(node.op, Lookup) and node.inputs[0] in window:
                window[node.inputs[0]] %= [node.op.rows, node.op.which]
        return {item.name: window[item.name] for item in program.inputs if item.codes is None}
    bins = program.bins or min(BINS, program.max_bins or BINS)
    counts = rng.poisson(1.5, (bins, program.channels))
    counts[rng.random(counts.shape) < 0.02] = program.input.hi
    return program.clip(counts)[0]


def _vectors(program: Program, given: Any, folder: Path) -> None:
    """<input>.dat and <layer>.dat: a line of codes per row; of a window of tokens also rows.dat, how many there are."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    names = layer_names(program)
    fed = program.feed(given)
    arrays = {names.get(item.name, item.name): fed[item.name] for item in program.sources if item.codes is None}
    if program.inputs:
        rows = {item.axis: len(fed[item.name]) for item in program.inputs}
        arrays["rows"] = np.array([[rows[axis] for axis in program.open_axes]])
    arrays |= {names[name]: codes for name, codes in program.trace(given).items()}
    for stem, codes in arrays.items():
        lines = (" ".join(map(str, row)) for row in codes.tolist())
        (folder / f"{stem}.dat").write_text("\n".join(lines) + "\n")


def _loads(program: Program, given: Any, home: Path, reloads: bool) -> None:
    """This network and another one as load packets, and vectors of that; nothing where the top takes none."""
    (home / vendor.LOAD).unlink(missing_ok=True)  # of an earlier target in this folder
    shutil.rmtree(home / vendor.OTHER, ignore_errors=True)
    if reloads:
        packet(program).astype("<i4").tofile(home / vendor.LOAD)
        _vectors(other(program), given, home / vendor.OTHER)
        packet(other(program)).astype("<i4").tofile(home / vendor.OTHER / vendor.LOAD)


def _result(board: Part, target: Target) -> dict[str, Any]:
    """synth.json of a project that no vendor tool has seen, but for what is known of the network."""
    return {
        "board": board.name,
        "flow": "hls4ml",
        "backend": target.backend,
        "stage": "project",
        "part": board.part,
        "fmax_mhz": None,
        "resources": {},
        "bitstream": None,
        "script": vendor.SCRIPT,
        "ports": "floats" if target.backend == ACCELERATOR else target.ports,
        "weights": target.weights,
    }


def _analytic(program: Program, part: Budget, folding: Folding, most: Mapping[str, int]) -> dict[str, Any]:
    """Of a network of tokens for the largest window that there is room for: `rows` of each axis."""
    available = {"multipliers_available": part.multipliers, "blocks_available": part.blocks}
    available |= {"ultra_rams_available": part.ultra_rams}
    rows = {"rows": dict(most)} if program.inputs else {}
    return available | rows | summary(schedule(program, folding, rows=most))
