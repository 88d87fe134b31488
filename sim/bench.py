"""What every bench shares: build and run a simulation (pytest side), and stream drivers (simulator side).

`sim/<unit>_bench.py` runs in the simulator, `sim/test_<unit>.py` starts it:

    def test_equals_the_reference():
        needs("verilator")
        folder = build("edt_crc32", rtl("edt_crc32"), {"Width": 8})
        simulate("crc32_bench", "edt_crc32", folder, case={"seed": 1})

    def test_the_bench_rejects_a_wrong_polynomial():
        assert rejects("crc32_bench", "edt_crc32", mutate(rtl("edt_crc32"), "32'hEDB88320", "32'hEDB88321"))

Drivers write on the falling clock edge and look at settled signals before the rising one, so that they mean the same in
every simulator. Building and running a simulation is `edgendt/sim/simulator.py`, which `edgendt sim` uses too.
"""

import hashlib
import json
import os
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgendt.engine import protocol
from edgendt.engine.image import Image
from edgendt.sim.simulator import build, lint, locked, rtl, simulate
from edgendt.tools import cache_folder

__all__ = ["build", "lint", "mutate", "rejects", "rtl", "simulate"]


# ---- pytest's side ----


def mutate(sources: Sequence[Path], old: str, new: str) -> list[Path]:
    """The same sources, `old` (which must occur exactly once in all of them) replaced by `new` in a copy."""
    found = [path for path in sources if old in path.read_text()]
    if len(found) != 1 or found[0].read_text().count(old) != 1:
        raise ValueError(f"a mutant needs {old!r} exactly once in its sources, found in {[p.name for p in found]}")
    text = found[0].read_text().replace(old, new)
    folder = cache_folder("mutants", hashlib.sha256(text.encode()).hexdigest()[:16])
    copy = folder / found[0].name
    _write_once(copy, text)
    return [copy if path == found[0] else path for path in sources]


def rejects(
    module: str,
    top: str,
    sources: Sequence[Path],
    parameters: Mapping[str, object] | None = None,
    case: Mapping[str, Any] | None = None,
    tests: str | None = None,
    **options: Any,
) -> bool:
    """A seeded fault: True when the bench fails on these (mutated) sources; they must still build."""
    folder = build(top, sources, parameters, **options)
    try:
        simulate(module, top, folder, case, tests)
    except AssertionError as error:
        return "ran no test" not in str(error)
    return False


def _write_once(path: Path, text: str) -> None:
    with locked(path.with_suffix(".lock")):
        if not path.exists():
            path.write_text(text)


# ---- the simulator's side ----


def case() -> dict[str, Any]:
    """The values that `simulate(case=...)` gave."""
    return dict(json.loads(os.environ.get("EDT_CASE", "{}")))


async def start(dut: Any, period_ns: int = 10) -> None:
    """Start `clk_i`, hold `rst_i` for four cycles with every stream input idle."""
    import cocotb
    from cocotb.clock import Clock
    from cocotb.triggers import FallingEdge

    cocotb.start_soon(Clock(dut.clk_i, period_ns, "ns").start())
    for name in ("s_axis_tvalid", "s_axis_tdata", "s_axis_tlast", "m_axis_tready"):
        if hasattr(dut, name):
            getattr(dut, name).value = 0
    dut.rst_i.value = 1
    for _ in range(4):
        await FallingEdge(dut.clk_i)
    dut.rst_i.value = 0


async def cycles(dut: Any, count: int) -> None:
    """Wait for `count` falling clock edges."""
    from cocotb.triggers import FallingEdge

    for _ in range(count):
        await FallingEdge(dut.clk_i)


class Source:
    """Sends packets of bytes (or words) on `<prefix>_t*`; each beat is preceded by idle cycles with chance `idle`."""

    def __init__(self, dut: Any, prefix: str = "s_axis", idle: float = 0.0, seed: int = 1) -> None:
        self.dut, self.idle, self.random = dut, idle, random.Random(seed)
        self.data, self.valid, self.ready = (getattr(dut, f"{prefix}_{name}") for name in ("tdata", "tvalid", "tready"))
        self.last = getattr(dut, f"{prefix}_tlast", None)
        self.sent = 0  # beats

    async def send(self, packet: Sequence[int], last: bool = True) -> None:
        """Send one packet; returns when its last beat is taken. last=False leaves it without tlast (truncated)."""
        from cocotb.triggers import FallingEdge, ReadOnly

        for index, word in enumerate(packet):
            await FallingEdge(self.dut.clk_i)
            while self.random.random() < self.idle:
                self.valid.value = 0
                await FallingEdge(self.dut.clk_i)
            self.valid.value, self.data.value = 1, word
            if self.last is not None:
                self.last.value = int(last and index == len(packet) - 1)
            await ReadOnly()
            while not self.ready.value:
                await FallingEdge(self.dut.clk_i)
                await ReadOnly()
            self.sent += 1
        await FallingEdge(self.dut.clk_i)
        self.valid.value = 0


class Sink:
    """Receives packets from `<prefix>_t*`; refuses a beat with chance `stall`, and all beats while `hold` is set.

    It also demands what AXI4-Stream demands: once valid, data and last stand until they are taken.
    """

    def __init__(self, dut: Any, prefix: str = "m_axis", stall: float = 0.0, seed: int = 2) -> None:
        import cocotb
        from cocotb.queue import Queue

        self.dut, self.stall, self.random, self.hold = dut, stall, random.Random(seed), False
        self.data, self.valid, self.ready = (getattr(dut, f"{prefix}_{name}") for name in ("tdata", "tvalid", "tready"))
        self.last = getattr(dut, f"{prefix}_tlast", None)
        self.packets: Any = Queue()
        self.beats: list[int] = []  # of the packet not yet complete
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        from cocotb.triggers import FallingEdge, ReadOnly

        waiting = None
        while True:
            await FallingEdge(self.dut.clk_i)
            take = not self.hold and self.random.random() >= self.stall
            self.ready.value = int(take)
            await ReadOnly()
            if int(self.dut.rst_i.value):
                waiting = None
                continue
            beat = None
            if int(self.valid.value):
                beat = (int(self.data.value), 1 if self.last is None else int(self.last.value))
            assert waiting is None or beat == waiting, f"beat {waiting} was offered, then changed to {beat}"
            waiting = None if take else beat
            if take and beat is not None:
                self.beats.append(beat[0])
                if beat[1]:
                    self.packets.put_nowait(self.beats)
                    self.beats = []

    async def receive(self, timeout: int = 100_000) -> list[int]:
        """The next packet's beats; AssertionError when none comes within `timeout` cycles."""
        from cocotb.triggers import FallingEdge

        for _ in range(timeout):
            if not self.packets.empty():
                return list(self.packets.get_nowait())
            await FallingEdge(self.dut.clk_i)
        raise AssertionError(f"no packet within {timeout} cycles; {len(self.beats)} beats of one so far")


async def long_stall(dut: Any, sink: Sink, beats: int) -> None:
    """One stall longer than a whole vector of `beats`: where random stalls never get."""
    sink.hold = True
    await cycles(dut, 3 * beats + 50)
    sink.hold = False


class Uart:
    """The host's end of a UART, 8N1: `send` drives pin `rx`, what pin `tx` says collects in `received`."""

    def __init__(self, dut: Any, bit_ns: float, rx: str = "rx_i", tx: str = "tx_o") -> None:
        import cocotb

        self.rx, self.tx = getattr(dut, rx), getattr(dut, tx)
        self.bit_ps, self.received = round(bit_ns * 1000), bytearray()
        self.rx.value = 1
        cocotb.start_soon(self._listen())

    async def send(self, data: bytes, stop: int = 1) -> None:
        """Start bit, eight data bits, stop bit (0: a broken frame) for every byte."""
        from cocotb.triggers import Timer

        for byte in data:
            for bit in (0, *(byte >> n & 1 for n in range(8)), stop):
                self.rx.value = bit
                await Timer(self.bit_ps, "ps")
        self.rx.value = 1

    async def _listen(self) -> None:
        from cocotb.triggers import FallingEdge, Timer

        while True:
            await FallingEdge(self.tx)
            await Timer(self.bit_ps * 3 // 2, "ps")
            byte = 0
            for n in range(8):
                byte |= int(self.tx.value) << n
                await Timer(self.bit_ps, "ps")
            assert int(self.tx.value) == 1, "no stop bit"
            self.received.append(byte)


class Link:
    """Requests on the engine's stream ports and their answers, one at a time; `timeout`: cycles to wait for one."""

    def __init__(self, dut: Any, idle: float = 0.0, stall: float = 0.0, timeout: int = 100_000) -> None:
        self.source, self.sink, self.tag, self.timeout = Source(dut, idle=idle), Sink(dut, stall=stall), 0, timeout

    async def ask(self, packet: bytes) -> protocol.Answer:
        """The answer to one packet."""
        await self.source.send(packet)
        return protocol.answer(bytes(await self.sink.receive(self.timeout)))

    async def load(self, image: Image) -> None:
        """Load an image; every packet must be accepted."""
        for packet in protocol.load(image):
            assert (await self.ask(packet)).status == protocol.Status.OK

    async def reset(self) -> None:
        """Start of a trial."""
        assert (await self.ask(protocol.reset(1))).status == protocol.Status.OK

    async def counts(self, bin: int, row: Sequence[int], long: bool = False) -> protocol.Answer:
        """The answer to one bin in the fewest bits; `long`: request and answer each stop for longer than they are."""
        self.tag = (self.tag + 1) % 256
        values = [int(c) for c in row]
        packet = protocol.counts(self.tag, bin, values, protocol.count_bits(max(values)), brief=True)
        return await (self._interrupted(packet) if long else self.ask(packet))

    async def _interrupted(self, packet: bytes) -> protocol.Answer:
        """The answer to a packet that pauses in its middle; no beat of the answer is taken for a long time."""
        dut, half = self.source.dut, len(packet) // 2
        await self.source.send(packet[:half], last=False)
        await cycles(dut, 3 * len(packet) + 50)
        self.sink.hold = True
        await self.source.send(packet[half:])
        for _ in range(self.timeout):
            if int(self.sink.valid.value):
                break
            await cycles(dut, 1)
        await long_stall(dut, self.sink, protocol.MAX_PACKET)
        return protocol.answer(bytes(await self.sink.receive()))
