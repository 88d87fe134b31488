"""The link's packets and their framing."""

import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgendt.engine import protocol
from edgendt.engine.image import SCHEMA, Image, Section
from edgendt.engine.protocol import ANSWER, Answer, Info, Kind, Status, Unslip, answer, packet, slip

packets = st.lists(
    st.binary(min_size=1, max_size=40) | st.lists(st.sampled_from([0xC0, 0xDB, 0xDC, 0xDD, 0]), min_size=1).map(bytes)
)


@settings(max_examples=300, deadline=None)
@given(packets, st.integers(1, 7))
def test_slip_carries_any_packets_in_any_pieces(sent, piece):
    stream, unslip, got = b"".join(map(slip, sent)), Unslip(), []
    for at in range(0, len(stream), piece):
        got += unslip.feed(stream[at : at + piece])
    assert got == sent


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60), st.binary(min_size=1, max_size=40))
def test_a_packet_after_any_noise_arrives_whole(noise, sent):
    assert Unslip().feed(noise + slip(sent))[-1] == sent


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_an_answer_survives_its_bytes_and_no_damaged_one_does(data):
    integer = lambda bits: data.draw(st.integers(0, 2**bits - 1))  # noqa: E731
    outputs = tuple(data.draw(st.lists(st.integers(-32768, 32767), max_size=20)))
    sent = Answer(
        3,
        integer(8),
        data.draw(st.sampled_from(list(Status))),
        integer(2),
        integer(16),
        integer(16),
        integer(32),
        outputs,
    )
    if data.draw(st.booleans()):
        sent = replace(sent, status=Status.OK, state=1, load_index=0, brief=True)
    raw = sent.to_bytes()
    assert protocol.answer(raw) == sent
    at = data.draw(st.integers(0, len(raw) - 1))
    with pytest.raises(ValueError, match="wrong CRC"):
        protocol.answer(raw[:at] + bytes([raw[at] ^ data.draw(st.integers(1, 255))]) + raw[at + 1 :])


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(protocol.WIDTHS), st.data())
def test_packed_counts_come_out_as_they_went_in(bits, data):
    counts = data.draw(st.lists(st.integers(0, (1 << bits) - 1), min_size=1, max_size=256))
    packed = protocol.pack(counts, bits)
    assert len(packed) == -(-len(counts) * bits // 8) and protocol.unpack(packed, bits, len(counts)) == counts


def test_counts_lie_the_first_in_the_lowest_bits_and_must_fit():
    assert protocol.pack([1, 2, 15], 4) == bytes([0x21, 0x0F])
    assert protocol.counts(7, 3, [1, 0, 1], 1, brief=True)[:6] == bytes([3, 7, 0x13, 3, 0, 0b101])
    assert [protocol.count_bits(limit) for limit in (0, 1, 2, 3, 4, 15, 16, 255)] == [1, 1, 2, 2, 4, 4, 8, 8]
    with pytest.raises(ValueError, match=r"counts must be 0\.\.15 in 4 bits, got 0\.\.16"):
        protocol.pack([0, 16], 4)


def test_a_status_answer_carries_the_engines_state():
    info = Info(1, 1, 137, 0xDEADBEEF, 0x12345678, 182, 140, 3, 4)
    sent = Answer(1, 9, Status.OK, 1, 5, 6, 7, info=info)
    assert protocol.answer(sent.to_bytes()) == sent


@pytest.mark.parametrize("kind", [Kind.STATUS, Kind.COUNTS])
@pytest.mark.parametrize("size", [7, 9, 11, 17])
def test_an_answer_of_a_length_that_none_has_is_refused(kind, size):
    with pytest.raises(ValueError, match="length that no answer has"):
        answer(packet(kind | ANSWER, 1, bytes(size)))


def test_a_refused_status_has_no_state():
    refused = Answer(Kind.STATUS, 3, Status.MALFORMED, 0, 0, 0, 0)
    assert answer(refused.to_bytes()) == refused


def test_load_packets_are_begin_every_frame_and_commit():
    image = Image({"Lanes": 4}, 3, 2, 7, (Section(1, 9, np.arange(3000, dtype=np.uint64)),))
    sent = list(protocol.load(image))
    assert [p[0] for p in sent] == [0x10, *[0x11] * 6, 0x12] and [p[1] for p in sent] == list(range(8))
    assert all(zlib.crc32(p[:-4]) == int.from_bytes(p[-4:], "little") for p in sent)
    assert zlib.crc32(b"".join(p[2:-4] for p in sent[1:-1])) == image.crc == int.from_bytes(sent[-1][2:6], "little")
    assert sent[0][2:14] == bytes([SCHEMA, 0]) + image.engine_id.to_bytes(4, "little") + bytes([3, 0, 2, 0, 7, 0])


def test_a_packet_longer_than_the_links_buffer_is_refused():
    with pytest.raises(ValueError, match="at most 2048 bytes, got 2049"):
        protocol.packet(0x11, 0, bytes(2043))
