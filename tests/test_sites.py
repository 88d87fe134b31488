"""Hard blocks get the sites that cost least, and a placement around them stands only where it takes less wire."""

import json
import subprocess
import sys
from itertools import permutations

import numpy as np
import pytest

from edgendt.artifact import read_json
from edgendt.synth.sites import KINDS, LISTENERS, POWER, assign_sites

SITES = {"MULT18X18D": ["X{}/Y10/MULT18_0", "X{}/Y22/MULT18_1"], "DP16KD": ["X{}/Y13/EBR0", "X{}/Y25/EBR3"]}


def cell(kind, bel, **ports):
    """A cell whose output is port Z; a port's net is a number, or a constant."""
    return {
        "type": kind,
        "attributes": {"NEXTPNR_BEL": bel} if bel else {},
        "port_directions": {port: "output" if port == "Z" else "input" for port in ports},
        "connections": {port: [net] for port, net in ports.items()},
    }


def place_of(bel):
    column, row, _ = bel.split("/")
    return np.array([int(column[1:]), int(row[1:])])


def written(folder, cells):
    """The placed design of `cells`, and the netlist that it came from."""
    bare = {name: {"type": each["type"]} for name, each in cells.items()}
    (folder / "placed.json").write_text(json.dumps({"modules": {"top": {"cells": cells}}}))
    (folder / "netlist.json").write_text(json.dumps({"modules": {"board": {"cells": bare}, "DP16KD": {"cells": {}}}}))


@pytest.fixture
def design(tmp_path):
    """A placed design of four blocks of each kind, each fed by one table and read by two, and its netlist.

    The clock's net reaches one block of each kind: were it to draw, it would draw one alone.
    """
    rng = np.random.default_rng(0)
    cells = {"clock": cell("DCCA", "X900/Y0/DCC0", Z=0), "unplaced": cell("TRELLIS_COMB", None, A=0)}
    for kind in KINDS:
        for index in range(4):
            name, net = f"{kind}{index}", len(cells) * 10
            bel = SITES[kind][index % 2].format(20 * index)
            cells[name] = cell(kind, bel, CLK="0" if index else 0, A=net, B="1", Z=net + 1)
            for end, ports in enumerate(({"Z": net}, {"A": net + 1}, {"A": net + 1})):
                x, y = rng.integers(0, 90, 2)
                cells[f"{name}.{end}"] = cell("TRELLIS_COMB", f"X{x}/Y{y}/SLICEA.LUT0", C=0, **ports)
    written(tmp_path, cells)
    return tmp_path, cells


def test_every_block_gets_the_site_with_which_all_of_its_kind_cost_least(design):
    folder, cells = design
    assert len([name for name in cells if cells[name]["connections"].get("C") == [0]]) > LISTENERS  # the clock's net
    assert assign_sites(folder)
    sited = read_json(folder / "sited.json")["modules"]["board"]["cells"]
    for kind in KINDS:
        names = [f"{kind}{index}" for index in range(4)]
        sites = [cells[name]["attributes"]["NEXTPNR_BEL"] for name in names]

        def cost(order, names=names):
            ends = [cells[f"{name}.{end}"]["attributes"]["NEXTPNR_BEL"] for name in names for end in range(3)]
            wires = zip(np.repeat(order, 3), ends, strict=True)
            return sum(int(np.abs(place_of(bel) - place_of(end)).sum()) ** POWER for bel, end in wires)

        given = [sited[name]["attributes"]["BEL"] for name in names]
        assert sorted(given) == sorted(sites) and cost(given) == min(map(cost, permutations(sites))) < cost(sites)
    assert [name for name in sited if "attributes" in sited[name]] == [f"{kind}{n}" for kind in KINDS for n in range(4)]


def test_blocks_are_drawn_to_each_other(tmp_path):
    """A memory follows the multiplier that it feeds, which was given its site first."""
    memories, multipliers = ([site.format(x) for x in (4, 80) for site in SITES[kind][:1]] for kind in reversed(KINDS))
    cells = {
        "near": cell("TRELLIS_COMB", "X2/Y10/SLICEA.LUT0", A=1, B=1),
        "far": cell("TRELLIS_COMB", "X82/Y10/SLICEA.LUT0", A=2, B=2),
        "mul.near": cell(KINDS[0], multipliers[1], A=3, Z=1),
        "mul.far": cell(KINDS[0], multipliers[0], A=4, Z=2),
        "ram.near": cell(KINDS[1], memories[1], Z=3),
        "ram.far": cell(KINDS[1], memories[0], Z=4),
    }
    written(tmp_path, cells)
    assert assign_sites(tmp_path)
    sited = read_json(tmp_path / "sited.json")["modules"]["board"]["cells"]
    assert [sited[name].get("attributes", {}).get("BEL") for name in cells] == [
        *(None, None, multipliers[0], multipliers[1], memories[0], memories[1])
    ]


def test_build_sh_assigns_sites_in_its_folder(design):
    folder, _ = design
    words = [sys.executable, "-m", "edgendt.synth.sites"]
    assert subprocess.run(words, cwd=folder, check=False).returncode == 0
    once = (folder / "sited.json").read_text()
    assert assign_sites(folder) and (folder / "sited.json").read_text() == once


def test_a_design_without_hard_blocks_has_none_to_move(tmp_path):
    cells = {"table": cell("TRELLIS_COMB", "X2/Y10/SLICEA.LUT0", A=1)}
    written(tmp_path, cells)
    assert not assign_sites(tmp_path) and not (tmp_path / "sited.json").exists()
