# hls4ml's own design of zcu102, design.tcl, to a bitstream; hardware description and reports in this folder.
# Start with `sh build.sh`. Vivado must be of the release of vivado_hls, and know the board files that design.tcl names.
cd [file dirname [file normalize [info script]]]
source design.tcl
if {[get_property PROGRESS [get_runs impl_1]] ne "100%"} {
  error "implementation stopped at [get_property STATUS [get_runs impl_1]]: see edgendt_vivado_accelerator/project_1.runs/*/runme.log"
}
report_utilization -file utilization.rpt
report_timing_summary -file timing.rpt
file copy -force edgendt_vivado_accelerator/project_1.runs/impl_1/design_1_wrapper.bit zcu102.bit
file copy -force [lindex [glob edgendt_vivado_accelerator/project_1.{gen,srcs}/sources_1/bd/design_1/hw_handoff/design_1.hwh] 0] zcu102.hwh
