"""AMD's HLS tools, one for each backend: the script they run, how they are called, what they report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgendt.errors import ToolFailed, ToolMissing
from edgendt.firmware import reports
from edgendt.firmware.target import ACCELERATOR, AMD, VIVADO, Target
from edgendt.program import Program
from edgendt.tools import HINTS, find_tool, run_tool

SCRIPT, BUILD = "run_hls.tcl", "build.sh"
VECTORS, LOAD = "tb_data", "load.bin"  # LOAD: this network's load packet, where the firmware takes one
OTHER = "tb_other"  # load packet and vectors of another network, there too
REPORTS, COSIM = (Path("edgendt_prj/solution1") / step / "report" for step in ("syn", "sim"))
AFTER_VIVADO = ("xck26", "xcu55c")  # Kria's module and the card came in 2021


@dataclass(frozen=True)
class Tool:
    """calls: of the script, the one to prefer first, each up to the script's name; std: of C++.

    flow: the tool knows flows, and exports kernels by one; settings: what hls4ml has its script say. ip: by which names
    it exports one.
    """

    calls: tuple[tuple[str, ...], ...]
    std: str
    flow: bool
    settings: tuple[str, ...]
    ip: str = "ip_catalog -vendor edgendt -library hls -ipname {top} -version 1.0.0"

    @property
    def name(self) -> str:
        """Of the call that every release but the newest has."""
        return self.calls[-1][0]


TOOLS = {
    AMD: Tool(
        calls=(("vitis-run", "--mode", "hls", "--tcl"), ("vitis_hls", "-f")),
        std="c++14",
        flow=True,
        settings=("set_clock_uncertainty 27% default", f"config_compile -name_max_length {reports.LONGEST}"),
    ),
    VIVADO: Tool(
        calls=(("vivado_hls", "-f"),),
        std="c++0x",
        flow=False,
        settings=(
            "set_clock_uncertainty 12.5% default",
            f"config_compile -name_max_length {reports.LONGEST}",
            "config_schedule -enable_dsp_full_reg=false",
            "config_array_partition -maximum_size 4096",
        ),
    ),
}
# hls4ml's design looks for the IP by the names that it has unless it is given others.
TOOLS[ACCELERATOR] = replace(TOOLS[VIVADO], ip="ip_catalog -version 1.0.0")
TCL = """\
# {network} for {board}: C simulation, synthesis, co-simulation, {what}. Start with `sh build.sh`.
# A step that fails ends the run with an error.
open_project -reset edgendt_prj
set_top {top}
{sources}
add_files -tb edt_test.cpp -cflags "{cflags}"
add_files -tb edt_trace.h
add_files -tb edt_vectors.h
add_files -tb edt_network.h
add_files -tb firmware/weights
{vectors}
open_solution -reset solution1{flow}
set_part {part}
create_clock -period {period} -name default
{settings}
csim_design
csynth_design
# The RTL has no trace hooks: co-simulation compares the outputs.
add_files -tb edt_test.cpp -cflags "{cflags} -DRTL_SIM"
cosim_design
export_design -format {export}
exit
"""
KERNEL = "xo -output {top}.xo"


def tcl(program: Program, board: str, target: Target) -> str:
    """The script."""
    tool = TOOLS[target.backend]
    cflags = f"-std={tool.std} -I. -Ifirmware -Ifirmware/nnet_utils"
    return TCL.format(
        network=" ".join(program.name.split()),
        board=board,
        what="kernel" if target.kernel else "IP",
        flow=f" -flow_target {'vitis' if target.kernel else 'vivado'}" if tool.flow else "",
        settings="\n".join(tool.settings),
        export=(KERNEL if target.kernel else tool.ip).format(top=target.top),
        top=target.top,
        sources="\n".join(f'add_files firmware/{name}.cpp -cflags "{cflags}"' for name in target.sources),
        cflags=cflags,
        vectors="\n".join(f"add_files -tb {name}" for name in (VECTORS, *((LOAD, OTHER) if target.reloads else ()))),
        part=target.part,
        period=f"{target.clock_ns:g}",
    )


def build_script(backend: str) -> str:
    """build.sh: the tool of this machine on the script, or a sentence; more may stand behind it."""
    tool = TOOLS[backend]
    ways = [f"if command -v {call[0]} > /dev/null; then {' '.join((*call, SCRIPT))}" for call in tool.calls]
    missed = f'else echo "error: {missing(backend)}" >&2; exit 1'
    return "\n".join(["set -e", "\nel".join(ways), missed, "fi", ""])


def command(backend: str) -> list[str]:
    """What runs the script on this machine. ToolMissing."""
    for call in TOOLS[backend].calls:
        if find_tool(call[0]) is not None:
            return [*call, SCRIPT]
    raise missing(backend)


def missing(backend: str) -> ToolMissing:
    """What is said where the tool is not."""
    tool = TOOLS[backend]
    return ToolMissing(" or ".join(call[0] for call in tool.calls), HINTS[tool.name])


def build(folder: Path, target: Target, layers: Mapping[int, str]) -> dict[str, Any]:
    """Run the tool in a written project and read what it reports, `notes` on what it does not.

    layers: op by number of its config. ToolFailed: also without the top's report, for an XML report that cannot be
    read, and where co-simulation differs.
    """
    words, log = command(target.backend), folder / f"{TOOLS[target.backend].name}.log"
    run_tool(words, log, cwd=folder)
    report = REPORTS / f"{target.top}_csynth.xml"
    if not (folder / report).exists():
        raise ToolFailed(words[0], log, f"it left no {report}")
    try:
        built = reports.synthesis(folder / report) | {"tools": {words[0]: reports.version(folder / report)}}
        modules = reports.modules(folder / REPORTS, target.top, layers)
    except ValueError as error:
        raise ToolFailed(words[0], log, str(error)) from error
    simulated, notes = _simulated(folder, target, words[0], log)
    notes += _lacking(modules, layers)
    return built | {"modules": modules, "cosimulation": simulated, "notes": notes}


def _simulated(folder: Path, target: Target, tool: str, log: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """Of the co-simulation's report what it says, or why it says nothing."""
    path = COSIM / f"{target.top}_cosim.rpt"
    if not (folder / path).exists():
        return None, [f"the tool left no {path}: co-simulated cycles are not known"]
    try:
        found = reports.cosimulation(folder / path)
    except ValueError as error:
        return None, [f"the report {path} cannot be read, {error}: co-simulated cycles are not known"]
    if found["status"].lower() != "pass":
        raise ToolFailed(tool, log, f"co-simulation says {found['status']}: see {path}")
    if found["longest"] is None:
        return found, [f"the report {path} gives no latency of a call: co-simulated cycles are not known"]
    loads = [f"calls of {path} are loads of networks, too: co-simulated cycles of a bin or window are not known"]
    return found, loads if target.reloads else []


def _lacking(modules: list[dict[str, Any]], layers: Mapping[int, str]) -> list[str]:
    """On ops whose modules the tool did not report."""
    if not modules:
        return [f"the tool left no {REPORTS}/*_csynth.xml but the top's: cycles of single ops are analytic alone"]
    told = {module["op"] for module in modules if module["cycles"] is not None}
    if lacking := [op for op in layers.values() if op not in told]:
        return [f"no module of the tool's reports gives cycles of {', '.join(lacking)}: theirs are analytic alone"]
    return []
