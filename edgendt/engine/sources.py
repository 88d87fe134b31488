"""The engine's RTL sources, in the order that every tool reads them: simulation and synthesis take the same list."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from edgendt.tools import share

PACKAGE = "edt_pkg"
UART = ("edt_top_", "edt_uart", "edt_slip", "edt_bridge", "edt_fifo")  # what a board with a UART puts around it
AXI = "edt_axi"  # what a part with a processor puts around it
PART = "_ecp5"  # cells of one part; edt_mul chooses its own with EDT_ECP5


def engine_sources() -> list[Path]:
    """All modules that edt_engine is made of, the package first."""
    return [path for path in _all() if not path.stem.startswith((*UART, AXI)) and not path.stem.endswith(PART)]


def board_sources(top: str) -> list[Path]:
    """Engine, UART bridge and the named board top."""
    return [path for path in _all() if not path.stem.startswith(("edt_top_", AXI)) or path.stem == top]


def axi_sources() -> list[Path]:
    """Engine and edt_axi_engine."""
    return [path for path in _all() if path in engine_sources() or path.stem.startswith(AXI)]


def hashes(sources: Iterable[Path]) -> dict[str, str]:
    """SHA-256 by file name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sources}


def unchanged(recorded: Mapping[str, str]) -> bool:
    """Whether every recorded source (SHA-256 by file name) is here as it was."""
    return bool(recorded) and recorded.items() <= hashes(_all()).items()


def _all() -> list[Path]:
    return sorted((share("hls") / "rtl").glob("*.sv"), key=lambda path: (path.stem != PACKAGE, path.stem))
