"""Packets of the engine's one byte stream, both ways: the reference for edt_link.sv, edt_slip_*.sv, docs/protocol.md.

packet = type, tag, body, CRC-32 (little-endian, of everything before it). On AXI4-Stream tlast ends a packet; on a UART
SLIP (RFC 1055) does: END between packets, END and ESC inside escaped, so that any END resynchronises.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from edgendt.engine.image import Image

VERSION = 2
MAX_PACKET = 2048  # bytes with CRC: the link's packet buffer
MIN_PACKET = 6
END, ESC, ESC_END, ESC_ESC = 0xC0, 0xDB, 0xDC, 0xDD
BRIEF_ANSWER = 0x80  # of an answer's status: its head is a brief one
ANSWER = 0x80  # an answer's type is its request's type with this bit
WIDTHS = (8, 4, 2, 1)  # bits of a count, by the low two bits of a COUNTS format
BINS = 1 << 16  # a bin's number counts on from 0 behind the last one of 16 bits
BRIEF = 0x10  # of a COUNTS format: the answer leaves out state and load frame


class Kind(IntEnum):
    """Packet types, host to engine; NAK is the engine's answer to a frame whose type cannot be trusted."""

    STATUS = 0x01
    RESET = 0x02
    COUNTS = 0x03
    BEGIN = 0x10
    DATA = 0x11
    COMMIT = 0x12
    NAK = 0x7F


class Status(IntEnum):
    """What became of a request."""

    OK = 0
    NOT_READY = 1  # no network, or one is being loaded
    BAD_FRAME = 2  # CRC wrong, too short or too long: nothing was done
    MALFORMED = 3  # CRC right, but the length or a field does not fit the type or the loaded network
    UNKNOWN = 4  # no such type or format
    WRONG_SCHEMA = 5
    WRONG_ENGINE = 6
    SEQUENCE = 7  # load frame out of order: `load_index` is the one expected
    IMAGE_CRC = 8
    NO_BINS = 9  # past the last position row: reset first
    WRONG_BIN = 10  # `bin` is the one expected


_HEAD = struct.Struct("<BBBBHHI")  # type, tag, status, state, bin, load_index, cycles
_BRIEF = struct.Struct("<BBBHI")  # type, tag, status | BRIEF_ANSWER, bin, cycles
_INFO = struct.Struct("<BBHIIHHHH")
_BEGIN = struct.Struct("<BBIHHH")
_COUNTS = struct.Struct("<BH")


def packet(kind: int, tag: int, body: bytes = b"") -> bytes:
    """One packet with its CRC; ValueError when it exceeds the link's buffer."""
    data = struct.pack("<BB", kind, tag & 0xFF) + body
    if len(data) + 4 > MAX_PACKET:
        raise ValueError(f"packet must be at most {MAX_PACKET} bytes, got {len(data) + 4}")
    return data + struct.pack("<I", zlib.crc32(data))


def status(tag: int) -> bytes:
    """Ask for the engine's state."""
    return packet(Kind.STATUS, tag)


def reset(tag: int) -> bytes:
    """Start of a trial: bin index := 0."""
    return packet(Kind.RESET, tag)


def counts(tag: int, index: int, values: Sequence[int], bits: int = 8, brief: bool = False) -> bytes:
    """One bin: `values` [channels], each below 2**bits. Sent again byte for byte, it is only answered again."""
    form = WIDTHS.index(bits) | BRIEF * brief
    return packet(Kind.COUNTS, tag, _COUNTS.pack(form, index) + pack(values, bits))


def count_bits(limit: int) -> int:
    """Bits per channel on the wire for a network whose counts are at most `limit` (0..255): 1, 2, 4 or 8."""
    return min(bits for bits in WIDTHS if limit < 1 << bits)


def pack(values: Sequence[int], bits: int) -> bytes:
    """Counts [channels] side by side, the first in the lowest bits of the first byte; bits left over are 0."""
    if bits == 8:
        return bytes(values)
    if values and not 0 <= min(values) <= max(values) < 1 << bits:
        raise ValueError(f"counts must be 0..{(1 << bits) - 1} in {bits} bits, got {min(values)}..{max(values)}")
    return sum(value << bits * place for place, value in enumerate(values)).to_bytes(
        -(-len(values) * bits // 8), "little"
    )


def unpack(data: bytes, bits: int, channels: int) -> list[int]:
    """The counts that `pack` packed; bits left over are not looked at."""
    word = int.from_bytes(data, "little")
    return [word >> bits * place & (1 << bits) - 1 for place in range(channels)]


def begin(tag: int, image: Image) -> bytes:
    """Announce an image: refused (old network keeps answering) or accepted (NOT_READY until the commit)."""
    body = _BEGIN.pack(image.schema, 0, image.engine_id, image.channels, image.outputs, image.max_bins)
    return packet(Kind.BEGIN, tag, body)


def data(tag: int, frame: bytes) -> bytes:
    """One frame of `Image.frames`."""
    return packet(Kind.DATA, tag, frame)


def commit(tag: int, crc: int) -> bytes:
    """End of a load: the network answers from now on if `crc` is that of all frames taken."""
    return packet(Kind.COMMIT, tag, struct.pack("<I", crc))


def load(image: Image) -> Iterator[bytes]:
    """All packets that load `image`, tags counting from 0."""
    yield begin(0, image)
    tag = 1
    for frame in image.frames():
        yield data(tag, frame)
        tag += 1
    yield commit(tag, image.crc)


@dataclass(frozen=True)
class Info:
    """Body of a STATUS answer."""

    version: int
    schema: int
    channels: int
    engine_id: int
    image_crc: int
    outputs: int
    max_bins: int
    bad_frames: int
    refused: int


@dataclass(frozen=True)
class Answer:
    """One packet from the engine.

    kind, tag: of the request (NAK, 0 when it was unreadable); state: bit 0 ready, bit 1 loading;
    bin: the bin answered (COUNTS, OK) or else the one expected next; load_index: load frame expected next;
    cycles: of the last bin, start to done; outputs [outputs] signed 16-bit codes; brief: state and load_index are not
    sent (ready, 0).
    """

    kind: int
    tag: int
    status: Status
    state: int
    bin: int
    load_index: int
    cycles: int
    outputs: tuple[int, ...] = ()
    info: Info | None = None
    brief: bool = False

    @property
    def ready(self) -> bool:
        """A network is loaded and answers."""
        return bool(self.state & 1)

    def to_bytes(self) -> bytes:
        """The packet an engine sends."""
        kind = self.kind | ANSWER
        head = _HEAD.pack(kind, self.tag, self.status, self.state, self.bin, self.load_index, self.cycles)
        if self.brief:
            head = _BRIEF.pack(kind, self.tag, self.status | BRIEF_ANSWER, self.bin, self.cycles)
        body = struct.pack(f"<{len(self.outputs)}h", *self.outputs)
        if self.info is not None:
            i = self.info
            body = _INFO.pack(
                i.version,
                i.schema,
                i.channels,
                i.engine_id,
                i.image_crc,
                i.outputs,
                i.max_bins,
                i.bad_frames,
                i.refused,
            )
        return packet(head[0], head[1], head[2:] + body)


def answer(data: bytes) -> Answer:
    """Parse a packet from the engine; ValueError when it is damaged or none of ours."""
    if len(data) < _BRIEF.size + 4 or zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "little"):
        raise ValueError(f"answer of {len(data)} bytes has a wrong CRC")
    try:
        return _parsed(data[:-4])
    except struct.error as error:
        raise ValueError(f"answer of {len(data)} bytes has a length that no answer has") from error


def _parsed(data: bytes) -> Answer:
    """An answer without its CRC; struct.error when its length is wrong."""
    if data[2] & BRIEF_ANSWER:
        kind, tag, code, index, cycles = _BRIEF.unpack_from(data)
        outputs = _outputs(data[_BRIEF.size :])
        return Answer(kind & ~ANSWER, tag, Status(code & ~BRIEF_ANSWER), 1, index, 0, cycles, outputs, brief=True)
    kind, tag, code, state, index, load_index, cycles = _HEAD.unpack_from(data)
    fixed = (kind & ~ANSWER, tag, Status(code), state, index, load_index, cycles)
    if kind == Kind.STATUS | ANSWER and code == Status.OK:
        return Answer(*fixed, info=Info(*_INFO.unpack(data[_HEAD.size :])))
    return Answer(*fixed, outputs=_outputs(data[_HEAD.size :]))


def _outputs(body: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(body) // 2}h", body)


def slip(data: bytes, flush: bool = True) -> bytes:
    """A packet as sent over a UART: END where `flush` (whatever came before ends there), escaped bytes, END."""
    body = data.replace(bytes([ESC]), bytes([ESC, ESC_ESC])).replace(bytes([END]), bytes([ESC, ESC_END]))
    return bytes([END] * flush) + body + bytes([END])


def bytes_per_bin(channels: int, outputs: int, limit: int) -> tuple[int, int]:
    """Bytes on a UART of a bin's request and of its answer as the driver asks: packed, brief, a byte of END saved.

    limit: the largest count the network takes. Each byte that SLIP must escape adds one: of random bytes one in 128.
    """
    request = counts(0, 0, [0] * channels, count_bits(limit), brief=True)
    sent = Answer(Kind.COUNTS, 0, Status.OK, 1, 0, 0, 0, (0,) * outputs, brief=True).to_bytes()
    return len(request) + 1, len(sent) + 2


class Unslip:
    """Bytes from a UART in, packets out, in any pieces; noise before an END costs only the packet it hit."""

    def __init__(self) -> None:
        self._packet = bytearray()
        self._escaped = False

    def feed(self, data: bytes) -> list[bytes]:
        """The packets that `data` completes (empty ones are dropped; CRCs are not looked at here)."""
        done = []
        for byte in data:
            if byte == END:
                if self._packet:
                    done.append(bytes(self._packet))
                self._packet.clear()
                self._escaped = False
            elif byte == ESC:
                self._escaped = True
            else:
                self._packet.append({ESC_END: END, ESC_ESC: ESC}.get(byte, byte) if self._escaped else byte)
                self._escaped = False
        return done
