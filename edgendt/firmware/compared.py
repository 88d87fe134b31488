"""Cycles side by side: of the emitted loops (analytic), as the HLS tool estimates them, of its RTL (simulated)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgendt.firmware.folding import Folding
from edgendt.firmware.schedule import Row, schedule
from edgendt.firmware.target import Target
from edgendt.program import Program


def compared(
    program: Program, folding: Folding, most: Mapping[str, int], given: Any, target: Target, built: Mapping[str, Any]
) -> dict[str, Any]:
    """For synth.json; None where the tool did not say, or has not run.

    `call`: the longest there can be; `golden_call`: the longest of the golden vectors, which co-simulation runs; `ops`:
    one call of each op's function, which the top makes `calls` of. given: the golden vectors. built: see vendor.build.
    """
    rows, modules = schedule(program, folding, rows=most), built.get("modules", ())
    inner = [module for module in modules if module["name"] == target.name]  # of a top that has packets around it
    estimate = inner[0]["cycles"] if inner else built.get("cycles_per_bin")
    simulated = {} if target.reloads else built.get("cosimulation") or {}  # loads are calls, too, and longer
    return {
        "call": {"analytic": _total(rows), "hls_estimate": estimate},
        "golden_call": {"analytic": _total(_golden(program, folding, given)), "simulated": simulated.get("longest")},
        "ops": [_op(row, modules) for row in rows if row.kind != "constant"],
    }


def _op(row: Row, modules: Any) -> dict[str, Any]:
    """Of the modules that the tool made of an op the outermost takes longest."""
    told = [module for module in modules if module["op"] == row.name and module["cycles"] is not None]
    longest = max(told, key=lambda module: module["cycles"], default={"name": None, "cycles": None})
    estimate = {"hls_estimate": longest["cycles"], "module": longest["name"]}
    return {"name": row.name, "calls": row.calls, "analytic": row.call_cycles} | estimate


def _golden(program: Program, folding: Folding, given: Any) -> list[Row]:
    """Of the longest call among the golden vectors: their last bin, or their window."""
    if not program.inputs:
        return schedule(program, folding, len(given))
    rows = {item.axis.name: len(given[item.name]) for item in program.inputs if item.codes is None}
    return schedule(program, folding, rows=rows)


def _total(rows: list[Row]) -> int:
    return sum(row.cycles for row in rows)
