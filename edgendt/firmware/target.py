"""What a project is written for, without importing hls4ml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from edgendt.errors import BadInput
from edgendt.fixed import Int
from edgendt.program import Program

AMD, VIVADO = "Vitis", "Vivado"  # of AMD's tools now, and up to 2020.1
BACKENDS = {  # of hls4ml that g++ emulates, and where a project keeps the headers of its integer types
    AMD: ("firmware/ap_types",),
    VIVADO: ("firmware/ap_types",),
    "Quartus": ("firmware/ac_types",),
    "Catapult": tuple(f"firmware/{name}/include" for name in ("ac_types", "ac_math", "ac_simutils")),
}
ACCELERATOR = "VivadoAccelerator"  # Vivado's sources in a board project of hls4ml's own: accelerator.py
PORTS = ("arrays", "axis")
WEIGHTS = ("rom", "reload")


class Part(Protocol):
    """What this flow reads of a board. `alveo`: a card's."""

    @property
    def name(self) -> str: ...
    @property
    def part(self) -> str: ...
    @property
    def clock_mhz(self) -> float: ...
    @property
    def alveo(self) -> object | None: ...
    def left(self, streams: bool) -> tuple[int, int, int]:
        """DSP blocks, memory blocks of 18 kbit and UltraRAMs for a firmware, with or without what its streams come
        through.
        """
        ...


@dataclass(frozen=True)
class FirmwareConfig:
    """What a project may be asked for beside its board. ports: None for AXI4-Streams on a card, arrays elsewhere.

    weights, backend: see Target; backend in upper or lower case. rows: that windows of tokens have room for, by axis.
    """

    ports: str | None = None
    weights: str = "rom"
    backend: str = AMD
    rows: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """What the project is for; the defaults serve g++ emulation. ports: of the top, plain arrays or AXI4-Streams.

    weights: constants of the build, or memory that a packet writes (reload.py), which needs AXI4-Streams. backend: of
    hls4ml. kernel: for v++ to link on a card, not an IP. board: of hls4ml's own design, see accelerator.py.
    """

    part: str = "xczu5ev-sfvc784-2-i"
    clock_ns: float = 5.0
    name: str = "edgendt"
    backend: str = FirmwareConfig.backend
    ports: str = "arrays"
    weights: str = FirmwareConfig.weights
    kernel: bool = False
    board: str | None = None

    def __post_init__(self) -> None:
        for name, known in (("ports", PORTS), ("weights", WEIGHTS)):
            if getattr(self, name) not in known:
                raise BadInput(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}")
        if self.reloads and self.ports != "axis":
            raise BadInput(f"weights reload come in packets: take ports axis, not {self.ports}")
        if self.ports == "axis" and self.backend not in (AMD, VIVADO):
            raise BadInput(f"ports axis are of the backends {AMD} and {VIVADO}: take ports arrays with {self.backend}")

    @property
    def reloads(self) -> bool:
        return self.weights == "reload"

    def accumulator(self, program: Program) -> Int | None:
        """Of every Linear, where its weights may become others; None: as wide as its own need."""
        return program.accumulator if self.reloads else None

    @property
    def top(self) -> str:
        """The function that the vendor's tool synthesises."""
        if self.backend == ACCELERATOR:
            return f"{self.name}_axi"  # hls4ml's wrapper
        return f"{self.name}_axis" if self.ports == "axis" else self.name

    @property
    def streams(self) -> bool:
        """Whether that stands behind AXI4-Streams."""
        return self.top != self.name

    @property
    def sources(self) -> tuple[str, ...]:
        """What it is made of: stems of files in firmware/."""
        return (self.name, self.top) if self.streams else (self.name,)


USUAL, EMULATED = FirmwareConfig(), Target()
