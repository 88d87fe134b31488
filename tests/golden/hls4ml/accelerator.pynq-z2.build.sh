set -e
if command -v vivado_hls > /dev/null; then vivado_hls -f run_hls.tcl
else echo "error: vivado_hls was not found: install AMD Vivado up to 2020.1, which brings it, and source its settings64.sh" >&2; exit 1
fi
vivado -mode batch -source design.tcl
