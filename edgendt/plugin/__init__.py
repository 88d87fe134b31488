"""hls4ml the other way: `backend="EdgeNDT"` makes an engine project of an hls4ml ModelGraph (docs/plugin.md).

hls4ml finds `register` by the entry point `hls4ml.backends` and calls it when it is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

NAME = "EdgeNDT"


def register(*, register_backend: Callable[[str, Any], None], register_writer: Callable[[str, Any], None]) -> None:
    """Make the backend and its writer known to hls4ml."""
    from edgendt.plugin.backend import EdgeNDTBackend, EngineWriter

    register_writer(NAME, EngineWriter)
    register_backend(NAME, EdgeNDTBackend)
