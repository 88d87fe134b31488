"""The Vivado project of a board with a Zynq: engine, AXI DMA and processor as one block design; build and reports."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from edgendt.boards import Board
from edgendt.engine.config import Engine
from edgendt.engine.image import engine_id
from edgendt.engine.registers import BYTES
from edgendt.engine.sources import axi_sources, hashes
from edgendt.errors import ToolFailed
from edgendt.synth import vivado_reports
from edgendt.synth.size import part
from edgendt.tools import run_tool, share, tool_path

SCRIPT = "build.tcl"
COMMAND = ("vivado", "-mode", "batch", "-nojournal", "-nolog", "-source", SCRIPT)
WRAPPER = "engine.v"  # IP Integrator takes no SystemVerilog module
LOG = "vivado.log"
UTILISATION, TIMING = Path("utilization.rpt"), Path("timing.rpt")


class _Text(Template):
    """$ is Tcl's."""

    delimiter = "@"


@dataclass(frozen=True)
class Processor:
    """Names of one family's processor block: clock and reset it gives, clocks it takes, its ports, its settings.

    address_bits: of the DMA; control: address of the first register.
    """

    automation: str
    settings: str
    clock: str
    reset: str
    clocks: str
    control_port: str
    memory_port: str
    address_bits: int
    control: int


PROCESSORS = {
    "processing_system7": Processor(
        automation='make_external "FIXED_IO, DDR" apply_board_preset "1"',
        settings="CONFIG.PCW_USE_M_AXI_GP0 1 CONFIG.PCW_USE_S_AXI_HP0 1 CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ @mhz",
        clock="FCLK_CLK0",
        reset="FCLK_RESET0_N",
        clocks="M_AXI_GP0_ACLK S_AXI_HP0_ACLK",
        control_port="M_AXI_GP0",
        memory_port="S_AXI_HP0",
        address_bits=32,
        control=0x4000_0000,
    ),
    "zynq_ultra_ps_e": Processor(
        automation='apply_board_preset "1"',
        settings="CONFIG.PSU__USE__M_AXI_GP0 1 CONFIG.PSU__USE__M_AXI_GP1 0 CONFIG.PSU__USE__M_AXI_GP2 0\n  "
        "CONFIG.PSU__USE__S_AXI_GP2 1 CONFIG.PSU__FPGA_PL0_ENABLE 1 CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ @mhz",
        clock="pl_clk0",
        reset="pl_resetn0",
        clocks="maxihpm0_fpd_aclk saxihp0_fpd_aclk",
        control_port="M_AXI_HPM0_FPD",
        memory_port="S_AXI_HP0_FPD",
        address_bits=40,
        control=0xA000_0000,
    ),
}

TCL = _Text("""\
# The engine on @board: processor, AXI DMA, edt_axi_engine; bitstream, hardware description and reports in this folder.
# Start with `sh build.sh`. Vivado must know the board files of @board_part.
cd [file dirname [file normalize [info script]]]
create_project -force -part @part edgendt vivado
set_property board_part @board_part [current_project]
add_files [concat [lsort [glob rtl/*.sv]] @wrapper]
update_compile_order -fileset sources_1

create_bd_design system
set ps [create_bd_cell -type ip -vlnv xilinx.com:ip:@processor ps]
apply_bd_automation -rule xilinx.com:bd_rule:@processor -config {@automation} $ps
set_property -dict {
  @settings
} $ps
create_bd_cell -type module -reference edt_axi engine
set dma [create_bd_cell -type ip -vlnv xilinx.com:ip:axi_dma dma]
set_property -dict {
  CONFIG.c_include_sg 0 CONFIG.c_sg_include_stscntrl_strm 0 CONFIG.c_sg_length_width 14
  CONFIG.c_addr_width @address_bits CONFIG.c_m_axi_mm2s_data_width 32 CONFIG.c_m_axis_mm2s_tdata_width 8
  CONFIG.c_m_axi_s2mm_data_width 32
} $dma
set_property -dict {CONFIG.NUM_SI 1 CONFIG.NUM_MI 2} [create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect control]
set_property -dict {CONFIG.NUM_SI 2 CONFIG.NUM_MI 1} [create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect memory]
create_bd_cell -type ip -vlnv xilinx.com:ip:proc_sys_reset reset

foreach {from to} {
  ps/@control_port control/S00_AXI
  control/M00_AXI dma/S_AXI_LITE
  control/M01_AXI engine/s_axi
  dma/M_AXI_MM2S memory/S00_AXI
  dma/M_AXI_S2MM memory/S01_AXI
  memory/M00_AXI ps/@memory_port
  dma/M_AXIS_MM2S engine/s_axis
  engine/m_axis dma/S_AXIS_S2MM
} {
  connect_bd_intf_net [get_bd_intf_pins $from] [get_bd_intf_pins $to]
}
foreach pin {
  @clocks reset/slowest_sync_clk control/aclk memory/aclk engine/aclk
  dma/s_axi_lite_aclk dma/m_axi_mm2s_aclk dma/m_axi_s2mm_aclk
} {
  connect_bd_net [get_bd_pins ps/@clock] [get_bd_pins $pin]
}
connect_bd_net [get_bd_pins ps/@reset] [get_bd_pins reset/ext_reset_in]
foreach pin {control/aresetn memory/aresetn engine/aresetn dma/axi_resetn} {
  connect_bd_net [get_bd_pins reset/peripheral_aresetn] [get_bd_pins $pin]
}
foreach {segment at range} {dma/S_AXI_LITE/Reg @dma_at 64K engine/s_axi/reg0 @engine_at @{engine_kib}K} {
  assign_bd_address -target_address_space [get_bd_addr_spaces ps/Data] -offset $at -range $range \\
    [get_bd_addr_segs $segment]
}
assign_bd_address
validate_bd_design
save_bd_design

add_files [make_wrapper -files [get_files system.bd] -top]
set_property top system_wrapper [current_fileset]
launch_runs impl_1 -to_step write_bitstream -jobs 4
wait_on_run impl_1
if {[get_property PROGRESS [get_runs impl_1]] ne "100%"} {
  error "implementation stopped at [get_property STATUS [get_runs impl_1]]: see vivado/edgendt.runs/*/runme.log"
}
open_run impl_1
report_utilization -file @utilisation
report_timing_summary -file @timing
file copy -force vivado/edgendt.runs/impl_1/system_wrapper.bit @board.bit
file copy -force [lindex [glob vivado/edgendt.{gen,srcs}/sources_1/bd/system/hw_handoff/system.hwh] 0] @board.hwh
""")

VERILOG = _Text("""\
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
    return result | _run(board, folder)


def write_project(board: Board, engine: Engine, folder: Path) -> None:
    """Sources, build.tcl, engine.v and build.sh of `engine` on `board`; ValueError for a board without a Zynq."""
    (folder / "rtl").mkdir(parents=True, exist_ok=True)
    for path in axi_sources():
        shutil.copyfile(path, folder / "rtl" / path.name)
    (folder / SCRIPT).write_text(script(board))
    (folder / WRAPPER).write_text(wrapper(engine))
    (folder / "build.sh").write_text(f"set -e\n{' '.join(COMMAND)}\n")


def script(board: Board) -> str:
    """build.tcl."""
    if board.zynq is None:
        raise ValueError(f"board must have a zynq section, got {board.name}")
    ps = PROCESSORS[board.zynq.processor]
    return TCL.substitute(
        board=board.name,
        part=board.part,
        board_part=board.zynq.board_part,
        processor=board.zynq.processor,
        automation=ps.automation,
        settings=_Text(ps.settings).substitute(mhz=f"{board.clock_mhz:g}"),
        clock=ps.clock,
        reset=ps.reset,
        clocks=" ".join(f"ps/{pin}" for pin in ps.clocks.split()),
        control_port=ps.control_port,
        memory_port=ps.memory_port,
        address_bits=ps.address_bits,
        dma_at=f"{ps.control:#010x}",
        engine_at=f"{ps.control + 0x1_0000:#010x}",
        engine_kib=BYTES // 1024,
        wrapper=WRAPPER,
        utilisation=UTILISATION,
        timing=TIMING,
    )


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


def _run(board: Board, folder: Path) -> dict[str, Any]:
    """Run Vivado on the project and read what it reports."""
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
        reason = (
            f"the routed design reaches {reached:.1f} MHz and the clock is {asked:g}: choose a lower clock_mhz in "
            f"boards/{board.name}.toml, or a smaller engine"
        )
        raise ToolFailed("timing", log, reason)
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
