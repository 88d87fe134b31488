"""Starts the benches of the board tops; every board's top elaborates with the real core."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench import build, lint, mutate, rejects, rtl, simulate
from needs import needs
from networks import random_counts, random_ndt
from standin_core import PARAMETERS

from edgendt.boards import Board, known
from edgendt.engine.compile import compile_program
from edgendt.engine.config import Engine
from edgendt.engine.cycles import cycles_per_bin
from edgendt.engine.image import engine_id
from edgendt.engine.sources import board_sources
from edgendt.synth.project import parameters, pll_of
from edgendt.tools import share

BRIDGE = rtl("edt_bridge_uart", "edt_uart_rx", "edt_uart_tx", "edt_slip_rx", "edt_slip_tx", "edt_fifo")
TOP = rtl("edt_top_uart", "edt_pll_ecp5", "edt_uart_engine", "edt_engine", "edt_link", "edt_crc32")
MODELS = sorted((share("sim") / "models").glob("*.sv"))
SOURCES = [*TOP, *BRIDGE, *MODELS, Path(__file__).parent / "standin" / "edt_core.sv"]
VALUES = {"EngineId": f"32'd{engine_id(PARAMETERS)}", "ClkHz": 24_000_000}
FAULTS = {
    "the pins are swapped": (".rx_i(rx_i), .tx_o(tx_o), .ready_o", ".rx_i(tx_o), .tx_o(tx_o), .ready_o"),
    "the button does nothing": ("locked && button_n_i", "locked"),
    "the engine's name is not passed on": ("edt_link #(.EngineId(EngineId)", "edt_link #(.EngineId(32'h0)"),
}


@pytest.mark.parametrize("low", [0, 1])
def test_a_board_loads_answers_and_resets(low):
    """With a PLL, and with LEDs that a low pin lights on the oscillator's own clock."""
    needs("verilator")
    folder = build("edt_top_uart", SOURCES, VALUES | ({"LedLow": 1, "RefDiv": 0} if low else {}))
    simulate("top_bench", "edt_top_uart", folder, case={"low": low})


@pytest.mark.parametrize("fault", FAULTS)
def test_the_bench_rejects(fault):
    needs("verilator")
    assert rejects("top_bench", "edt_top_uart", mutate(SOURCES, *FAULTS[fault]), VALUES)


TINY = Engine(
    segments=1,
    lanes=4,
    pipes=2,
    weight_depth=256,
    kv_depth=64,
    bias_depth=64,
    act_depth=128,
    res_depth=16,
    pos_depth=64,
    score_depth=16,
    gamma_depth=32,
    prog_depth=64,
)
REAL = board_sources("edt_top_uart")


def with_core(engine: Engine) -> dict[str, Any]:
    """Parameters of the board's top."""
    values = engine.parameters()
    return values | {"EngineId": f"32'd{engine_id(values)}", "ClkHz": 24_000_000}


def tiny_network(folder: Path, engine: Engine = TINY) -> dict[str, Any]:
    """The case of a tiny network: its image, two trials in which the window wraps, what must be answered."""
    program = random_ndt(3, channels=5, d=6, layers=1, heads=2, ffn=7, window=3, outputs=4, bins=8)
    compiled = compile_program(program, engine)
    compiled.image.save(folder / "image.edi")
    arrays: dict[str, Any] = {}
    for trial, bins in enumerate((8, 5)):
        counts = random_counts(program, trial, bins)
        found = {"counts": counts, "outputs": program.run(counts), "cycles": cycles_per_bin(compiled, bins)}
        arrays |= {f"{trial}/{name}": np.asarray(value) for name, value in found.items()}
    np.savez(folder / "trials.npz", **arrays)
    return {"image": str(folder / "image.edi"), "trials": str(folder / "trials.npz")}


@pytest.mark.parametrize("serial", [0, 1])
def test_a_board_with_the_real_core_answers_as_the_program_does(serial, tmp_path):
    needs("verilator")
    engine = replace(TINY, serial=serial)
    folder = build("edt_top_uart", [*REAL, *MODELS], with_core(engine))
    simulate("top_core_bench", "edt_top_uart", folder, tiny_network(tmp_path, engine))


def test_the_bench_rejects_an_array_of_another_size_than_the_board_was_told(tmp_path):
    needs("verilator")
    told = ".EngineId(EngineId), .Segments(Segments), .Lanes("  # in the top, on its way to edt_uart_engine
    sources = mutate([*REAL, *MODELS], f".Baud(Baud), {told}Lanes)", f".Baud(Baud), {told}8)")
    assert rejects("top_core_bench", "edt_top_uart", sources, with_core(TINY), tiny_network(tmp_path))


@pytest.mark.parametrize("name", [name for name in known() if Board.named(name).open])
def test_every_boards_top_is_lint_clean_with_the_real_core(name):
    needs("verilator")
    board = Board.named(name)
    target, engine = board.open, Engine.named(board.engine)
    values = parameters(target, pll_of(board), engine)
    assert lint(target.top, [*board_sources(target.top), *MODELS], values) == ""
