"""The block design of a board with a Zynq, as a Tcl script: processor, AXI DMA, and between its streams a network.

Or hls4ml's own design, which is a script already: what is asked of every design here stands behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from string import Template

from edgendt.boards import Board
from edgendt.engine.registers import BYTES

SCRIPT = "build.tcl"
COMMAND = ("vivado", "-mode", "batch", "-nojournal", "-nolog", "-source", SCRIPT)
WRAPPER = "engine.v"  # IP Integrator takes no SystemVerilog module
UTILISATION, TIMING = Path("utilization.rpt"), Path("timing.rpt")


class Text(Template):
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


@dataclass(frozen=True)
class Block:
    """What stands between the DMA's streams. sources, cell: Tcl that finds and makes it; bits: of a beat; length_bits:
    of the bytes of a transfer; takes, gives: its streams; registers: its AXI4-Lite port, if any, and KiB of it.
    """

    what: str
    sources: str
    cell: str
    bits: int
    length_bits: int
    takes: str
    gives: str
    clock: str
    reset: str
    registers: tuple[str, int] | None = None


ENGINE = Block(
    what="The engine on @board: processor, AXI DMA, edt_axi_engine",
    sources=f"add_files [concat [lsort [glob rtl/*.sv]] {WRAPPER}]\nupdate_compile_order -fileset sources_1",
    cell="create_bd_cell -type module -reference edt_axi engine",
    bits=8,
    length_bits=14,
    takes="engine/s_axis",
    gives="engine/m_axis",
    clock="engine/aclk",
    reset="engine/aresetn",
    registers=("engine/s_axi", BYTES // 1024),
)
FIRMWARE = Block(
    what="The firmware on @board: processor, AXI DMA, edgendt_axis as the HLS tool exported it",
    sources="set_property ip_repo_paths edgendt_prj [current_project]\nupdate_ip_catalog",
    cell="create_bd_cell -type ip -vlnv edgendt:hls:edgendt_axis firmware",
    bits=32,
    length_bits=23,
    takes="firmware/packets",
    gives="firmware/answers",
    clock="firmware/ap_clk",
    reset="firmware/ap_rst_n",
)

TCL = Text("""\
# @what; bitstream, hardware description and reports in this folder.
# Start with `sh build.sh`. Vivado must know the board files of @board_part.
cd [file dirname [file normalize [info script]]]
create_project -force -part @part edgendt vivado
set_property board_part @board_part [current_project]
@sources

create_bd_design system
set ps [create_bd_cell -type ip -vlnv xilinx.com:ip:@processor ps]
apply_bd_automation -rule xilinx.com:bd_rule:@processor -config {@automation} $ps
set_property -dict {
  @settings
} $ps
@cell
set dma [create_bd_cell -type ip -vlnv xilinx.com:ip:axi_dma dma]
set_property -dict {
  CONFIG.c_include_sg 0 CONFIG.c_sg_include_stscntrl_strm 0 CONFIG.c_sg_length_width @length_bits
  CONFIG.c_addr_width @address_bits CONFIG.c_m_axi_mm2s_data_width 32 CONFIG.c_m_axis_mm2s_tdata_width @bits
  CONFIG.c_m_axi_s2mm_data_width 32
} $dma
set_property -dict {CONFIG.NUM_SI 1 CONFIG.NUM_MI @n} [create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect control]
set_property -dict {CONFIG.NUM_SI 2 CONFIG.NUM_MI 1} [create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect memory]
create_bd_cell -type ip -vlnv xilinx.com:ip:proc_sys_reset reset

foreach {from to} {
  ps/@control_port control/S00_AXI
  control/M00_AXI dma/S_AXI_LITE
@registers  dma/M_AXI_MM2S memory/S00_AXI
  dma/M_AXI_S2MM memory/S01_AXI
  memory/M00_AXI ps/@memory_port
  dma/M_AXIS_MM2S @takes
  @gives dma/S_AXIS_S2MM
} {
  connect_bd_intf_net [get_bd_intf_pins $from] [get_bd_intf_pins $to]
}
foreach pin {
  @clocks reset/slowest_sync_clk control/aclk memory/aclk @block_clock
  dma/s_axi_lite_aclk dma/m_axi_mm2s_aclk dma/m_axi_s2mm_aclk
} {
  connect_bd_net [get_bd_pins ps/@clock] [get_bd_pins $pin]
}
connect_bd_net [get_bd_pins ps/@reset] [get_bd_pins reset/ext_reset_in]
foreach pin {control/aresetn memory/aresetn @block_reset dma/axi_resetn} {
  connect_bd_net [get_bd_pins reset/peripheral_aresetn] [get_bd_pins $pin]
}
foreach {segment at range} {dma/S_AXI_LITE/Reg @dma_at 64K@segment} {
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
@check
open_run impl_1
@files
""")
# hls4ml's script opens the implemented design itself.
HLS4ML = Text("""\
# hls4ml's own design of @board, design.tcl, to a bitstream; hardware description and reports in this folder.
# Start with `sh build.sh`. Vivado must be of the release of vivado_hls, and know the board files that design.tcl names.
cd [file dirname [file normalize [info script]]]
source design.tcl
@check
@files
""")
CHECK = Text("""\
if {[get_property PROGRESS [get_runs impl_1]] ne "100%"} {
  error "implementation stopped at [get_property STATUS [get_runs impl_1]]: see @project.runs/*/runme.log"
}""")
FILES = Text("""\
report_utilization -file @utilisation
report_timing_summary -file @timing
file copy -force @project.runs/impl_1/@{design}_wrapper.bit @board.bit
file copy -force [lindex [glob @project.{gen,srcs}/sources_1/bd/@design/hw_handoff/@design.hwh] 0] @board.hwh""")


def ends(board: Board, project: str, design: str) -> dict[str, str]:
    """What follows the implementation of a design in a project: an error where it stopped, else reports and files."""
    names = {"board": board.name, "project": project, "design": design, "utilisation": UTILISATION, "timing": TIMING}
    return {"check": CHECK.substitute(names), "files": FILES.substitute(names)}


def hls4ml_script(board: Board) -> str:
    """build.tcl around hls4ml's design."""
    return HLS4ML.substitute(board=board.name, **ends(board, "edgendt_vivado_accelerator/project_1", "design_1"))


def script(board: Board, block: Block) -> str:
    """build.tcl."""
    if board.zynq is None:
        raise ValueError(f"board must have a zynq section, got {board.name}")
    ps = PROCESSORS[board.zynq.processor]
    registers = segment = ""
    if block.registers:
        port, kib = block.registers
        registers, segment = f"  control/M01_AXI {port}\n", f" {port}/reg0 {ps.control + 0x1_0000:#010x} {kib}K"
    return TCL.substitute(
        what=Text(block.what).substitute(board=board.name),
        sources=block.sources,
        cell=block.cell,
        bits=block.bits,
        length_bits=block.length_bits,
        takes=block.takes,
        gives=block.gives,
        block_clock=block.clock,
        block_reset=block.reset,
        n=2 if block.registers else 1,
        registers=registers,
        segment=segment,
        board=board.name,
        part=board.part,
        board_part=board.zynq.board_part,
        processor=board.zynq.processor,
        automation=ps.automation,
        settings=Text(ps.settings).substitute(mhz=f"{board.clock_mhz:g}"),
        clock=ps.clock,
        reset=ps.reset,
        clocks=" ".join(f"ps/{pin}" for pin in ps.clocks.split()),
        control_port=ps.control_port,
        memory_port=ps.memory_port,
        address_bits=ps.address_bits,
        dma_at=f"{ps.control:#010x}",
        **ends(board, "vivado/edgendt", "system"),
    )
