# random10 for pynq-z2: C simulation, synthesis, co-simulation, IP. Start with `sh build.sh`.
# A step that fails ends the run with an error.
open_project -reset edgendt_prj
set_top edgendt_axi
add_files firmware/edgendt.cpp -cflags "-std=c++0x -I. -Ifirmware -Ifirmware/nnet_utils"
add_files firmware/edgendt_axi.cpp -cflags "-std=c++0x -I. -Ifirmware -Ifirmware/nnet_utils"
add_files -tb edt_test.cpp -cflags "-std=c++0x -I. -Ifirmware -Ifirmware/nnet_utils"
add_files -tb edt_trace.h
add_files -tb edt_vectors.h
add_files -tb edt_network.h
add_files -tb firmware/weights
add_files -tb tb_data
open_solution -reset solution1
set_part xc7z020clg400-1
create_clock -period 10 -name default
set_clock_uncertainty 12.5% default
config_compile -name_max_length 80
config_schedule -enable_dsp_full_reg=false
config_array_partition -maximum_size 4096
csim_design
csynth_design
# The RTL has no trace hooks: co-simulation compares the outputs.
add_files -tb edt_test.cpp -cflags "-std=c++0x -I. -Ifirmware -Ifirmware/nnet_utils -DRTL_SIM"
cosim_design
export_design -format ip_catalog -version 1.0.0
exit
