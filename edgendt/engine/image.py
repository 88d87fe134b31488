"""The engine image: everything a network writes into the engine's memories, with what guards it.

File (`image.edi`), little-endian: magic "EDTIMAGE"; u32 length and JSON header (schema, engine parameters, channels,
outputs, max_bins, sections); u32 CRC of the header; per frame u16 length, the frame, u32 CRC; u32 image CRC.
The frames are byte for byte the bodies of the load packets of docs/protocol.md.
"""

import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgendt.errors import BadInput

SCHEMA = 2  # of the words' meaning; an engine of another schema refuses the image
REVISION = 2  # of engines with windows or tokens: one built before bins that see only some others refuses the image
MAGIC = b"EDTIMAGE"
FRAME_BYTES = 1024  # payload of one load frame
FRAME_HEAD = struct.Struct("<HBBHB")  # frame index, memory, bytes per word, word address low 16 and high 8 bits
MEMORIES = 16
WORD_BITS = 40
MAX_CHANNELS = MAX_OUTPUTS = 256


def engine_id(parameters: Mapping[str, int]) -> int:
    """32-bit name of an engine: CRC of its SystemVerilog parameters and of REVISION, where that concerns it; the link
    compares it with its own `EngineId`.
    """
    changed = any(parameters.get(build) for build in ("Windows", "Tokens"))
    named = dict(parameters) | ({"Revision": REVISION} if changed else {})
    return zlib.crc32(json.dumps(named, sort_keys=True, separators=(",", ":")).encode())


@dataclass(frozen=True)
class Section:
    """`words` [n] uint64 (at most 40 bits each) written to memory `mem` from word address `start` on."""

    mem: int
    start: int
    words: NDArray[np.uint64]

    def __post_init__(self) -> None:
        words = np.ascontiguousarray(self.words, dtype=np.uint64)
        if not 0 <= self.mem < MEMORIES:
            raise ValueError(f"mem must be 0..{MEMORIES - 1}, got {self.mem}")
        if words.ndim != 1 or words.size == 0:
            raise ValueError(f"words must be a non-empty vector, got shape {words.shape}")
        if self.start < 0 or self.start + words.size > 2**24:
            raise ValueError(f"addresses must be 0..2^24-1, got {self.start}..{self.start + words.size - 1}")
        if int(words.max()) >> WORD_BITS:
            raise ValueError(f"words must fit {WORD_BITS} bits, got {int(words.max()):#x}")
        words.setflags(write=False)
        object.__setattr__(self, "words", words)

    @property
    def word_bytes(self) -> int:
        """Bytes of one word on the link: the fewest that hold the section's largest word (1..5)."""
        return max(1, (int(self.words.max()).bit_length() + 7) // 8)

    def payload(self) -> bytes:
        """Words, little-endian, `word_bytes` each."""
        return self.words.astype("<u8").view(np.uint8).reshape(-1, 8)[:, : self.word_bytes].tobytes()


@dataclass(frozen=True)
class Image:
    """One network for one engine.

    engine: the engine's SystemVerilog parameters (`Engine.parameters()`); channels, outputs: 1..256;
    max_bins: position rows (the engine refuses later bins until a reset), 0 where no bin is the last; sections: what is
    written, in this order.
    """

    engine: Mapping[str, int]
    channels: int
    outputs: int
    max_bins: int
    sections: tuple[Section, ...]
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("channels", self.channels, 1, MAX_CHANNELS),
            ("outputs", self.outputs, 1, MAX_OUTPUTS),
            ("max_bins", self.max_bins, 0, 65535),
            ("schema", self.schema, 1, 255),
        ):
            if not least <= value <= most:
                raise ValueError(f"{name} must be {least}..{most}, got {value}")
        if not self.sections:
            raise ValueError("sections must not be empty")

    @property
    def engine_id(self) -> int:
        """Name of the engine the image was compiled for."""
        return engine_id(self.engine)

    @property
    def crc(self) -> int:
        """CRC-32 over all frames in order: what the link must have seen before it lets the network answer."""
        crc = 0
        for frame in self.frames():
            crc = zlib.crc32(frame, crc)
        return crc

    def frames(self) -> Iterator[bytes]:
        """Bodies of the load packets: head (index, mem, word_bytes, 24-bit address), then whole words."""
        index = 0
        for section in self.sections:
            size, payload = section.word_bytes, section.payload()
            step = FRAME_BYTES // size * size
            for at in range(0, len(payload), step):
                address = section.start + at // size
                head = FRAME_HEAD.pack(index % 65536, section.mem, size, address & 0xFFFF, address >> 16)
                yield head + payload[at : at + step]
                index += 1

    def to_bytes(self) -> bytes:
        """The whole file."""
        header = {
            "schema": self.schema,
            "engine": dict(self.engine),
            "channels": self.channels,
            "outputs": self.outputs,
            "max_bins": self.max_bins,
            "sections": [[s.mem, s.start, int(s.words.size), s.word_bytes] for s in self.sections],
        }
        text = json.dumps(header, sort_keys=True).encode()
        parts = [MAGIC, struct.pack("<I", len(text)), text, struct.pack("<I", zlib.crc32(text))]
        for frame in self.frames():
            parts += [struct.pack("<H", len(frame)), frame, struct.pack("<I", zlib.crc32(frame))]
        return b"".join([*parts, struct.pack("<I", self.crc)])

    @staticmethod
    def from_bytes(data: bytes) -> "Image":
        """The image of a file's bytes; BadInput when a CRC, a length or a field is wrong."""
        try:
            return _parse(data)
        except (struct.error, ValueError, KeyError, TypeError, IndexError) as error:
            raise BadInput(f"engine image is damaged: {error}") from None

    def save(self, path: Path) -> None:
        """Write the file."""
        Path(path).write_bytes(self.to_bytes())

    @staticmethod
    def load(path: Path) -> "Image":
        """Read a file; BadInput when it is missing or damaged."""
        try:
            return Image.from_bytes(Path(path).read_bytes())
        except OSError as error:
            raise BadInput(f"cannot read engine image {path}: {error.strerror}") from None


def _parse(data: bytes) -> Image:
    if data[: len(MAGIC)] != MAGIC:
        raise ValueError("not an engine image (magic bytes)")
    at = len(MAGIC) + 4
    (length,) = struct.unpack_from("<I", data, at - 4)
    text = data[at : at + length]
    if zlib.crc32(text) != struct.unpack_from("<I", data, at + length)[0]:
        raise ValueError("header CRC does not match")
    header = json.loads(text)
    if header["schema"] != SCHEMA:
        raise ValueError(f"schema must be {SCHEMA}, got {header['schema']}")
    payloads, end = _payloads(
        data, at + length + 4, sum(-(-n * b // (FRAME_BYTES // b * b)) for *_, n, b in header["sections"])
    )
    sections, at = [], 0
    for mem, start, count, size in header["sections"]:
        raw = np.frombuffer(payloads[at : at + count * size], np.uint8).reshape(count, size)
        words = np.zeros((count, 8), np.uint8)
        words[:, :size] = raw
        sections.append(Section(mem, start, words.view("<u8")[:, 0].astype(np.uint64)))
        at += count * size
    image = Image(
        header["engine"], header["channels"], header["outputs"], header["max_bins"], tuple(sections), header["schema"]
    )
    if image.crc != struct.unpack_from("<I", data, end)[0] or end + 4 != len(data):
        raise ValueError("image CRC does not match")
    return image


def _payloads(data: bytes, at: int, frames: int) -> tuple[bytes, int]:
    """All frames' words and the offset behind the last frame."""
    parts = []
    for index in range(frames):
        (length,) = struct.unpack_from("<H", data, at)
        frame = data[at + 2 : at + 2 + length]
        if zlib.crc32(frame) != struct.unpack_from("<I", data, at + 2 + length)[0]:
            raise ValueError(f"CRC of frame {index} does not match")
        parts.append(frame[FRAME_HEAD.size :])
        at += length + 6
    return b"".join(parts), at
