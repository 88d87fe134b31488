"""Between two runs of nextpnr on an ECP5: a routed design loses one wire of its longest path, and its slow arcs follow.

nextpnr's router knows of delays what it guesses before anything is routed. With `router/tmg_ripup` it takes the slow
arcs up again once all arcs are routed, and all delays known; but of a design that is read back only behind an arc that
it has routed itself. Hence the one wire. What a design says of settings stands above the command line's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgendt.artifact import read_json
from edgendt.synth import parse

PLACED, ROUTED, SLOW = "placed.json", "routed.json", "slow.json"
CONFIG, REPORT = "routed.config", "route.json"
ANEW = {CONFIG: "rerouted.config", REPORT: "reroute.json"}
EPSILON_NS = 0.02  # the router takes arcs up that have no more slack than that


def slow_arcs(folder: Path, mhz: float) -> bool:
    """Write `slow.json`, to be routed anew for `mhz`; False when the routed design reaches it, or has no such wire."""
    report = read_json(folder / REPORT)
    clock, reached = parse.clock(report)
    wire = parse.last_wire(report, clock)
    if reached >= mhz or wire is None:
        return False
    design = read_json(folder / ROUTED)
    attributes = design["modules"]["top"]["netnames"][wire]["attributes"]
    if attributes.pop("ROUTING", None) is None:
        return False
    hertz = 1e9 / (1e3 / mhz + EPSILON_NS)
    # A string of the digits 0 and 1 alone would be taken for a binary number.
    _write(design, folder / SLOW, {"router": "router1", "router/tmg_ripup": "1", "target_freq": f"{hertz:f}"})
    return True


def keep_better(folder: Path) -> bool:
    """Put what was routed anew in the place of what was there, if it is faster; False if not."""
    before, after = (parse.clock(read_json(folder / name))[1] for name in (REPORT, ANEW[REPORT]))
    if after <= before:
        return False
    for name, anew in ANEW.items():
        (folder / anew).replace(folder / name)
    return True


def choose_router(folder: Path, router: str) -> None:
    """Have the placed design routed by `router`."""
    _write(read_json(folder / PLACED), folder / PLACED, {"router": router})


def _write(design: dict[str, Any], path: Path, settings: dict[str, str]) -> None:
    design["modules"]["top"]["settings"] |= settings
    path.write_text(json.dumps(design))
