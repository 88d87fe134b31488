"""The stand-in core of sim/standin/edt_core.sv in Python, and random packet scripts for the link's benches."""

import random
import zlib
from collections.abc import Sequence

import numpy as np

from edgendt.engine import protocol
from edgendt.engine.image import Image, Section

PARAMETERS = {"Stand": 1, "In": 2}


class StandIn:
    """Outputs and cycles that depend on every loaded word, every count and the bin."""

    def __init__(self) -> None:
        self.store = [0] * 256
        self.bin = 0
        self.outputs = 256

    def load(self, mem: int, address: int, word: int) -> None:
        self.store[mem << 4 | address & 15] = word ^ (address >> 4) << 20

    def trial_reset(self) -> None:
        self.bin = 0

    def refuse(self) -> bool:
        return 0 < self.store[0xF0] & 0xFFFF <= self.bin

    def step(self, counts: Sequence[int]) -> tuple[list[int], int]:
        padded = [*counts, *[0] * (256 - len(counts))]
        codes = []
        for n in range(self.outputs):
            word = self.store[n]
            code = (padded[n] + (word & 0xFFFF) + (word >> 24) + 2 * self.bin + 1) & 0xFFFF
            codes.append(code - 65536 if code & 0x8000 else code)
        self.bin += 1
        return codes, 20 + (self.store[0xF1] & 31)


def image(seed: int, channels: int, outputs: int, rows: int) -> Image:
    """A random image that fills the stand-in's whole store (words of 1 to 5 bytes)."""
    rng = np.random.default_rng(seed)
    sections = []
    for mem in range(16):
        words = rng.integers(0, 2 ** int(rng.integers(1, 41)), 16, dtype=np.uint64)
        if mem == 15:
            words[:2] = rows, rng.integers(0, 32)
        sections.append(Section(mem, int(rng.integers(0, 2**20)) << 4, words))
    sections[15] = Section(15, 0, sections[15].words)
    return Image(PARAMETERS, channels, outputs, rows, tuple(sections))


def session(rng: random.Random, sizes: tuple[int, int] | None = None, length: int = 40) -> tuple[int, list[bytes]]:
    """(outputs, packets): a load and then a random walk over right and wrong requests of every kind.

    sizes: channels, outputs; random by default.
    """
    channels, outputs = sizes or (rng.choice([1, 2, 7, 256]), rng.choice([1, 3, 256]))
    rows = 20 if sizes else rng.choice([3, 20])
    one = image(rng.randrange(2**31), channels, outputs, rows)
    good = list(protocol.load(one))
    packets = [protocol.status(1), *good]
    index = 0
    for tag in range(length):
        bits, brief = rng.choice(protocol.WIDTHS), rng.random() < 0.5
        most = (1 << bits) - 1
        counts = [rng.choice([0, 1, most, rng.randint(0, most)]) for _ in range(channels)]
        fresh = protocol.counts(tag, index, counts, bits, brief)
        packets.append(fresh)
        what = rng.randrange(16)
        index += 1
        if what == 0:
            packets.append(fresh)  # repeated: answered again, not computed again
        elif what == 1:
            packets.append(protocol.reset(tag))
            index = 0
        elif what == 2:
            packets.append(damaged(rng, protocol.counts(tag, index, counts, bits)))
        elif what == 3:
            packets.append(protocol.counts(tag, (index + rng.choice([-2, -1, 1, 7])) % 65536, counts, bits, brief))
        elif what == 4:
            packets.append(protocol.counts(tag, index, counts[:-1] if rng.random() < 0.5 else [*counts, 1]))
        elif what == 5:
            packets.append(protocol.packet(rng.choice([0, 4, 0x13, 0x7F, 0x81, 0xFF]), tag, bytes(rng.randrange(9))))
        elif what == 6:
            packets.append(protocol.packet(rng.choice([1, 2, 3, 0x10, 0x11, 0x12]), tag, bytes(rng.randrange(14))))
        elif what == 7:
            packets.append(wrong_header(rng, good[0], tag))
        elif what == 8:
            packets.append(rng.choice(good[1:]))  # DATA or COMMIT outside of a load
        elif what == 9:
            form = rng.choice([0x04, 0x08, 0x20, 0x40, 0x80, 0x14])
            packets.append(protocol.packet(3, tag, bytes([form]) + index.to_bytes(2, "little") + fresh[5:-4]))
        elif what == 10:  # the bin just computed, in another format: another packet
            packets.append(protocol.counts(tag, index - 1, counts, bits, not brief))
            if bits < 8:
                packets.append(protocol.counts(tag, index - 1, counts, 8, brief))
        elif what == 11:  # a byte too few or too many, whatever the format
            packets.append(protocol.packet(3, tag, fresh[2:5] + rng.choice([fresh[5:-5], fresh[5:-4] + b"\0"])))
    return outputs, packets


def wrong_header(rng: random.Random, begin: bytes, tag: int) -> bytes:
    """BEGIN with one field wrong: schema, flags, engine id, no channels, too many outputs."""
    body = bytearray(begin[2:-4])
    at, value = rng.choice([(0, 2), (1, 1), (2 + rng.randrange(4), None), (6, 0), (9, 2)])
    body[at] = body[at] ^ 0x40 if value is None else value
    if at == 6:
        body[7] = 0
    return protocol.packet(protocol.Kind.BEGIN, tag, bytes(body))


def odd_packets() -> tuple[int, list[bytes]]:
    """(outputs, packets): every header byte wrong once, and a whole packet longer than the link's buffer."""
    one = image(5, 3, 2, 9)
    begin, *rest = protocol.load(one)
    packets = [begin, *rest]
    for at in range(2, 14):
        body = bytearray(begin[2:-4])
        body[at - 2] ^= 0x80 if at in (9, 11) else 0x01
        packets += [protocol.packet(protocol.Kind.BEGIN, at, bytes(body)), protocol.counts(at, at - 2, [1, 2, 3])]
        if at in (8, 10, 12, 13):  # other sizes are no fault of the header's
            packets += [begin, *rest]
    fresh = protocol.counts(1, 0, [1, 2, 3])
    packets += [begin, *rest, fresh[:6] + bytes([fresh[6] ^ 4]) + fresh[7:], fresh]
    long = bytes([protocol.Kind.STATUS, 7]) + bytes(2100)
    packets += [long + zlib.crc32(long).to_bytes(4, "little"), protocol.status(1)]
    return 2, packets


def damaged(rng: random.Random, packet: bytes) -> bytes:
    """One bit flipped, or the end missing, or far too long."""
    kind = rng.randrange(3)
    if kind == 0:
        at = rng.randrange(len(packet))
        return packet[:at] + bytes([packet[at] ^ 1 << rng.randrange(8)]) + packet[at + 1 :]
    if kind == 1:
        return packet[: rng.randrange(1, len(packet))]
    return packet + bytes(rng.choice([2050, 4200]))


def broken_loads(rng: random.Random) -> tuple[int, list[bytes]]:
    """(outputs, packets): loads that must not answer (frame lost, swapped, word cut, wrong CRC), then a good one."""
    one = image(5, 3, 2, 9)
    begin, *frames, commit = protocol.load(one)
    packets = [begin, *frames, commit]
    counts = protocol.counts(9, 0, [1, 2, 3])
    packets += [counts, protocol.counts(9, 0, [1, 2, 3]), begin, counts]
    lost = rng.randrange(1, len(frames))
    packets += [*frames[:lost], *frames[lost + 1 :], commit, counts]  # SEQUENCE, IMAGE_CRC, NOT_READY
    packets += [begin, frames[0], frames[0], frames[1], frames[0], *frames[2:], commit, commit, counts]  # doubled: fine
    packets += [begin, *frames[:-1], damaged(rng, frames[-1]), commit, counts]
    packets += [begin, commit, counts, begin, protocol.commit(3, 0), counts]
    packets += [begin, *frames, protocol.commit(3, one.crc ^ 1), counts, commit]
    cut = bytearray(frames[0][2:-4])
    cut[3] = 4  # bytes per word that do not divide the payload
    packets += [begin, protocol.data(1, bytes(cut) + b"\x01"), frames[1], commit, counts, protocol.status(2)]
    for size, mem in ((0, 1), (6, 1), (2, 16)):
        cut[2], cut[3] = mem, size
        packets += [begin, protocol.data(1, bytes(cut))]
    packets += [begin, *frames, commit, counts, protocol.status(2)]
    return 2, packets
