"""Between two runs of nextpnr on an ECP5: a design that misses its clock, for its slow arcs to be routed anew.

nextpnr's router knows of delays only what it guesses before anything is routed. With `router/tmg_ripup`, once all arcs
are routed, it takes those with negative slack up again, knowing every delay, until none is left; on a design that is
read back it starts with whatever is not routed, so the last wire of the longest path is taken away.
`python -m edgendt.synth.reroute MHZ` is that step in `build.sh`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from edgendt.artifact import read_json
from edgendt.synth import parse

ROUTED, SLOW, REPORT = "routed.json", "slow.json", "route.json"
SETTINGS = {"router": "router1", "router/tmg_ripup": "1"}  # of a design that is read, above the command line's


def slow_arcs(folder: Path, mhz: float) -> bool:
    """Write `slow.json`, asked for `mhz`, when the design routed in `folder` misses it; False when it does not."""
    report = read_json(folder / REPORT)
    clock, reached = parse.clock(report)
    if reached >= mhz:
        (folder / SLOW).unlink(missing_ok=True)
        return False
    design = read_json(folder / ROUTED)
    top = design["modules"]["top"]
    top["settings"] |= SETTINGS | {"target_freq": f"{mhz * 1e6:f}"}  # digits alone it may take for binary
    del top["netnames"][parse.last_wire(report, clock)]["attributes"]["ROUTING"]
    (folder / SLOW).write_text(json.dumps(design))
    return True


if __name__ == "__main__":
    slow_arcs(Path(), float(sys.argv[1]))
