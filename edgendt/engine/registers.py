"""The AXI4-Lite registers beside an engine's streams: the mirror of hls/rtl/edt_axi_regs.sv and docs/axi.md.

Words of 32 bits. Another address, or a write to a register that is only read, is answered SLVERR and does nothing.
"""

from enum import IntEnum

MAGIC = int.from_bytes(b"NDT1", "little")
MAP_VERSION = 1
BYTES = 4096  # of the address range


class Register(IntEnum):
    """Byte addresses. Counters run over, and all but CLOCK start at 0 behind a reset of the engine."""

    MAGIC = 0x00
    VERSION = 0x04  # of this map
    ENGINE_ID = 0x08  # edgendt.engine.image.engine_id
    CONTROL = 0x0C  # the one that is written: bit 0 holds the engine in reset
    STATUS = 0x10  # bit 0: a network is loaded, bit 1: a bin is being computed, bit 2: in reset
    ANSWERS = 0x14  # packets sent
    BINS = 0x18  # bins answered
    CYCLES = 0x1C  # of the last bin, as its answer said
    BAD_FRAMES = 0x20  # requests that could not be read
    REFUSED = 0x24  # requests answered with another status than OK
    TURNAROUND = 0x28  # cycles from the last byte of a request to the last byte of its answer, one request at a time
    CLOCK = 0x2C  # cycles since power-up
