"""What a project is written for, without importing hls4ml."""

from __future__ import annotations

from dataclasses import dataclass

from edgendt.errors import BadInput

PORTS = ("arrays", "axis")


@dataclass(frozen=True)
class Target:
    """What the project is for; the defaults serve g++ emulation. ports: of the top, plain arrays or AXI4-Streams."""

    part: str = "xczu5ev-sfvc784-2-i"
    clock_ns: float = 5.0
    name: str = "edgendt"
    backend: str = "Vitis"
    ports: str = "arrays"

    def __post_init__(self) -> None:
        if self.ports not in PORTS:
            raise BadInput(f"ports must be one of {', '.join(PORTS)}, got {self.ports!r}")

    @property
    def top(self) -> str:
        """The function that the vendor's tool synthesises."""
        return f"{self.name}_axis" if self.ports == "axis" else self.name

    @property
    def sources(self) -> tuple[str, ...]:
        """What it is made of: stems of files in firmware/."""
        return (self.name,) if self.top == self.name else (self.name, self.top)


EMULATED = Target()
