"""The RTL of `full` with the reference network S: compiled, and behind the emulated board's UART."""

from __future__ import annotations

from functools import cache
from time import perf_counter, process_time
from typing import Any

import numpy as np
from networks import random_counts, random_of

from benchmarks.cycles import FULL
from benchmarks.route import reached
from edgendt.boards import DEFAULT, Board
from edgendt.engine import protocol
from edgendt.engine.compile import Compiled, compile_program
from edgendt.engine.config import Engine
from edgendt.engine.cycles import cycles_of, cycles_per_bin
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
CORE = "simulated cycles, post-route clock"
BITS = 10  # of a byte on a UART: start, eight, stop
FAST_BINS = 100  # the last one's window is full
FAST_NOTE = """Network S on the compiled core, one thread: every output code and every bin's cycles compared with the
Program and the cycle model. The time of the process is what other work on the computer does not take away; the
quickest of three rounds counts."""
WIDE, WIDE_BOARD = "kria-wide", "kv260"
WIDE_NOTE = f"""Reference network M, random weights, on the compiled core of `{WIDE}` ({WIDE_BOARD}), a trial past its
window's first turn: every code of every op compared with the Program, every bin's cycles with the model. cycles: of the
last bin, whose window is full; µs at the clock that the board asks of the tools (assumed: not routed)."""
LINK_NOTE = """S, whose counts have four bits, on `full`: bytes as the ordinary driver puts them on the line (framing,
escapes and CRC included; random counts), their time at the board's baud, and what an emulated board takes for the same
bins, every answer checked; the core's cycles at the clock of the best seed of `route-full`. Two outputs: as many as a
velocity has."""
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
    """Bins per second of the compiled core."""
    wall, own, cycles = quickest()
    return [
        {
            "network, engine": "S, `full`",
            "bins": FAST_BINS,
            "bins/s": round(FAST_BINS / wall, 1),
            "bins/s of the process": round(FAST_BINS / own, 1),
            "cycles/s of the process": round(cycles / own),
            "stage": "measured",
        }
    ]


def quickest() -> tuple[float, float, int]:
    """Seconds by the wall and of the process of one trial of FAST_BINS bins, and its cycles: the quickest round."""
    compiled, counts = _case(FAST_BINS)
    core = FastCore(FULL)
    core.load(compiled)
    found = []
    for _ in range(ROUNDS):
        wall, own = perf_counter(), process_time()
        codes, cycles, _ = core.run(counts)
        found.append((perf_counter() - wall, process_time() - own, int(cycles.sum())))
        _exact(compiled, counts, codes, cycles)
    return min(found, key=lambda one: one[1])


def wide() -> list[dict[str, Any]]:
    """M on the engine of the KV260, at every op."""
    bins, engine, clock = M.window + 8, Engine.named(WIDE), Board.named(WIDE_BOARD).clock_mhz
    compiled, counts = _case(bins, M, engine)
    core = FastCore(engine, speed="-O0")  # compiling dominates one trial
    core.load(compiled)
    tally, last = core.compared(counts), cycles_of(compiled, bins - 1)
    if tally.first is not None:
        raise tally.first
    compared = {"bins": bins, "ops": tally.ops, "codes": tally.codes, "differ": tally.mismatches}
    cycles = {"cycles": last.total, "bound": last.bound, "efficiency": round(last.efficiency, 3)}
    micro = {"µs": round(last.total / clock, 2), "MHz, assumed": clock}
    return [{"network": M.name, "engine": f"`{WIDE}`"} | compared | cycles | micro | {"stage": "simulated"}]


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
    answers, micros, sizes = [], [], []
    for row in counts:
        wire.sent = wire.received = 0
        begin = perf_counter()
        answers.append(link.step(row))
        micros.append((perf_counter() - begin) * 1e6)
        sizes.append((wire.sent, wire.received))
    codes, cycles = np.array([one.outputs for one in answers]), np.array([one.cycles for one in answers])
    _exact(compiled, counts, codes, cycles)
    (request, answer), baud = np.mean(sizes, axis=0).tolist(), _baud()
    head = {"network": "S", "outputs": outputs, "request, bytes": round(request, 1), "answer, bytes": round(answer, 1)}
    clock, line = reached(), [sum(both) * BITS * 1e6 / baud for both in sizes]
    return [
        head | {"how": f"core, cycles at {clock:g} MHz", **_micros(cycles / clock), "stage": CORE},
        head | {"how": f"line, one after the other at {baud:,} baud", **_micros(line), "stage": "analytic"},
        head | {"how": f"round trip, {ASKED} bins", **_micros(micros, 0), "stage": "emulated"},
    ]


def _micros(values: Any, digits: int = 1) -> dict[str, float]:
    """Columns of quantiles over the bins."""
    return {f"{name} µs": round(value, digits or None) for name, value in summary(values).items()}


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
