"""The link's behaviour in Python, packet by packet: what edt_link.sv must do, and a board for tests without one."""

import zlib
from collections.abc import Sequence
from typing import Protocol

from edgendt.engine import protocol
from edgendt.engine.image import FRAME_HEAD, MAX_CHANNELS, MAX_OUTPUTS, SCHEMA
from edgendt.engine.protocol import Answer, Info, Kind, Status

_SIZES = {Kind.STATUS: (6, 6), Kind.RESET: (6, 6), Kind.COUNTS: (10, 2048), Kind.BEGIN: (18, 18), Kind.COMMIT: (10, 10)}
_SIZES[Kind.DATA] = (14, 2048)
TAKEN = 256  # so many load frames back count as taken already


class Core(Protocol):
    """What the link needs of the engine's core."""

    def load(self, mem: int, address: int, word: int) -> None:
        """Write one word."""

    def trial_reset(self) -> None:
        """Bin index := 0."""

    def refuse(self) -> bool:
        """The next bin lies past the last position row."""

    def step(self, counts: Sequence[int]) -> tuple[list[int], int]:
        """One bin: signed 16-bit outputs, cycles."""


class Device:
    """Takes packets, gives answers; `core` computes."""

    def __init__(self, engine_id: int, core: Core, schema: int = SCHEMA) -> None:
        self.engine_id, self.core, self.schema = engine_id, core, schema
        self.ready = self.loading = False
        self.bin = self.load_index = self.cycles = self.image_crc = self.running_crc = 0
        self.channels = self.outputs = self.max_bins = self.bad_frames = self.refused = 0
        self.last: bytes | None = None
        self.codes: tuple[int, ...] = ()
        self.brief = False  # the answer to the last bin

    def packet(self, data: bytes) -> bytes:
        """The answer to one packet, both with their CRCs."""
        short = not protocol.MIN_PACKET <= len(data) <= protocol.MAX_PACKET
        if short or zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "little"):
            self.bad_frames = min(self.bad_frames + 1, 65535)
            return self._answer(Kind.NAK, 0, Status.BAD_FRAME)
        status = self._do(data[0], data)
        if status is not Status.OK:
            self.refused = min(self.refused + 1, 65535)
        return self._answer(data[0], data[1], status)

    def _answer(self, kind: int, tag: int, status: Status) -> bytes:
        good = status is Status.OK
        counted = good and kind == Kind.COUNTS
        info = None
        if good and kind == Kind.STATUS:
            info = Info(
                protocol.VERSION,
                self.schema,
                self.channels,
                self.engine_id,
                self.image_crc,
                self.outputs,
                self.max_bins,
                self.bad_frames,
                self.refused,
            )
        state = int(self.ready) | 2 * int(self.loading)
        index = (self.bin - counted) % protocol.BINS
        codes = self.codes if counted else ()
        brief = counted and self.brief
        return Answer(kind, tag, status, state, index, self.load_index, self.cycles, codes, info, brief).to_bytes()

    def _do(self, kind: int, data: bytes) -> Status:
        if kind not in _SIZES:
            return Status.UNKNOWN
        least, most = _SIZES[Kind(kind)]
        if not least <= len(data) <= most:
            return Status.MALFORMED
        body = data[2:-4]
        if kind == Kind.RESET:
            self._trial_reset()
        elif kind == Kind.COUNTS:
            return self._counts(data, body)
        elif kind == Kind.BEGIN:
            return self._begin(body)
        elif kind == Kind.DATA:
            return self._data(body)
        elif kind == Kind.COMMIT:
            return self._commit(int.from_bytes(body, "little"))
        return Status.OK

    def _trial_reset(self) -> None:
        self.core.trial_reset()
        self.bin, self.last = 0, None

    def _counts(self, data: bytes, body: bytes) -> Status:
        index = int.from_bytes(body[1:3], "little")
        if not self.ready:
            return Status.NOT_READY
        if body[0] & ~(protocol.BRIEF | 3):
            return Status.UNKNOWN
        bits = protocol.WIDTHS[body[0] & 3]
        if len(body) != 3 + -(-self.channels * bits // 8):
            return Status.MALFORMED
        if self.last is not None and data == self.last:
            return Status.OK
        if index != self.bin:
            return Status.WRONG_BIN
        if self.core.refuse():
            return Status.NO_BINS
        codes, self.cycles = self.core.step(protocol.unpack(body[3:], bits, self.channels))
        self.codes, self.last, self.bin = tuple(codes), data, (self.bin + 1) % protocol.BINS
        self.brief = bool(body[0] & protocol.BRIEF)
        return Status.OK

    def _begin(self, body: bytes) -> Status:
        schema, flags = body[0], body[1]
        channels, outputs, max_bins = (int.from_bytes(body[at : at + 2], "little") for at in (6, 8, 10))
        if schema != self.schema:
            return Status.WRONG_SCHEMA
        if int.from_bytes(body[2:6], "little") != self.engine_id:
            return Status.WRONG_ENGINE
        if flags or not (1 <= channels <= MAX_CHANNELS and 1 <= outputs <= MAX_OUTPUTS):
            return Status.MALFORMED
        self.channels, self.outputs, self.max_bins = channels, outputs, max_bins
        self.ready, self.loading, self.last = False, True, None
        self.load_index = self.running_crc = self.image_crc = 0
        return Status.OK

    def _data(self, body: bytes) -> Status:
        index, mem, size, low, high = FRAME_HEAD.unpack_from(body)
        words = body[FRAME_HEAD.size :]
        if not self.loading:
            return Status.NOT_READY
        if not 1 <= size <= 5 or mem > 15:
            return Status.MALFORMED
        if index != self.load_index:
            return Status.OK if (self.load_index - 1 - index) % 65536 < TAKEN else Status.SEQUENCE
        for n in range(len(words) // size):
            word = int.from_bytes(words[n * size : (n + 1) * size], "little")
            self.core.load(mem, (low + 65536 * high + n) % 2**24, word)
        if len(words) % size:
            self.loading = False
            return Status.MALFORMED
        self.running_crc = zlib.crc32(body, self.running_crc)
        self.load_index = (self.load_index + 1) % 65536
        return Status.OK

    def _commit(self, crc: int) -> Status:
        if not self.loading:
            return Status.OK if self.ready and crc == self.image_crc else Status.NOT_READY
        self.loading = False
        if crc != self.running_crc or self.load_index == 0:
            return Status.IMAGE_CRC
        self.ready, self.image_crc = True, crc
        self._trial_reset()
        return Status.OK
