"""What synthesis should report for a board top, before it runs: the core's size, with link, UART bridge and packing."""

from __future__ import annotations

from edgendt.engine.config import Engine
from edgendt.engine.size import resources

LINK = {
    "DP16KD": 2,
    "TRELLIS_COMB": 1420,
    "TRELLIS_FF": 760,
}  # packet buffer and FIFO; logic as synthesised with the small engine
PACKED = 1.06  # cells after packing per LUT before: carry chains take cells of their own


def estimate(engine: Engine) -> dict[str, int]:
    """Cells by nextpnr's kinds, which the routed design meets within 15 % (exactly, in blocks and multipliers)."""
    core = resources(engine, "ecp5")
    return {
        "DP16KD": core["DP16KD"] + LINK["DP16KD"],
        "MULT18X18D": core["MULT18X18D"],
        "TRELLIS_COMB": round(PACKED * (core["TRELLIS_COMB"] + LINK["TRELLIS_COMB"])),
        "TRELLIS_FF": core["TRELLIS_FF"] + LINK["TRELLIS_FF"],
    }


def deviation(used: dict[str, dict[str, int]], expected: dict[str, int]) -> dict[str, float]:
    """(used - expected) / expected by kind."""
    return {kind: used.get(kind, {"used": 0})["used"] / count - 1 for kind, count in expected.items()}
