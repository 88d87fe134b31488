"""Program -> hls4ml firmware: built, compiled with g++, traced at every op; or written as a vendor project.

The only room that imports hls4ml, and only when a Program is built.
"""

from __future__ import annotations

from edgendt.firmware.library import Firmware, build

__all__ = ["Firmware", "build"]
