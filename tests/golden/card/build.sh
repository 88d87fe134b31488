set -e
if command -v vitis-run > /dev/null; then vitis-run --mode hls --tcl run_hls.tcl
elif command -v vitis_hls > /dev/null; then vitis_hls -f run_hls.tcl
else echo "error: vitis-run or vitis_hls was not found: install AMD Vitis HLS and source its settings64.sh" >&2; exit 1
fi
v++ -c -t hw --platform xilinx_u55c_gen3x16_xdma_3_202210_1 --kernel_frequency 200 -k edt_send -I firmware -I firmware/nnet_utils -o edt_send.xo edt_card.cpp
v++ -c -t hw --platform xilinx_u55c_gen3x16_xdma_3_202210_1 --kernel_frequency 200 -k edt_receive -I firmware -I firmware/nnet_utils -o edt_receive.xo edt_card.cpp
v++ -l -t hw --platform xilinx_u55c_gen3x16_xdma_3_202210_1 --kernel_frequency 200 --config link.cfg --temp_dir vpp --report_dir reports -o u55c.xclbin edgendt_axis.xo edt_send.xo edt_receive.xo
