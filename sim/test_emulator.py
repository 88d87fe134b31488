"""The emulated board: its complete RTL behind a pty, driven by the ordinary driver, over good and bad lines."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from bench import mutate
from faults import KNOWN_SHAPE as SHAPE
from faults import campaign
from needs import needs, needs_package
from networks import random_counts, random_ndt, save_run
from op_engine import TINY
from test_cli import edgendt

from edgendt.boards import Board
from edgendt.engine import protocol
from edgendt.engine.compile import compile_program
from edgendt.engine.cycles import cycles_per_bin
from edgendt.engine.protocol import Kind, slip
from edgendt.errors import EdgendtError
from edgendt.host import Kept, Link, LinkError, open_port
from edgendt.sim.emulator import EmulatedBoard, on_a_pty, top_sources

needs_package("serial")
pytestmark = pytest.mark.xdist_group("emulator")  # one build, run by one worker
BOARD = Board.named("ulx3s-85f")
NETWORKS = [random_ndt(seed, **SHAPE) for seed in range(2)]
COMPILED = [compile_program(program, TINY) for program in NETWORKS]
LIMIT = NETWORKS[0].input.hi  # the largest count: two of them share a byte on the line
SERVED = {}  # the board behind each pty
SECONDS = 3.0  # of silence before the driver repeats
VERBS, LENGTHS = ("load", "infer"), (12, 7)  # of the trials that they stream


@contextmanager
def emulated(sources=None):
    """The path of a pty on which a thread serves a board."""
    board = EmulatedBoard(BOARD, TINY, sources)
    with on_a_pty(board) as (path, serve):
        stop, failures = threading.Event(), []

        def loop():
            try:
                while not stop.is_set():
                    serve()
            except EdgendtError as error:
                failures.append(error)

        thread = threading.Thread(target=loop)
        thread.start()
        try:
            SERVED[path] = board
            yield path
        finally:
            stop.set()
            thread.join()
    assert failures == []


class Wire:
    """A port whose writes pass through `spoil(data)` first."""

    def __init__(self, port, spoil):
        self.port, self.spoil, self.read = port, spoil, port.read

    def write(self, data):
        self.port.write(self.spoil(data))


@contextmanager
def opened(path, seconds=SECONDS):
    port = open_port(path, timeout=seconds)
    try:
        yield port
    finally:
        port.close()


def answers(link, which, seed):
    """A whole trial of network `which` through the link, every code and every bin's cycles."""
    counts = random_counts(NETWORKS[which], seed, SHAPE["bins"])
    got = link.infer(counts)
    assert np.array_equal(got.codes, NETWORKS[which].run(counts))
    assert link.status()[1].image_crc == COMPILED[which].image.crc


def loads_one_network_after_another(path):
    with opened(path) as port:
        link = Link(port, limit=LIMIT)
        for which, seed in ((0, 1), (1, 2), (0, 3)):
            link.load(COMPILED[which].image)
            answers(link, which, seed)
            answers(link, which, seed + 10)
        assert link.repeats == 0


def survives_noise_and_a_truncated_frame(path):
    with opened(path) as port:
        link, rng = Link(port, limit=LIMIT), random.Random(5)
        link.load(COMPILED[0].image)
        before = link.status()[1].bad_frames
        for seed in range(4):
            port.write(rng.randbytes(rng.randrange(1, 300)))
            answers(link, 0, seed)
            whole = slip(protocol.counts(seed, 0, [1] * SHAPE["channels"]))
            port.write(whole[: rng.randrange(3, len(whole) - 2)])
            answers(link, 0, seed + 10)
        assert link.status()[1].bad_frames > before


def survives_lost_bytes_and_flipped_bits(path):
    rng = random.Random(6)

    def spoil(data):
        at, what = rng.randrange(1, len(data) - 1), rng.randrange(12)
        flipped = data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
        return {0: data[:at] + data[at + 1 :], 1: flipped, 2: flipped}.get(what, data)

    with opened(path, 1.0) as port:
        link = Link(Wire(port, spoil), retries=20, limit=LIMIT)
        for which in (1, 0):
            link.load(COMPILED[which].image)
            for seed in range(3):
                answers(link, which, seed)
        assert link.repeats > 5


def survives_a_host_that_stops_reading(path):
    with opened(path) as port:
        Link(port).load(COMPILED[1].image)
        port.write(slip(protocol.reset(0)))
        for n in range(300):  # answered, not read
            port.write(slip(protocol.counts(n % 256, n % 12, [9] * SHAPE["channels"])))
        for n in range(8000):  # more answers than pty and adapter hold
            port.write(slip(protocol.status(n % 256)))
        answers(Link(port), 1, 4)
        answers(Link(port), 1, 5)
    assert SERVED[path].lost > 0, "the host did not stop for long enough"


def a_failed_load_never_answers_and_is_undone(path, tmp_path):
    first, second = COMPILED[0].image, COMPILED[1].image
    lost = iter([False] * 2 + [True] * 11)  # DATA frames from the third on, until the driver gives up

    with opened(path, 1.0) as port:
        kept = Kept(tmp_path / "port.edi")
        Link(port, kept=kept).load(first)
        link = Link(Wire(port, lambda data: b"" if data[1] == Kind.DATA and next(lost, False) else data), 2, kept=kept)
        with pytest.raises(LinkError, match=f"load stopped at frame .* {first.crc:08x}, was put back and answers"):
            link.load(second)
        answers(link, 0, 7)
        begin, *frames, commit = protocol.load(second)
        for cut in (1, len(frames) // 2, len(frames)):
            for packet in [begin, *frames[:cut]]:  # a host that dies in the middle of a load
                port.write(slip(packet))
            with pytest.raises(LinkError, match="no network is loaded"):
                Link(port).step([1] * SHAPE["channels"])
        port.write(slip(protocol.commit(1, second.crc ^ 1)))
        with pytest.raises(LinkError, match="no network is loaded"):
            Link(port).step([1] * SHAPE["channels"])
        port.write(slip(commit))
        with pytest.raises(LinkError, match="no network is loaded"):
            Link(port).step([1] * SHAPE["channels"])
        Link(port).load(second)
        answers(Link(port), 1, 8)


def the_verbs_load_and_infer(path, engine, folder):
    """`edgendt load` and `edgendt infer`: every answer is checked there, and what they keep of it here."""
    run = save_run(folder / "run", NETWORKS[1], LENGTHS)
    loaded, got = (said(verb, str(run.path), "--port", path, "--engine", engine, cwd=folder) for verb in VERBS)
    assert (loaded["stage"], loaded["repeats"]) == ("emulated", 0)
    assert loaded["image_crc"] == f"{COMPILED[1].image.crc:08x}"
    assert (got["stage"], got["trials"], got["bins"], got["mismatches"]) == ("emulated", 2, sum(LENGTHS), 0)
    assert got["codes"] == sum(LENGTHS) * SHAPE["outputs"]
    with np.load(got["answers"]) as kept:
        for trial, length in enumerate(LENGTHS):
            codes = NETWORKS[1].run(random_counts(NETWORKS[1], trial, length))
            assert np.array_equal(kept["codes"][trial, :length], codes)
            assert kept["cycles"][trial, :length].tolist() == cycles_per_bin(COMPILED[1], length)


def said(*words, cwd):
    """What a verb says with --json."""
    done = edgendt(*words, "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


CLAIMS = {
    claim.__name__: claim
    for claim in (
        loads_one_network_after_another,
        survives_noise_and_a_truncated_frame,
        survives_lost_bytes_and_flipped_bits,
        survives_a_host_that_stops_reading,
    )
}
FAULTS = {
    "a half-written network answers": (
        "{ready_q, loading_q, last_valid_q}  <= 3'b010;",
        "{ready_q, loading_q, last_valid_q}  <= 3'b110;",
    ),
    "damaged packets are obeyed": ("frame_ok_q  <= crc_match &&", "frame_ok_q  <="),
    "one key too many": ("14'(p) < 14'(stop_i)", "14'(p) <= 14'(stop_i)"),
}


@pytest.fixture(scope="module")
def path():
    needs("verilator"), needs("g++")
    with emulated() as path:
        yield path


@pytest.mark.parametrize("claim", CLAIMS)
def test_an_emulated_board(claim, path):
    CLAIMS[claim](path)


def test_a_failed_load_never_answers_and_is_undone(path, tmp_path):
    a_failed_load_never_answers_and_is_undone(path, tmp_path)


def test_no_wrong_answer_is_accepted_under_faults():
    """EDT_FAULTS: how many cases; examples/faults.py runs thousands."""
    needs("verilator"), needs("g++")
    report = campaign(EmulatedBoard(BOARD, TINY), COMPILED, int(os.environ.get("EDT_FAULTS", "36")), 1)
    assert report.wrong == [] and report.accepted > 18 and report.faults > 36, report.line()


@pytest.mark.parametrize("fault", FAULTS)
def test_the_claims_reject(fault, tmp_path):
    needs("verilator"), needs("g++")
    sources = mutate(top_sources(BOARD.open.top), *FAULTS[fault])
    with emulated(sources) as path, pytest.raises((AssertionError, LinkError, pytest.fail.Exception)):
        if fault == "a half-written network answers":
            a_failed_load_never_answers_and_is_undone(path, tmp_path)
        for claim in CLAIMS.values():
            claim(path)


def test_the_command_serves_until_interrupted(tmp_path, monkeypatch):
    needs("verilator"), needs("g++")
    engine = tmp_path / "tiny.toml"
    engine.write_text("".join(f"{name} = {value}\n" for name, value in vars(TINY).items()))
    code = "from edgendt.cli import main; main()"
    command = [sys.executable, "-c", code, "emulate", "--engine", str(engine), "--json"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # ignored where pytest runs with &
    )
    try:
        start = json.loads(process.stdout.readline())
        assert (start["stage"], start["engine_id"]) == ("emulated", f"{COMPILED[0].image.engine_id:08x}")
        loads_one_network_after_another(start["port"])
        monkeypatch.setenv("EDGENDT_CACHE", str(tmp_path / "cache"))  # images of other days stay out
        the_verbs_load_and_infer(start["port"], str(engine), tmp_path)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0 and rest == "", errors
    assert "clock cycles, 0 bytes lost" in errors and "Traceback" not in errors
