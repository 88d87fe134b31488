set -e
vitis_hls -f run_hls.tcl
v++ -c -t hw --platform xilinx_u55c_gen3x16_xdma_3_202210_1 --kernel_frequency 200 -k edt_send -I firmware -I firmware/nnet_utils -o edt_send.xo edt_card.cpp
v++ -c -t hw --platform xilinx_u55c_gen3x16_xdma_3_202210_1 --kernel_frequency 200 -k edt_receive -I firmware -I firmware/nnet_utils -o edt_receive.xo edt_card.cpp
v++ -l -t hw --platform xilinx_u55c_gen3x16_xdma_3_202210_1 --kernel_frequency 200 --config link.cfg --temp_dir vpp --report_dir reports -o u55c.xclbin edgendt_axis.xo edt_send.xo edt_receive.xo
