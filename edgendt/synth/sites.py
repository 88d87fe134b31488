"""Between two placements on an ECP5: every multiplier and block RAM gets the site nearest to what it is wired to.

nextpnr's static placer moves hard blocks to free sites one after the other; where nearly all sites are in use, the last
blocks end up across the part from their own logic. Which block stands on which of the sites in use is an assignment
problem, solved here for all of a kind at once; a placement with the sites given puts the logic around them.
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgendt.artifact import read_json
from edgendt.synth.reroute import PLACED

NETLIST, SITED, RESITED = "netlist.json", "sited.json", "resited.json"
KINDS = "MULT18X18D", "DP16KD"  # any block may have any site of its kind: the engine's multipliers share their controls
LISTENERS = 8  # of a net; one with more is all over the part and draws no one
POWER = 3  # of a distance: one long wire costs a clock more than many that are somewhat longer
LOCATION = re.compile(r"X(\d+)/Y(\d+)/")


def assign_sites(folder: Path) -> bool:
    """Write `sited.json`, the netlist with a site for every hard block of the placed design; False without any."""
    from scipy.optimize import linear_sum_assignment

    cells = read_json(folder / PLACED)["modules"]["top"]["cells"]
    site = {name: cell["attributes"].get("NEXTPNR_BEL", "") for name, cell in cells.items()}
    at = {name: (int(found[1]), int(found[2])) for name in cells if (found := LOCATION.match(site[name]))}
    near = _neighbours({name: cells[name] for name in at})
    given: dict[str, str] = {}
    for kind in KINDS:
        blocks = [name for name in at if cells[name]["type"] == kind]
        if not blocks:
            continue
        free = np.array([at[name] for name in blocks])
        cost = [_cost(free, np.array([at[other] for other in near[name]]).reshape(-1, 2)) for name in blocks]
        _, chosen = linear_sum_assignment(np.stack(cost))
        given |= {name: site[blocks[index]] for name, index in zip(blocks, chosen, strict=True)}
        at |= {name: at[blocks[index]] for name, index in zip(blocks, chosen, strict=True)}
    if not given:
        return False
    netlist = read_json(folder / NETLIST)
    for module in netlist["modules"].values():
        for name, cell in module["cells"].items():
            if name in given:
                cell.setdefault("attributes", {})["BEL"] = given[name]
    (folder / SITED).write_text(json.dumps(netlist))
    return True


def _neighbours(cells: dict[str, Any]) -> dict[str, list[str]]:
    """For each hard block the cells at the other ends of its nets, once for each net."""
    driver: dict[int, str] = {}
    listeners: dict[int, list[str]] = defaultdict(list)
    for name, cell in cells.items():
        for port, nets in cell["connections"].items():
            for net in nets:
                if not isinstance(net, int):  # a constant
                    continue
                if cell["port_directions"][port] == "output":
                    driver[net] = name
                else:
                    listeners[net].append(name)
    near: dict[str, list[str]] = {name: [] for name, cell in cells.items() if cell["type"] in KINDS}
    for net, source in driver.items():
        if len(listeners[net]) > LISTENERS:
            continue
        for sink in listeners[net]:
            for one, other in ((source, sink), (sink, source)):
                if one in near and other != one:
                    near[one].append(other)
    return near


def _cost(sites: NDArray[np.int64], near: NDArray[np.int64]) -> NDArray[np.float64]:
    """[sites]: what a block costs at each of `sites` [sites, 2] whose wires lead to `near` [wires, 2]."""
    tiles = np.abs(sites[:, None] - near[None]).sum(axis=-1)
    cost: NDArray[np.float64] = (tiles.astype(np.float64) ** POWER).sum(axis=1)
    return cost


if __name__ == "__main__":  # build.sh
    sys.exit(0 if assign_sites(Path()) else "the placed design has no hard block")
