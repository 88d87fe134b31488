"""What AMD's HLS tools report: of the top and of every module an estimate, of the RTL its co-simulated cycles.

Nothing of it has been placed or routed. Forms: UG1399, UG902; samples of them in tests/reports.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

CONFIG = re.compile(r"_config(\d+)_")  # in a module's name, of the layer that it computes
LONGEST = 80  # characters of a name, as hls4ml has the tool cut it: one so long may have lost a digit


def synthesis(path: Path) -> dict[str, Any]:
    """<top>_csynth.xml -> the keys of synth.json it can fill. ValueError for one that cannot be read."""
    root = _root(path)
    period = root.findtext("PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod")
    return {
        "stage": "hls-estimate",
        "fmax_mhz": round(1e3 / float(period), 2) if period else None,
        "cycles_per_bin": _worst(root),
        "resources": _resources(root),
    }


def version(path: Path) -> str | None:
    """Of the tool that wrote a report."""
    return _root(path).findtext("ReportVersion/Version")


def modules(folder: Path, top: str, layers: Mapping[int, str]) -> list[dict[str, Any]]:
    """Of every function beside the top that the tool made a module of: `cycles` of a call in the worst case, None where
    a loop's bound is not known to it; `op`, by the config in its name, None of other functions and of names cut short.

    layers: op by number of its config. ValueError for a report that cannot be read.
    """
    found = []
    for path in sorted(folder.glob("*_csynth.xml")):
        name = path.name.removesuffix("_csynth.xml")
        if name == top:
            continue
        root, config = _root(path), CONFIG.search(name) if len(name) < LONGEST else None
        op = layers.get(int(config[1])) if config else None
        found.append({"name": name, "op": op, "cycles": _worst(root), "resources": _resources(root)})
    return found


def cosimulation(path: Path) -> dict[str, Any]:
    """<top>_cosim.rpt: `status` and, in cycles, the `shortest`, `mean` and `longest` call of the golden vectors, each
    None where the tool could not tell calls apart. ValueError for a report of another form.
    """
    lines = path.read_text(errors="replace").splitlines()
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    simulated = [row for row in rows if row[0] in ("Verilog", "VHDL") and len(row) > 1 and row[1] != "NA"]
    for row in sorted(simulated, key=lambda row: row[1].lower() == "pass"):  # of two languages one that fails counts
        numbers = [int(cell) if cell.isdigit() else None for cell in row[2:5]] if len(row) >= 8 else [None] * 3
        return {"status": row[1], **dict(zip(("shortest", "mean", "longest"), numbers, strict=True))}
    raise ValueError("it shows no simulation of Verilog or VHDL")


def _root(path: Path) -> ElementTree.Element:
    try:
        return ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise ValueError(f"{path.name} cannot be read: {error}") from error


def _worst(root: ElementTree.Element) -> int | None:
    worst = root.findtext("PerformanceEstimates/SummaryOfOverallLatency/Worst-caseLatency")
    return int(worst) if worst and worst.isdigit() else None


def _resources(root: ElementTree.Element) -> dict[str, dict[str, int | None]]:
    used, available = root.find("AreaEstimates/Resources"), root.find("AreaEstimates/AvailableResources")
    resources = {}
    for item in used if used is not None else ():
        total = available.findtext(item.tag) if available is not None else None
        kind = {"DSP48E": "DSP"}.get(item.tag, item.tag)  # as vivado_hls names them
        resources[kind] = {"used": int(item.text or 0), "available": int(total) if total else None}
    return resources
