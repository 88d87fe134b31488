"""What nextpnr reports: clock, resources, critical path; and its complaints in one sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

ADVICE = {
    "DP16KD": "choose an engine with smaller memories (edgendt estimate shows which are not needed), or a larger part",
    "MULT18X18D": "choose an engine with fewer lanes",
    "TRELLIS_COMB": "choose an engine with fewer lanes or pipes",
    "TRELLIS_FF": "choose an engine with fewer lanes or pipes",
    "ICESTORM_RAM": "choose an engine with smaller memories, or a larger part",
    "ICESTORM_LC": "choose the serial engine (tiny), or a larger part",
    "BSRAM": "choose an engine with smaller memories (edgendt estimate shows which are not needed), or a larger part",
    "LUT4": "choose an engine with fewer lanes or pipes",
    "DFF": "choose an engine with fewer lanes or pipes",
}


def resources(report: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Cells in use by kind: {"DP16KD": {"used": 110, "available": 208}, …}."""
    return {
        kind: {"used": int(count["used"]), "available": int(count["available"])}
        for kind, count in sorted(report["utilization"].items())
        if count["used"] and count["available"]
    }


def utilisation(log: str) -> dict[str, dict[str, int]]:
    """The last utilisation that nextpnr's log shows: as `resources`, but of a packed or refused design too."""
    found = re.findall(r"^Info:\s+(\w+):\s*(\d+)/\s*(\d+)\s+\d+%", log, re.MULTILINE)
    return {kind: {"used": int(used), "available": int(available)} for kind, used, available in found}


def too_large(log: str) -> tuple[str, int, int] | None:
    """(kind, used, available) of the first resource that nextpnr's log shows above what the part has."""
    for kind, count in utilisation(log).items():
        if count["used"] > count["available"]:
            return kind, count["used"], count["available"]
    return None


def wire(log: str) -> int:
    """Tiles of wire that nextpnr's placement ends with, of the log of one that ended; 0 where it does not say."""
    found = re.findall(r" wirelen = (\d+)", log)
    return int(found[-1]) if found else 0


def clock(report: Mapping[str, Any]) -> tuple[str, float]:
    """(net, MHz) of the slowest clock that nextpnr timed; ValueError when there was none."""
    found = {net: float(value["achieved"]) for net, value in report["fmax"].items()}
    if not found:
        raise ValueError("report must time a clock, got none: was the design optimised away?")
    net = min(found, key=lambda name: found[name])
    return net, found[net]


def critical_path(report: Mapping[str, Any], net: str) -> list[str]:
    """The hops of the longest path within clock `net`, a line each: kind, ns, cell and port."""
    return [_hop(hop) for hop in _longest(report, net)]


def last_wire(report: Mapping[str, Any], net: str) -> str | None:
    """The net at the end of that path; None without such a path."""
    wires = [str(hop["net"]) for hop in _longest(report, net) if "net" in hop]
    return wires[-1] if wires else None


def _longest(report: Mapping[str, Any], net: str) -> list[Mapping[str, Any]]:
    for path in report["critical_paths"]:
        if path["from"].endswith(net) and path["to"].endswith(net):
            return list(path["path"])
    return []


def _hop(hop: Mapping[str, Any]) -> str:
    where = f"{hop['to']['cell']}.{hop['to']['port']}"
    net = f" over {hop['net']}" if "net" in hop else ""
    return f"{hop['delay']:.2f} ns {hop['type']} to {where}{net}"


def split(report: Mapping[str, Any], net: str) -> tuple[float, float]:
    """(ns of logic, ns of wires) along that path."""
    path = _longest(report, net)
    logic, wires = (sum(hop["delay"] for hop in path if (hop["type"] == "routing") == wire) for wire in (False, True))
    return logic, wires
