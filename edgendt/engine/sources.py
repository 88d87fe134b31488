"""The engine's RTL sources, in the order that every tool reads them: simulation and synthesis take the same list."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from edgendt.tools import share

PACKAGE = "edt_pkg"
BOARD = ("edt_top_", "edt_uart", "edt_slip", "edt_bridge", "edt_fifo")  # what a board puts around it
PART = "_ecp5"  # cells of one part; edt_mul chooses its own with EDT_ECP5


def engine_sources() -> list[Path]:
    """All modules that edt_engine is made of, the package first."""
    return [path for path in _all() if not path.stem.startswith(BOARD) and not path.stem.endswith(PART)]


def board_sources(top: str) -> list[Path]:
    """Engine, UART bridge and the named board top."""
    return [path for path in _all() if not path.stem.startswith("edt_top_") or path.stem == top]


def hashes(sources: Iterable[Path]) -> dict[str, str]:
    """SHA-256 by file name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sources}


def unchanged(recorded: Mapping[str, str]) -> bool:
    """Whether every recorded source (SHA-256 by file name) is here as it was."""
    return bool(recorded) and recorded.items() <= hashes(_all()).items()


def _all() -> list[Path]:
    return sorted((share("hls") / "rtl").glob("*.sv"), key=lambda path: (path.stem != PACKAGE, path.stem))
