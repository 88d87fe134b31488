"""What Vivado reports of a routed design: cells in use, clock and slack."""

from __future__ import annotations

import re

# Report's row: our kind, and how many of it a unit is.
ROWS = {
    "CLB LUTs": ("LUT", 1),
    "Slice LUTs": ("LUT", 1),
    "CLB Registers": ("FF", 1),
    "Slice Registers": ("FF", 1),
    "Block RAM Tile": ("RAMB18", 2),
    "URAM": ("URAM", 1),
    "DSPs": ("DSP48", 1),
}


def utilisation(report: str) -> dict[str, dict[str, int]]:
    """Cells of report_utilization by our kinds, as `parse.resources` gives them; block RAM in halves of 18 kbit."""
    found = {}
    for line in report.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        name = cells[0].rstrip("*")
        if name in ROWS and len(cells) >= 5:
            kind, each = ROWS[name]
            used, available = (round(float(cell.replace(",", "")) * each) for cell in (cells[1], cells[-2]))
            found[kind] = {"used": used, "available": available}
    return found


def clock(report: str) -> tuple[float, float]:
    """MHz that the processor gives and MHz that the slack allows, of report_timing_summary; ValueError without them."""
    period = re.search(r"^clk\w*\s+\{[^}]*\}\s+([\d.]+)\s+[\d.]+\s*$", report, re.MULTILINE)
    slack = re.search(r"^\s*WNS\(ns\).*\n[\s-]+\n\s*(-?[\d.]+)\s", report, re.MULTILINE)
    if period is None or slack is None:
        raise ValueError("the timing report shows no clock and slack")
    ns = float(period[1])
    return round(1e3 / ns, 3), 1e3 / (ns - float(slack[1]))


def version(report: str) -> str:
    """Of the tool that wrote a report."""
    found = re.search(r"^\| Tool Version\s*: Vivado v\.(\S+)", report, re.MULTILINE)
    return found[1] if found else "unknown"
