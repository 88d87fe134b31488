"""A second simulator, where it is installed: benches of units that Icarus Verilog 11 can read, on the same sources."""

from __future__ import annotations

import pytest
from bench import build, rtl, simulate
from test_narrow import SOURCES as NARROW

from edgendt.tools import find_tool

UNITS = {
    "crc32_bench": ("edt_crc32", rtl("edt_crc32"), {}, {}),
    "narrow_bench": ("edt_narrow", NARROW, {"AccBits": 24}, {"acc_bits": 24}),
}


@pytest.mark.parametrize("bench", UNITS)
def test_the_bench_passes_under_icarus_too(bench: str) -> None:
    if find_tool("iverilog") is None:  # optional, in continuous integration too: it is no wheel
        pytest.skip("iverilog is not installed (optional: apt install iverilog)")
    top, sources, parameters, case = UNITS[bench]
    simulate(bench, top, build(top, sources, parameters, simulator="icarus"), case)
