"""The engine, or the firmware's shell, at its stream ports: a loaded network, recorded trials, every op by its taps.

case: image, trials, trace (paths), pipes; optional idle, stall, timeout, and long: every so many bins the streams
stop for longer than a whole request and a whole answer; for the shell program and library (paths) instead of pipes.
Leaves in `trace`, per trial: events/<start> [n, 3] of the taps, answers [starts, outputs], cycles [starts].
edgendt/sim/rtl.py and edgendt/sim/shell.py start it and compare.
"""

import cocotb
import numpy as np
from bench import Link, case, start
from cocotb.triggers import RisingEdge
from firmware_tap import FirmwareTap

from edgendt.engine.image import Image
from edgendt.engine.protocol import Status

NARROW_BITS, SFU_BITS = 18, 8


class Tap:
    """Collects what the engine's write ports wrote: (instruction, word address * pipes + pipe, code)."""

    def __init__(self, dut, pipes):
        self.dut, self.pipes, self.events = dut, pipes, []
        cocotb.start_soon(self._run())

    async def _run(self):
        dut = self.dut
        while True:
            await RisingEdge(dut.clk_i)
            if dut.tap_narrow_o.value:
                every = (1 << self.pipes) - 1
                self._record(dut.tap_narrow_pc_o, dut.tap_narrow_addr_o, dut.tap_narrow_data_o, NARROW_BITS, every)
            written = int(dut.tap_sfu_o.value)
            if written:
                self._record(dut.tap_sfu_pc_o, dut.tap_sfu_addr_o, dut.tap_sfu_data_o, SFU_BITS, written)

    def _record(self, pc, address, data, bits, pipes):
        pc, base, word = int(pc.value), int(address.value) * self.pipes, int(data.value)
        for pipe in range(self.pipes):
            if pipes >> pipe & 1:
                code = word >> pipe * bits & ((1 << bits) - 1)
                self.events.append((pc, base + pipe, code - (code >> (bits - 1) << bits)))

    def take(self):
        """Events since the last call. [n, 3]"""
        events, self.events = np.array(self.events, np.int64).reshape(-1, 3), []
        return events


@cocotb.test()
async def recorded_trials_are_traced(dut):
    firmware = FirmwareTap(case()["program"], case()["library"]) if "library" in case() else None
    await start(dut)
    waits = {name: case()[name] for name in ("idle", "stall", "timeout") if name in case()}
    link, long = Link(dut, **waits), case().get("long", 0)
    await link.load(Image.load(case()["image"]))
    tap = firmware or Tap(dut, case()["pipes"])
    found = {}
    with np.load(case()["trials"]) as data:
        trials = {name: data[name] for name in data.files}
    for name, counts in trials.items():
        await link.reset()
        answers = []
        for bin, row in enumerate(counts):
            answers.append(await link.counts(bin, row, long and bin % long == 0))
            assert (answers[-1].status, answers[-1].bin) == (Status.OK, bin)
            found[f"{name}/events/{bin}"] = tap.take()
        found[f"{name}/answers"] = np.array([answer.outputs for answer in answers])
        found[f"{name}/cycles"] = np.array([answer.cycles for answer in answers])
    np.savez(case()["trace"], **found)
