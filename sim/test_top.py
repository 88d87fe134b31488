"""Starts the benches of the board tops; every board's top elaborates with the real core."""

from pathlib import Path

import pytest
from bench import build, lint, mutate, rejects, rtl, simulate
from needs import needs
from standin_core import PARAMETERS

from edgendt.boards import Board, known
from edgendt.engine.image import engine_id
from edgendt.engine.sources import board_sources
from edgendt.tools import share

BRIDGE = rtl("edt_bridge_uart", "edt_uart_rx", "edt_uart_tx", "edt_slip_rx", "edt_slip_tx", "edt_fifo")
TOP = rtl("edt_top_ulx3s", "edt_pll_ecp5", "edt_uart_engine", "edt_engine", "edt_link", "edt_crc32")
MODELS = sorted((share("sim") / "models").glob("*.sv"))
SOURCES = [*TOP, *BRIDGE, *MODELS, Path(__file__).parent / "standin" / "edt_core.sv"]
VALUES = {"EngineId": f"32'd{engine_id(PARAMETERS)}", "ClkHz": 24_000_000}
FAULTS = {
    "the pins are swapped": (".rx_i(ftdi_txd)", ".rx_i(ftdi_rxd)"),
    "the button does nothing": ("locked && btn_pwr_n", "locked"),
    "the engine's name is not passed on": ("edt_link #(.EngineId(EngineId)", "edt_link #(.EngineId(32'h0)"),
}


def test_a_board_loads_answers_and_resets():
    needs("verilator")
    simulate("top_bench", "edt_top_ulx3s", build("edt_top_ulx3s", SOURCES, VALUES))


@pytest.mark.parametrize("fault", FAULTS)
def test_the_bench_rejects(fault):
    needs("verilator")
    assert rejects("top_bench", "edt_top_ulx3s", mutate(SOURCES, *FAULTS[fault]), VALUES)


@pytest.mark.parametrize("name", [name for name in known() if Board.named(name).ecp5])
def test_every_boards_top_is_lint_clean_with_the_real_core(name):
    needs("verilator")
    top = Board.named(name).ecp5.top
    assert lint(top, [*board_sources(top), *MODELS]) == ""
