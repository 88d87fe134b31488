# The firmware on aup-zu3: processor, AXI DMA, edgendt_axis as the HLS tool exported it; bitstream, hardware description and reports in this folder.
# Start with `sh build.sh`. Vivado must know the board files of realdigital.org:aup-zu3-8gb:part0:1.0.
cd [file dirname [file normalize [info script]]]
create_project -force -part xczu3eg-sfvc784-2-e edgendt vivado
set_property board_part realdigital.org:aup-zu3-8gb:part0:1.0 [current_project]
set_property ip_repo_paths edgendt_prj [current_project]
update_ip_catalog

create_bd_design system
set ps [create_bd_cell -type ip -vlnv xilinx.com:ip:zynq_ultra_ps_e ps]
apply_bd_automation -rule xilinx.com:bd_rule:zynq_ultra_ps_e -config {apply_board_preset "1"} $ps
set_property -dict {
  CONFIG.PSU__USE__M_AXI_GP0 1 CONFIG.PSU__USE__M_AXI_GP1 0 CONFIG.PSU__USE__M_AXI_GP2 0
  CONFIG.PSU__USE__S_AXI_GP2 1 CONFIG.PSU__FPGA_PL0_ENABLE 1 CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ 200
} $ps
create_bd_cell -type ip -vlnv edgendt:hls:edgendt_axis firmware
set dma [create_bd_cell -type ip -vlnv xilinx.com:ip:axi_dma dma]
set_property -dict {
  CONFIG.c_include_sg 0 CONFIG.c_sg_include_stscntrl_strm 0 CONFIG.c_sg_length_width 23
  CONFIG.c_addr_width 40 CONFIG.c_m_axi_mm2s_data_width 32 CONFIG.c_m_axis_mm2s_tdata_width 32
  CONFIG.c_m_axi_s2mm_data_width 32
} $dma
set_property -dict {CONFIG.NUM_SI 1 CONFIG.NUM_MI 1} [create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect control]
set_property -dict {CONFIG.NUM_SI 2 CONFIG.NUM_MI 1} [create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect memory]
create_bd_cell -type ip -vlnv xilinx.com:ip:proc_sys_reset reset

foreach {from to} {
  ps/M_AXI_HPM0_FPD control/S00_AXI
  control/M00_AXI dma/S_AXI_LITE
  dma/M_AXI_MM2S memory/S00_AXI
  dma/M_AXI_S2MM memory/S01_AXI
  memory/M00_AXI ps/S_AXI_HP0_FPD
  dma/M_AXIS_MM2S firmware/packets
  firmware/answers dma/S_AXIS_S2MM
} {
  connect_bd_intf_net [get_bd_intf_pins $from] [get_bd_intf_pins $to]
}
foreach pin {
  ps/maxihpm0_fpd_aclk ps/saxihp0_fpd_aclk reset/slowest_sync_clk control/aclk memory/aclk firmware/ap_clk
  dma/s_axi_lite_aclk dma/m_axi_mm2s_aclk dma/m_axi_s2mm_aclk
} {
  connect_bd_net [get_bd_pins ps/pl_clk0] [get_bd_pins $pin]
}
connect_bd_net [get_bd_pins ps/pl_resetn0] [get_bd_pins reset/ext_reset_in]
foreach pin {control/aresetn memory/aresetn firmware/ap_rst_n dma/axi_resetn} {
  connect_bd_net [get_bd_pins reset/peripheral_aresetn] [get_bd_pins $pin]
}
foreach {segment at range} {dma/S_AXI_LITE/Reg 0xa0000000 64K} {
  assign_bd_address -target_address_space [get_bd_addr_spaces ps/Data] -offset $at -range $range \
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
report_utilization -file utilization.rpt
report_timing_summary -file timing.rpt
file copy -force vivado/edgendt.runs/impl_1/system_wrapper.bit aup-zu3.bit
file copy -force [lindex [glob vivado/edgendt.{gen,srcs}/sources_1/bd/system/hw_handoff/system.hwh] 0] aup-zu3.hwh
