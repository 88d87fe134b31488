"""The RTL of `full` with the reference network S: compiled, and behind the emulated board's UART."""

from __future__ import annotations

from functools import cache
from time import perf_counter, process_time
from typing import Any

import numpy as np
from networks import random_counts, random_of

from benchmarks.cycles import FULL, M_PACKED
from benchmarks.route import reached
from edgendt.boards import DEFAULT, Board
from edgendt.engine import protocol
from edgendt.engine.compile import Compiled, compile_program
from edgendt.engine.config import Engine
from edgendt.engine.cycles import cycles_per_bin
from edgendt.engine.reference import M, Network, S
from edgendt.errors import Mismatch
from edgendt.fixed import Codes
from edgendt.host import Link
from edgendt.metrics import summary
from edgendt.sim.emulator import EmulatedBoard
from edgendt.sim.fast import FastCore
from edgendt.wiring import choose_outputs

ROUNDS, ASKED = 3, 20
VELOCITY = 2  # outputs
BITS = 10  # of a byte on a UART: start, eight, stop
CASES = (  # the last bin's window is full
    (S, FULL, "`full`", 100),
    (M, M_PACKED, "32 × 16, P 16, N 8, packed, splits 8", M.window),
)
FAST_NOTE = """The reference networks on the compiled core, one thread: every output code and every bin's cycles
compared with the Program and the cycle model. cycles: of the last bin, whose window is full (simulated). The time of
the process is what other work on the computer does not take away; the quickest of three rounds counts."""
LINK_NOTE = """S on `full`: bytes as the ordinary driver puts them on the line (framing, escapes and CRC included;
random counts), their time at the board's baud, and what an emulated board takes for the same bins, every answer
checked; the core's cycles at the clock of the best seed of `route-full`. Two outputs: as many as a velocity has."""
LOAD_NOTE = """S onto `full`: the bytes of a load as the driver sends them, their time at the board's baud (answers
overlap), and the seconds that an emulated board takes."""


def _case(bins: int, network: Network = S, engine: Engine = FULL) -> tuple[Compiled, Codes]:
    program = random_of(network, 1, max(bins, network.window))
    return compile_program(program, engine), random_counts(program, 1, bins)


def _exact(compiled: Compiled, counts: Codes, codes: Codes, cycles: Any) -> None:
    """Mismatch unless every code and cycle is the Program's."""
    from edgendt.compare import compare

    model = np.array(cycles_per_bin(compiled, len(counts)))
    expected = {"output": compiled.program.run(counts), "cycles": model[:, None]}
    first = compare("benchmark", expected, {"output": codes, "cycles": np.asarray(cycles)[:, None]}).first
    if isinstance(first, Mismatch):
        raise first


def fast() -> list[dict[str, Any]]:
    """Bins per second of the compiled core, network by network."""
    return [_fast(*case) for case in CASES]


def _fast(network: Network, engine: Engine, title: str, bins: int) -> dict[str, Any]:
    compiled, counts = _case(bins, network, engine)
    core = FastCore(engine)
    core.load(compiled)
    rows = []
    for _ in range(ROUNDS):
        wall, own = perf_counter(), process_time()
        codes, cycles, _ = core.run(counts)
        wall, own = perf_counter() - wall, process_time() - own
        _exact(compiled, counts, codes, cycles)
        rows.append(
            {
                "network": network.name,
                "engine": title,
                "bins": bins,
                "cycles": int(cycles[-1]),
                "bins/s": round(bins / wall, 1),
                "bins/s of the process": round(bins / own, 1),
                "cycles/s of the process": round(int(cycles.sum()) / own),
                "stage": "measured, cycles simulated",
            }
        )
    return max(rows, key=lambda row: float(row["bins/s of the process"]))


class Counted:
    """A stream that counts the bytes both ways."""

    def __init__(self, stream: Any) -> None:
        self.stream, self.sent, self.received = stream, 0, 0

    def write(self, data: bytes) -> None:
        self.sent += len(data)
        self.stream.write(data)

    def read(self, size: int) -> bytes:
        data = bytes(self.stream.read(size))
        self.received += len(data)
        return data


@cache
def _board() -> Counted:
    """An emulated board, minutes to build."""
    return Counted(EmulatedBoard(Board.named(DEFAULT), Engine.named("full")))


def _load(outputs: int) -> tuple[Compiled, Codes, Link, float]:
    """S with its first outputs, its counts, a link to the board with it loaded, and the seconds that loading took."""
    compiled, counts = _case(ASKED)
    if outputs != S.outputs:
        compiled = compile_program(choose_outputs(compiled.program, range(outputs)), compiled.engine)
    link = Link(_board(), limit=compiled.program.input.hi)
    link.status()  # the greeting is no part of a load
    begin = perf_counter()
    link.load(compiled.image)
    return compiled, counts, link, perf_counter() - begin


def _baud() -> int:
    target = Board.named(DEFAULT).open
    assert target is not None
    return target.baud


def link() -> list[dict[str, Any]]:
    """Bytes and time of one bin: analytic at the board's baud, and emulated."""
    return [row for outputs in (S.outputs, VELOCITY) for row in _bin(outputs)]


def _bin(outputs: int) -> list[dict[str, Any]]:
    compiled, counts, link, _ = _load(outputs)
    link.reset()
    wire = _board()
    wire.sent = wire.received = 0
    answers, micros = [], []
    for row in counts:
        begin = perf_counter()
        answers.append(link.step(row))
        micros.append((perf_counter() - begin) * 1e6)
    codes, cycles = np.array([one.outputs for one in answers]), np.array([one.cycles for one in answers])
    _exact(compiled, counts, codes, cycles)
    request, answer, baud = wire.sent / ASKED, wire.received / ASKED, _baud()
    line = round((request + answer) * BITS * 1e6 / baud, 1)
    head = {"network": "S", "outputs": outputs, "request, bytes": round(request, 1), "answer, bytes": round(answer, 1)}
    emulated = {f"{name} µs": round(value) for name, value in summary(micros).items()}
    clock = reached()
    core = {f"{name} µs": round(value / clock, 1) for name, value in summary(cycles.tolist()).items()}
    return [
        head | {"how": f"core, cycles at {clock:g} MHz", **core, "stage": "simulated cycles, post-route clock"},
        head | {"how": f"line, one after the other at {baud:,} baud", "p50 µs": line, "stage": "analytic"},
        head | {"how": f"round trip, {ASKED} bins", **emulated, "stage": "emulated"},
    ]


def load() -> list[dict[str, Any]]:
    """Bytes and seconds of one load: analytic at the board's baud, and emulated."""
    compiled, counts, link, seconds = _load(S.outputs)
    size = sum(len(protocol.slip(packet)) for packet in protocol.load(compiled.image))
    got = link.infer(counts)
    _exact(compiled, counts, got.codes, got.cycles)
    head = {"network, engine": "S, `full`", "bytes": size}
    return [
        head | {"how": f"at {_baud():,} baud", "seconds": round(size * BITS / _baud(), 2), "stage": "analytic"},
        head | {"how": "the emulated board", "seconds": round(seconds, 1), "stage": "emulated"},
    ]
