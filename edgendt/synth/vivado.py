"""The Vivado project of a board with a Zynq: engine, AXI DMA and processor as one block design; build and reports."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgendt.boards import Board
from edgendt.engine.config import Engine
from edgendt.engine.image import engine_id
from edgendt.engine.sources import axi_sources, hashes
from edgendt.errors import ToolFailed
from edgendt.firmware.vendor import BUILD
from edgendt.synth import vivado_reports
from edgendt.synth.design import (
    COMMAND,
    ENGINE,
    FIRMWARE,
    SCRIPT,
    TIMING,
    UTILISATION,
    WRAPPER,
    Text,
    hls4ml_script,
    script,
)
from edgendt.synth.size import part
from edgendt.tools import run_tool, share, tool_path

LOG = "vivado.log"


VERILOG = Text("""\
// edt_axi_engine as Vivado's block design takes it: Verilog, AXI's names, the parameters of engine @id.
`default_nettype none
module edt_axi (
  (* X_INTERFACE_INFO = "xilinx.com:signal:clock:1.0 aclk CLK" *)
  (* X_INTERFACE_PARAMETER = "ASSOCIATED_BUSIF s_axi:s_axis:m_axis, ASSOCIATED_RESET aresetn" *)
  input wire aclk,
  (* X_INTERFACE_INFO = "xilinx.com:signal:reset:1.0 aresetn RST" *)
  (* X_INTERFACE_PARAMETER = "POLARITY ACTIVE_LOW" *)
  input wire aresetn,
  @ports
);
  edt_axi_engine #(
    @parameters
  ) u_engine (
    .clk_i(aclk), .rst_i(!aresetn),
    @pins
  );
endmodule
`default_nettype wire
""")


def build(
    board: Board, engine: Engine, folder: Path, *, run: bool = False, progress: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Project of `engine` on `board` and, with `run`, its bitstream: synth.json of either.

    DoesNotFit: counted before anything is written. ToolMissing; ToolFailed: Vivado ended with an error, or the routed
    design misses its clock.
    """
    needed = part(board, engine)
    if run:
        tool_path(COMMAND[0])
    write_project(board, engine, folder)
    result = {
        "board": board.name,
        "flow": "engine",
        "stage": "project",
        "part": board.part,
        "fmax_mhz": None,
        "clock_mhz": board.clock_mhz,
        "resources": {},
        "estimate": {kind: count["used"] for kind, count in needed.items()},
        "bitstream": None,
        "script": SCRIPT,
        "engine": engine.parameters(),
        "engine_id": engine_id(engine.parameters()),
        "sources": hashes(axi_sources()),
    }
    if not run:
        return result
    if progress is not None:
        progress(f"synthesis, place and route ({COMMAND[0]}, log {folder / LOG})")
    return result | run_design(board, folder)


def write_project(board: Board, engine: Engine, folder: Path) -> None:
    """Sources, build.tcl, engine.v and build.sh of `engine` on `board`; ValueError for a board without a Zynq."""
    (folder / "rtl").mkdir(parents=True, exist_ok=True)
    for path in axi_sources():
        shutil.copyfile(path, folder / "rtl" / path.name)
    (folder / SCRIPT).write_text(script(board, ENGINE))
    (folder / WRAPPER).write_text(wrapper(engine))
    (folder / BUILD).write_text(f"set -e\n{' '.join(COMMAND)}\n")


def wrapper(engine: Engine) -> str:
    """engine.v: every AXI port of edt_axi_engine under its own name."""
    text = (share("hls") / "rtl" / "edt_axi_engine.sv").read_text()
    found = re.findall(r"(input|output)\s+wire\s+(\[\S+\])?\s*([sm]_axis?_\w+)", text)
    number = engine_id(engine.parameters())
    values = {"EngineId": f"32'h{number:08x}"} | {name: str(value) for name, value in engine.parameters().items()}
    return VERILOG.substitute(
        id=f"{number:08x}",
        ports=",\n  ".join(" ".join(filter(None, (way, "wire", width, name))) for way, width, name in found),
        parameters=",\n    ".join(f".{name}({value})" for name, value in values.items()),
        pins=",\n    ".join(f".{name}({name})" for _, _, name in found),
    )


def write_design(board: Board, folder: Path, ours: bool = True) -> None:
    """build.tcl in the HLS project of a firmware behind AXI4-Streams, and what follows its export in build.sh.

    ours: our block design, not hls4ml's, which its project brings along.
    """
    (folder / SCRIPT).write_text(script(board, FIRMWARE) if ours else hls4ml_script(board))
    with (folder / BUILD).open("a") as lines:
        lines.write(f"{' '.join(COMMAND)}\n")


def run_design(board: Board, folder: Path, ours: bool = True) -> dict[str, Any]:
    """Run Vivado on the project and read what it reports. ours: see write_design."""
    log = folder / LOG
    try:
        run_tool(COMMAND, log, folder)
    except ToolFailed as error:
        said = re.findall(r"^ERROR: (.*)", log.read_text(errors="replace"), re.MULTILINE)
        raise ToolFailed(error.command, log, said[0] if said else error.reason) from error
    reports = [folder / name for name in (UTILISATION, TIMING, Path(f"{board.name}.bit"), Path(f"{board.name}.hwh"))]
    for path in reports:
        if not path.is_file():
            raise ToolFailed(COMMAND[0], log, f"it left no {path.name}")
    timing = reports[1].read_text()
    try:
        asked, reached = vivado_reports.clock(timing)
    except ValueError as error:
        raise ToolFailed(COMMAND[0], log, str(error)) from error
    if reached < asked:
        missed = f"the routed design reaches {reached:.1f} MHz and the clock is {asked:g}"
        lower = f"choose a lower clock_mhz in boards/{board.name}.toml, or a smaller network or engine"
        fixed = "hls4ml's design has no other, so take ports axis of another backend, or a smaller network"
        raise ToolFailed("timing", log, f"{missed}: {lower if ours else fixed}")
    if "Timing constraints are not met" in timing:
        raise ToolFailed("timing", log, f"a hold time or pulse width is missed: {folder / TIMING} shows where")
    return {
        "stage": "post-route",
        "fmax_mhz": round(reached, 2),
        "clock_mhz": asked,
        "resources": vivado_reports.utilisation(reports[0].read_text()),
        "bitstream": reports[2].name,
        "tool_versions": {COMMAND[0]: vivado_reports.version(timing)},
    }
