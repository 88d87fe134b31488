"""The vendor project: firmware, folding for a part, Tcl, and a test bench with golden vectors that can fail."""

from __future__ import annotations

import shutil
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Protocol
from xml.etree import ElementTree

import numpy as np

from edgendt.errors import BadInput, DoesNotFit, ToolFailed
from edgendt.firmware.fit import fit
from edgendt.firmware.folding import Folding
from edgendt.firmware.reload import packet
from edgendt.firmware.room import most_rows
from edgendt.firmware.schedule import schedule, summary
from edgendt.firmware.target import Target
from edgendt.ops import Lookup
from edgendt.program import Program
from edgendt.tools import find_tool, run_tool, tool_path

SCRIPT = "run_hls.tcl"
FOLDING = "folding.toml"
LOAD = "load.bin"  # this network's load packet, where the firmware takes one
BINS = 40  # of golden vectors at most: co-simulation is slow
REPORT = Path("edgendt_prj/solution1/syn/report/csynth.xml")
STOCK = ("build_prj.tcl", "build_opt.tcl", "project.tcl", "vivado_synth.tcl", "edgendt_test.cpp", "build_lib.sh")

TCL = """\
# {network} for {board}: C simulation, synthesis, co-simulation, {what}. Start with `vitis_hls -f {script}`
# or `vitis-run --mode hls --tcl {script}`. A step that fails ends the run with an error.
open_project -reset edgendt_prj
set_top {top}
{sources}
add_files -tb edt_test.cpp -cflags "{cflags}"
add_files -tb edt_trace.h
add_files -tb edt_vectors.h
add_files -tb edt_network.h
add_files -tb firmware/weights
add_files -tb tb_data
open_solution -reset solution1 -flow_target {flow}
set_part {part}
create_clock -period {period} -name default
set_clock_uncertainty 27% default
config_compile -name_max_length 80
csim_design
csynth_design
# The RTL has no trace hooks: co-simulation compares the outputs.
add_files -tb edt_test.cpp -cflags "{cflags} -DRTL_SIM"
cosim_design
export_design -format {export}
exit
"""
IP = "ip_catalog -vendor edgendt -library hls -ipname {top} -version 1.0.0"
KERNEL = "xo -output {top}.xo"


class Part(Protocol):
    """What this flow reads of a board. `multipliers`: DSP blocks of the part; `alveo`: of a card, if it is one."""

    @property
    def name(self) -> str: ...
    @property
    def part(self) -> str: ...
    @property
    def clock_mhz(self) -> float: ...
    @property
    def multipliers(self) -> int: ...
    @property
    def alveo(self) -> object | None: ...


def write_project(
    program: Program,
    board: Part,
    folder: Path | str,
    given: Any = None,
    build: bool = False,
    folding: Folding | None = None,
    ports: str | None = None,
    weights: str = "rom",
) -> dict[str, Any]:
    """Write the vendor project of `program` for `board`; returns synth.json.

    given: counts [bins, channels], a trial whose first bins, or whole window, become the golden vectors, clipped; or
    the inputs by name of a window of tokens. folding: `fit` for the part unless given; ports, weights: see of_board.
    With `build` the vendor tool runs: ToolMissing without it, ToolFailed when a step fails. DoesNotFit when the part
    has too few multipliers.
    """
    from edgendt.firmware.writer import write_sources

    target = of_board(board, ports, weights)
    if build:
        _tool()  # missing: say so before anything is written
    home = Path(folder).resolve()
    home.mkdir(parents=True, exist_ok=True)
    folding = folding or fit(program, board.multipliers)
    if (used := folding.multipliers(program)) > board.multipliers:
        advice = f"raise reuse or lower unroll in the folding file, or leave it out: {FOLDING} is then planned"
        raise DoesNotFit(f"the folding asks for {used} multipliers, the part has {board.multipliers}", advice)
    with (home / "hls4ml.log").open("w") as log, redirect_stdout(log):
        write_sources(program, home, folding, target)
    for name in STOCK:  # hls4ml's own scripts call a test bench that always passes
        (home / name).unlink(missing_ok=True)
    _vectors(program, stimulus(program) if given is None else _cut(program, given), home / "tb_data")
    (home / SCRIPT).write_text(tcl(program, board.name, target))
    folding.save(home / FOLDING)
    result = _result(program, board, folding) | {"ports": target.ports, "weights": weights}
    if target.reloads:
        packet(program).astype("<i4").tofile(home / LOAD)
    if not build:
        return result
    built = _build(home)
    if not program.streams:  # what the tool timed is one call
        built["cycles_per_window"] = built.pop("cycles_per_bin")
    return result | built


def of_board(board: Part, ports: str | None = None, weights: str = "rom") -> Target:
    """What a project for `board` is written for. ports: AXI4-Streams on a card, else arrays, unless given."""
    kernel = board.alveo is not None
    if kernel and ports == "arrays":
        raise BadInput(f"board {board.name} is a card, whose kernels meet by streams: take ports axis, or name none")
    ports = ports or ("axis" if kernel else "arrays")
    return Target(board.part, 1e3 / board.clock_mhz, ports=ports, weights=weights, kernel=kernel)


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


def tcl(program: Program, board: str, target: Target) -> str:
    """The script of the vendor tool."""
    cflags = "-std=c++14 -I. -Ifirmware -Ifirmware/nnet_utils"
    return TCL.format(
        network=" ".join(program.name.split()),
        board=board,
        what="kernel" if target.kernel else "IP",
        flow="vitis" if target.kernel else "vivado",
        export=(KERNEL if target.kernel else IP).format(top=target.top),
        script=SCRIPT,
        top=target.top,
        sources="\n".join(f'add_files firmware/{name}.cpp -cflags "{cflags}"' for name in target.sources),
        cflags=cflags,
        part=target.part,
        period=f"{target.clock_ns:g}",
    )


def _vectors(program: Program, given: Any, folder: Path) -> None:
    """<input>.dat and <layer>.dat: a line of codes per row; of a window of tokens also rows.dat, how many there are."""
    from edgendt.firmware.graph import layer_names

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


def _result(program: Program, board: Part, folding: Folding) -> dict[str, Any]:
    """synth.json of a project that no vendor tool has seen."""
    return {
        "board": board.name,
        "flow": "hls4ml",
        "stage": "project",
        "part": board.part,
        "fmax_mhz": None,
        "resources": {},
        "bitstream": None,
        "script": SCRIPT,
        "analytic": {"multipliers_available": board.multipliers, **_analytic(program, folding)},
    }


def _analytic(program: Program, folding: Folding) -> dict[str, Any]:
    """Of a network of tokens for the largest window that there is room for: `rows` of each axis."""
    rows = {"rows": most_rows(program, {})} if program.inputs else {}
    return rows | summary(schedule(program, folding))


def _tool() -> list[str]:
    """The command that runs the script: vitis-run since 2024.2, vitis_hls before. ToolMissing."""
    if find_tool("vitis-run") is not None:
        return ["vitis-run", "--mode", "hls", "--tcl", SCRIPT]
    tool_path("vitis_hls")
    return ["vitis_hls", "-f", SCRIPT]


def _build(folder: Path) -> dict[str, Any]:
    """Run the vendor tool and read its synthesis report."""
    command, log = _tool(), folder / "vitis_hls.log"
    run_tool(command, log, cwd=folder)
    report = folder / REPORT
    if not report.exists():
        raise ToolFailed(command[0], log, f"it left no {REPORT}")
    return read_report(report) | {"tools": {command[0]: _version(report)}}


def _version(report: Path) -> str | None:
    return ElementTree.parse(report).findtext("ReportVersion/Version")


def read_report(path: Path) -> dict[str, Any]:
    """csynth.xml of Vitis HLS -> the keys of synth.json it can fill. An estimate: nothing has been placed or routed."""
    root = ElementTree.parse(path).getroot()
    period = root.findtext("PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod")
    latency = root.find("PerformanceEstimates/SummaryOfOverallLatency")
    used, available = root.find("AreaEstimates/Resources"), root.find("AreaEstimates/AvailableResources")
    resources = {}
    for item in used if used is not None else ():
        total = available.findtext(item.tag) if available is not None else None
        resources[item.tag] = {"used": int(item.text or 0), "available": int(total) if total else None}
    worst = latency.findtext("Worst-caseLatency") if latency is not None else None
    return {
        "stage": "hls-estimate",
        "fmax_mhz": round(1e3 / float(period), 2) if period else None,
        "cycles_per_bin": int(worst) if worst and worst.isdigit() else None,
        "resources": resources,
    }
