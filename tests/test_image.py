"""The engine image's file and frames."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgendt.engine.image import FRAME_HEAD, SCHEMA, Image, Section, engine_id
from edgendt.errors import BadInput

ENGINE = {"Segments": 4, "Lanes": 8}


def image(*sections, **fields):
    return Image(ENGINE, **{"channels": 3, "outputs": 2, "max_bins": 7} | fields, sections=sections)


sections = st.builds(
    lambda mem, start, words: Section(mem, start, np.array(words, np.uint64)),
    st.integers(0, 15),
    st.sampled_from([0, 1, 0xFFFF, 0x10000, 0xFFF000]),
    st.lists(st.integers(0, 2**40 - 1), min_size=1, max_size=600)
    | st.lists(st.sampled_from([0, 1, 255, 256, 2**36 - 1]), min_size=1, max_size=3000),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(sections, min_size=1, max_size=3))
def test_file_holds_the_image_exactly(parts):
    before = image(*parts)
    after = Image.from_bytes(before.to_bytes())
    assert after.to_bytes() == before.to_bytes() and after.crc == before.crc
    assert (after.engine, after.channels, after.outputs, after.max_bins, after.schema) == (ENGINE, 3, 2, 7, SCHEMA)
    assert [(s.mem, s.start, s.words.tolist()) for s in after.sections] == [
        (s.mem, s.start, s.words.tolist()) for s in parts
    ]


@settings(max_examples=200, deadline=None)
@given(st.lists(sections, min_size=1, max_size=3))
def test_frames_write_every_word_once_at_its_address(parts):
    seen = []
    for index, frame in enumerate(image(*parts).frames()):
        at, mem, size, low, high = FRAME_HEAD.unpack_from(frame)
        payload = frame[FRAME_HEAD.size :]
        assert at == index and len(payload) % size == 0 and len(payload) <= 1024
        for n in range(0, len(payload), size):
            seen.append((mem, low + 65536 * high + n // size, int.from_bytes(payload[n : n + size], "little")))
    assert seen == [(s.mem, s.start + i, int(w)) for s in parts for i, w in enumerate(s.words)]


def test_every_flipped_byte_of_a_file_is_noticed():
    data = image(
        Section(1, 5, np.arange(20, dtype=np.uint64)), Section(2, 0, np.array([2**40 - 1], np.uint64))
    ).to_bytes()
    for at in range(len(data)):
        with pytest.raises(BadInput, match="damaged"):
            Image.from_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])
        with pytest.raises(BadInput, match="damaged"):
            Image.from_bytes(data[:at])


def test_engine_id_depends_on_every_parameter_and_not_on_their_order():
    assert engine_id({"A": 1, "B": 2}) == engine_id({"B": 2, "A": 1})
    assert len({engine_id({"A": a, "B": b}) for a in range(4) for b in range(4)}) == 16


def test_an_engine_whose_instructions_mean_more_now_has_another_id(monkeypatch):
    built = [{"Windows": 0, "Tokens": 0}, {"Windows": 1, "Tokens": 0}, {"Windows": 0, "Tokens": 1}]
    before = [engine_id(one) for one in built]
    monkeypatch.setattr("edgendt.engine.image.REVISION", 9)
    assert [engine_id(one) != old for one, old in zip(built, before, strict=True)] == [False, True, True]


@pytest.mark.parametrize(
    "mem, start, words, rule",
    [
        (16, 0, [1], "mem must be 0..15, got 16"),
        (0, 2**24 - 1, [1, 2], "addresses must be"),
        (0, 0, [], "non-empty"),
        (0, 0, [2**40], "words must fit 40 bits"),
    ],
)
def test_section_refuses_what_the_bus_cannot_carry(mem, start, words, rule):
    with pytest.raises(ValueError, match=rule):
        Section(mem, start, np.array(words, np.uint64))


@pytest.mark.parametrize(
    "field, value", [("channels", 0), ("channels", 257), ("outputs", 257), ("max_bins", 65536), ("schema", 256)]
)
def test_image_refuses_what_the_header_cannot_carry(field, value):
    with pytest.raises(ValueError, match=rf"{field} must be [01]\."):
        image(Section(0, 0, np.ones(1, np.uint64)), **{field: value})


def test_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(BadInput, match="cannot read engine image"):
        Image.load(tmp_path / "none.edi")
