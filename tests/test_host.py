"""The driver against a Python board that speaks the protocol, over lines that lose, damage and delay."""

import errno
import os
import random
import sys
import threading
import tty
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from needs import needs_package
from standin_core import PARAMETERS, StandIn, image

from edgendt.engine import protocol
from edgendt.engine.device import Device
from edgendt.engine.image import engine_id
from edgendt.engine.protocol import Unslip, slip
from edgendt.errors import BadInput
from edgendt.host import Link, LinkError, NoPort, open_port
from edgendt.host import port as ports

ENGINE = engine_id(PARAMETERS)


class Board:
    """A serial port with a Device behind it; `spoil(data, rng)` is done to every write and to every answer."""

    def __init__(self, outputs=2, spoil=lambda data, rng: data, seed=1, device_id=ENGINE):
        core = StandIn()
        core.outputs = outputs
        self.device, self.unslip, self.spoil, self.rng = Device(device_id, core), Unslip(), spoil, random.Random(seed)
        self.waiting = b""

    def write(self, data):
        for packet in self.unslip.feed(self.spoil(data, self.rng)):
            self.waiting += self.spoil(slip(self.device.packet(packet)), self.rng)

    def read(self, size):
        size = self.rng.randrange(1, 40)  # in any pieces
        data, self.waiting = self.waiting[:size], self.waiting[size:]
        return data


def lossy(rate):
    """With chance `rate` per transfer: lose a byte, flip a bit, lose it all, or add noise."""

    def spoil(data, rng):
        if rng.random() >= rate:
            return data
        at, what = rng.randrange(len(data)), rng.randrange(4)
        flipped = data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
        return (data[:at] + data[at + 1 :], flipped, b"", rng.randbytes(3) + data)[what]

    return spoil


def expected(one, counts):
    """codes [bins, outputs] and cycles of the stand-in."""
    core = StandIn()
    core.outputs = one.outputs
    for section in one.sections:
        for n, word in enumerate(section.words):
            core.load(section.mem, section.start + n, int(word))
    steps = [core.step(row) for row in counts.tolist()]
    return np.array([codes for codes, _ in steps]), np.array([cycles for _, cycles in steps])


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("rate", [0.0, 0.15])
def test_a_network_is_loaded_and_answers_exactly_over_a_bad_line(seed, rate):
    one = image(seed, 5, 3, 40)
    counts = np.random.default_rng(seed).integers(0, 256, (30, 5))
    link = Link(Board(3, lossy(rate), seed), retries=20)
    link.load(one)
    for _ in range(2):
        result = link.infer(counts)
        codes, cycles = expected(one, counts)
        assert np.array_equal(result.codes, codes) and np.array_equal(result.cycles, cycles)
    assert (link.repeats > 0) == (rate > 0)
    answer, info = link.status()
    assert answer.ready and info.image_crc == one.crc and (info.channels, info.outputs) == (5, 3)


def test_without_a_last_bin_the_bins_number_wraps():
    one, board = image(1, 2, 2, 0), Board(2)
    link = Link(board)
    link.load(one)
    board.device.bin = board.device.core.bin = link.bin = protocol.BINS - 2
    bins = (protocol.BINS - 2, protocol.BINS - 1, 0, 1)
    assert tuple(link.step([1, 2]).bin for _ in bins) == bins


def test_a_lost_answer_never_steps_the_network_twice():
    drop = iter([False] * 20 + [True, False] * 50)  # after the load, every other answer is lost

    def spoil(data, rng):
        return b"" if data[1] == 0x83 and next(drop, False) else data

    one, counts = image(1, 5, 3, 60), np.random.default_rng(1).integers(0, 256, (50, 5))
    link = Link(Board(3, spoil))
    link.load(one)
    assert np.array_equal(link.infer(counts).codes, expected(one, counts)[0]) and link.repeats > 10


def test_a_refused_image_leaves_the_old_network_answering():
    old, board = image(1, 2, 2, 9), Board(2)
    link = Link(board)
    link.load(old)
    other = image(2, 2, 2, 9)
    object.__setattr__(other, "engine", {"Other": 1})
    with pytest.raises(LinkError, match=f"image is for engine {other.engine_id:08x} and the board has"):
        link.load(other)
    assert np.array_equal(link.infer(np.ones((4, 2), np.int64)).codes, expected(old, np.ones((4, 2), int))[0])


def test_a_load_that_dies_leaves_no_network():
    alive = iter([True] * 13)  # the greeting, BEGIN and some frames
    board = Board(2, lambda data, rng: data if next(alive, False) else b"")
    with pytest.raises(LinkError, match="load stopped at frame"):
        Link(board).load(image(1, 2, 2, 9))
    board.spoil = lambda data, rng: data
    with pytest.raises(LinkError, match="the engine refused bin 0: no network is loaded"):
        Link(board).step([1, 2])


def test_a_serial_port_is_driven_by_pyserial():
    """A pty with the Python board on its other end."""
    needs_package("serial")
    near, far = os.openpty()
    tty.setraw(near)
    board = Board(3)

    def serve():
        while True:
            try:
                board.write(os.read(near, 4096))
            except OSError:  # the port was closed
                return
            os.write(near, board.waiting)
            board.waiting = b""

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    one, counts = image(7, 5, 3, 40), np.random.default_rng(7).integers(0, 256, (20, 5))
    port = open_port(os.ttyname(far), timeout=30.0)
    link = Link(port)
    link.load(one)
    assert np.array_equal(link.infer(counts).codes, expected(one, counts)[0]) and link.repeats == 0
    port.close()
    os.close(far)
    thread.join()
    os.close(near)


def test_silence_and_wrong_use_are_one_sentence():
    link = Link(Board(2, lambda data, rng: b""))
    with pytest.raises(LinkError, match="did not answer STATUS in 4 tries"):
        link.status()
    link = Link(Board(2))
    link.load(image(1, 2, 2, 3))
    with pytest.raises(BadInput, match="counts must not be negative, got -1"):
        link.step([-1, 300])
    with pytest.raises(LinkError, match="does not fit the loaded network"):
        link.step([1, 2, 3])
    with pytest.raises(LinkError, match="more bins than the network has positions"):
        link.infer(np.zeros((4, 2), np.int64))


def test_a_port_that_cannot_be_opened_says_why_once_and_what_to_do(tmp_path, monkeypatch):
    said = r"^port /dev/none cannot be opened: No such file or directory; is the cable in and the board on\? A port is"
    with pytest.raises(NoPort, match=said):
        open_port("/dev/none")
    (tmp_path / "file").touch()
    with pytest.raises(NoPort, match="it is no device; a port is a serial port such as /dev/ttyUSB0"):
        open_port(str(tmp_path / "file"))
    monkeypatch.setattr(ports, "_serial", refused)
    with pytest.raises(NoPort, match=r"opened: Permission denied; join the group .*dialout \$USER`, and log in again$"):
        open_port("/dev/ttyUSB0")


def refused(*_):
    raise PermissionError(errno.EACCES, "[Errno 13] could not open port")


class Pyserial(ModuleType):
    """The package in Python. without: what a port's `set_low_latency_mode` raises; AttributeError: it has none."""

    def __init__(self, without=None):
        super().__init__("serial")
        self.without, self.low = without, []

    def Serial(self, *_, timeout):
        port = SimpleNamespace(timeout=timeout)
        if self.without is not AttributeError:
            port.set_low_latency_mode = self.set_low_latency_mode
        return port

    def set_low_latency_mode(self, low):
        if self.without:
            raise self.without("no such mode")
        self.low.append(low)


@pytest.mark.parametrize("without", [None, AttributeError, NotImplementedError, ValueError])
def test_a_serial_port_hands_short_answers_over_at_once_where_it_can(without, monkeypatch):
    """Windows' ports have no such mode, macOS' say so, and on Linux a pty's or a plain adapter's fails."""
    fake = Pyserial(without)
    monkeypatch.setitem(sys.modules, "serial", fake)
    assert open_port("/dev/ttyUSB0", timeout=0.25).timeout == 0.25 and fake.low == [True] * (without is None)


@pytest.mark.parametrize("limit", [1, 3, 15, 16])
def test_large_counts_are_clipped_and_counted(limit):
    one = image(1, 2, 2, 3)
    link = Link(Board(2), limit=limit)
    link.load(one)
    counts = np.array([[300, 1], [limit + 1, limit]])
    assert np.array_equal(link.infer(counts).codes, expected(one, np.minimum(counts, limit))[0]) and link.clipped == 2


def test_a_second_program_on_the_board_is_noticed():
    board = Board(2)
    link, other = Link(board), Link(board)
    link.load(image(1, 2, 2, 9))
    link.step([1, 2])
    other.step([3, 4])
    with pytest.raises(LinkError, match="was it used by another program"):
        link.step([5, 6])


@pytest.mark.parametrize("seed", range(40))
def test_answers_that_another_program_left_unread_are_never_taken_for_ours(seed):
    """Its tags were the ones that ours would have been: the greeting tells them apart."""
    one, rng = image(3, 2, 2, 40), np.random.default_rng(seed)
    board = Board(2, seed=seed)
    Link(board).load(one)
    for tag in range(256):
        board.write(slip(protocol.status(tag)))
    board.write(slip(protocol.reset(1)) + b"".join(slip(protocol.counts(tag, tag - 2, [9, 9])) for tag in range(2, 30)))
    counts = rng.integers(0, 256, (8, 2))
    assert np.array_equal(Link(board).infer(counts).codes, expected(one, counts)[0])


def test_an_engine_of_another_protocol_is_refused(monkeypatch):
    board = Board(2)
    monkeypatch.setattr(protocol, "VERSION", 2)
    link = Link(board)
    answer = link.status()
    assert answer[1].version == 2
    board.write = lambda data: setattr(board, "waiting", _old_status(data))
    with pytest.raises(LinkError, match="speaks protocol 1, this driver 2"):
        link.status()


def _old_status(data):
    from edgendt.engine.protocol import Answer, Info, Status

    tag = Unslip().feed(data)[0][1]
    return slip(Answer(1, tag, Status.OK, 0, 0, 0, 0, info=Info(1, 1, 0, 0, 0, 0, 0, 0, 0)).to_bytes())
