"""The driver on a PYNQ board: a PYNQ in Python whose DMA ends at the protocol's reference."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from reference_board import Networks
from test_load_infer import COMPILED, NETWORKS, run_of

from edgendt.engine import protocol
from edgendt.engine.device import Device
from edgendt.errors import BadInput
from edgendt.host import Link, LinkError, NoPort, open_port, pynq
from edgendt.host.infer import infer
from edgendt.host.load import load

BOARD = "pynq-z2"
PORT = "pynq:/home/xilinx/pynq-z2.bit"


@pytest.fixture
def fake(monkeypatch, tmp_path):
    """A fresh stand-in for the package pynq, its logic not configured."""
    path = Path(__file__).parent / "fakes" / "pynq.py"
    spec = importlib.util.spec_from_file_location("pynq", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "pynq", module)
    monkeypatch.setenv("EDGENDT_CACHE", str(tmp_path / "cache"))
    engine_id = next(iter(COMPILED.values())).image.engine_id
    module.MAKE = lambda: Device(engine_id, Networks(*COMPILED.values())).packet
    return module


def test_a_run_is_loaded_and_every_answer_equals_the_program(fake, tmp_path):
    run = run_of("a", tmp_path)
    loaded = load(run, PORT, BOARD, quiet=True)
    got = infer(run, PORT, BOARD, quiet=True)
    assert fake.DOWNLOADS == ["/home/xilinx/pynq-z2.bit"], "a second program must not lose the network"
    assert (loaded["repeats"], loaded["stage"], got["stage"], got["mismatches"]) == (0, "board", "board", 0)
    assert got["codes"] == got["bins"] * NETWORKS["a"].outputs


def test_three_frames_in_flight_and_polls_change_nothing(fake):
    for fake.POLLS in (0, 1, 7):
        stream = open_port(PORT, timeout=1.0)
        Link(stream).load(COMPILED["b"].image)
        stream.close()
    assert len(fake.DOWNLOADS) == 1


FAULTS = {
    "answers are not taken while a request waits": (
        "            self._collect()\n                if",
        "            if",
    ),
    "no answer is awaited after one": ("slip(bytes(self._in[: channel.transferred]))\n            ", "b'' and "),
    "the whole buffer is the answer": ("self._in[: channel.transferred]", "self._in[:]"),
    "the whole buffer is sent": ("self._out, len(packet))", "self._out, MAX_PACKET)"),
    "it is not started again": ("self._dma.recvchannel.start()\n", "\n"),
    "the logic is configured again": ("if not overlay.is_loaded():", "if True:"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_driver_is_found(fake, tmp_path, monkeypatch, fault):
    text = Path(pynq.__file__).read_text()
    assert text.count(FAULTS[fault][0]) == 1
    mutant = ModuleType("mutant")
    monkeypatch.setitem(sys.modules, "mutant", mutant)  # where dataclasses would look
    exec(text.replace(*FAULTS[fault]), mutant.__dict__)
    monkeypatch.setattr("edgendt.host.port.pynq", mutant)
    monkeypatch.setattr("edgendt.host.attach.SECONDS", {"board": 0.02})
    run = run_of("a", tmp_path)
    with pytest.raises((LinkError, BadInput)):
        load(run, PORT, BOARD, quiet=True)
        infer(run, PORT, BOARD, quiet=True)


def test_another_bitstream_is_configured(fake):
    open_port(PORT).close()
    open_port("pynq:/home/xilinx/other.bit").close()
    assert len(fake.DOWNLOADS) == 2


def test_closing_stops_the_dma(fake):
    stream = open_port(PORT)
    dma = stream._dma
    stream.close()
    assert not dma.sendchannel.running and not dma.recvchannel.running and dma.resets == 2


def test_silence_is_no_answer_and_the_request_is_repeated(fake):
    stream, answers = open_port(PORT, timeout=0.05), fake.BOARD
    heard = []

    def sometimes(packet):
        heard.append(packet)
        return None if len(heard) % 2 else answers(packet)

    fake.BOARD = sometimes
    link = Link(stream)
    link.status()
    assert link.repeats and heard[0] == heard[1]


def test_an_engine_that_takes_nothing_is_one_sentence(fake):
    stream = open_port(PORT, timeout=0.05)
    stream._dma.stuck = True
    with pytest.raises(
        LinkError, match=r"the port failed: the engine took no request for 0\.05 s: is it held in reset"
    ):
        Link(stream).status()
    stream._dma.stuck = False
    Link(stream).status()


def test_an_answer_arrives_in_any_pieces(fake):
    stream = open_port(PORT, timeout=0.05)
    request = protocol.slip(protocol.status(7))
    stream.write(request[:3])
    assert stream.read(100) == b""
    stream.write(request[3:])
    pieces = b"".join(iter(lambda: stream.read(5), b""))
    (answer,) = protocol.Unslip().feed(pieces)
    assert protocol.answer(answer).tag == 7


@pytest.mark.parametrize(
    "error", [FileNotFoundError("no such file"), RuntimeError("no device"), ValueError("Cannot find HWH file")]
)
def test_what_pynq_refuses_is_bad_input(fake, error):
    fake.REFUSES = error
    with pytest.raises(NoPort, match=f"port {PORT} cannot be opened: {error}") as caught:
        open_port(PORT)
    assert isinstance(caught.value, BadInput) and caught.value.exit_code == 2


def test_another_design_is_refused(fake):
    fake.WORDS = {}
    with pytest.raises(NoPort, match="holds no engine of edgendt"):
        open_port(PORT)


def test_without_pynq_it_says_where_it_comes_from(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynq", None)
    with pytest.raises(NoPort, match="pynq is not here: it comes with the image of a PYNQ board"):
        open_port(PORT)
