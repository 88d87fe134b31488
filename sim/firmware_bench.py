"""The firmware behind the engine's stream ports: every op of every bin, idle, stalls, and bins that are refused.

case: program, library (paths), bins. Recorded trials are the engine's own bench, model_bench.py.
"""

import cocotb
import numpy as np
from bench import Link, case, long_stall, start
from firmware_tap import FirmwareTap

from edgendt.compare import compare
from edgendt.engine import protocol
from edgendt.sim.shell import shell_image


def stimulus(program, seed, bins):
    """counts: [bins, channels], Poisson with some at the limit."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(1.5, (bins, program.channels))
    counts[rng.random(counts.shape) < 0.03] = program.input.hi
    return np.minimum(counts, program.input.hi).astype(np.int64)


async def begin(dut, idle=0.0, stall=0.0):
    """(program, tap, link with the network loaded)."""
    tap = FirmwareTap(case()["program"], case()["library"])
    program = tap.firmware.program
    await start(dut)
    link = Link(dut, idle, stall)
    await link.load(shell_image(program))
    return program, tap, link


async def trial(link, program, tap, counts):
    """Send a trial; returns every op's codes [rows, size], the output's as they were answered."""
    rows = []
    await link.reset()
    for bin, row in enumerate(counts):
        answer = await link.counts(bin, row)
        assert (answer.status, answer.bin) == (protocol.Status.OK, bin)
        rows.append(tap.codes() | {program.output: np.array(answer.outputs)})
    return {name: np.concatenate([np.atleast_2d(row[name]) for row in rows]) for name in rows[0]}


def demand(program, counts, got):
    """Raise the first Mismatch between a trial's trace and the Program's."""
    expected = program.trace(counts)
    tally = compare("hls4ml", {name: expected[name] for name in got}, got, program)
    assert tally.codes > 0
    if tally.first:
        raise tally.first


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.5], stall=[0.0, 0.5])
async def every_op_equals_the_program(dut, idle, stall):
    program, tap, link = await begin(dut, idle, stall)
    for seed in (1, 2):  # the second trial finds the first one's state and must not use it
        counts = stimulus(program, seed, case()["bins"])
        demand(program, counts, await trial(link, program, tap, counts))


@cocotb.test()
async def a_long_stall_loses_nothing(dut):
    program, _, link = await begin(dut)
    counts = stimulus(program, 3, 6)
    await link.reset()
    outputs = []
    for bin, row in enumerate(counts):
        cocotb.start_soon(long_stall(dut, link.sink, 2 * program.outputs + 16))
        outputs.append((await link.counts(bin, row)).outputs)
    demand(program, counts, {program.output: np.array(outputs)})


@cocotb.test()
async def wrong_and_surplus_bins_are_refused(dut):
    program, tap, link = await begin(dut)
    rows = program.max_bins
    counts = stimulus(program, 4, rows)
    await link.reset()
    assert (await link.counts(1, counts[0])).status == protocol.Status.WRONG_BIN
    outputs = [(await link.counts(bin, row)).outputs for bin, row in enumerate(counts)]
    assert (await link.counts(rows, counts[0])).status == protocol.Status.NO_BINS
    again = protocol.counts(link.tag, rows - 1, [int(c) for c in counts[-1]])
    status = (await link.ask(again)).status
    assert status in (protocol.Status.OK, protocol.Status.WRONG_BIN)
    demand(program, counts, {program.output: np.array(outputs)})
    demand(program, counts[:3], await trial(link, program, tap, counts[:3]))
