"""edt_link with the stand-in core = edgendt.engine.device.Device, byte for byte, for right and wrong packets alike."""

import random
from collections.abc import Iterable

import cocotb
from bench import Sink, Source, case, cycles, long_stall, start
from standin_core import PARAMETERS, StandIn, broken_loads, image, odd_packets, session

from edgendt.engine import protocol
from edgendt.engine.device import Device
from edgendt.engine.image import engine_id


def device(outputs: int) -> Device:
    core = StandIn()
    core.outputs = outputs
    return Device(engine_id(PARAMETERS), core)


async def check(sink: Sink, reference: Device, packets: Iterable[bytes]) -> None:
    """Every packet is answered, in order, exactly as the reference answers it."""
    for number, packet in enumerate(packets):
        got, expected = bytes(await sink.receive()), reference.packet(packet)
        what = f"packet {number} ({packet[:12].hex()}...)"
        assert got == expected, f"{what}: expected {expected.hex()[:60]}, got {got.hex()[:60]}"


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.6], stall=[0.0, 0.6])
async def answers_as_the_reference_does(dut, idle, stall):
    rng = random.Random(case().get("seed", 1) + int(10 * idle + 100 * stall))
    await start(dut)
    source, sink = Source(dut, idle=idle, seed=rng.randrange(9999)), Sink(dut, stall=stall, seed=rng.randrange(9999))
    for sizes in ((13, 256), None):  # every count is seen, and no format fills its last byte; then random
        dut.rst_i.value = 1
        await cycles(dut, 2)
        dut.rst_i.value = 0
        outputs, packets = session(rng, sizes)
        sender = cocotb.start_soon(send(source, packets))
        await check(sink, device(outputs), packets)
        await sender


async def send(source, packets):
    for packet in packets:
        await source.send(packet)


@cocotb.test()
async def a_broken_load_never_answers(dut):
    rng = random.Random(case().get("seed", 1))
    await start(dut)
    source, sink = Source(dut), Sink(dut)
    outputs, packets = broken_loads(rng)
    cocotb.start_soon(send(source, packets))
    await check(sink, device(outputs), packets)


@cocotb.test()
async def odd_packets_are_refused(dut):
    await start(dut)
    source, sink = Source(dut), Sink(dut)
    outputs, packets = odd_packets()
    cocotb.start_soon(send(source, packets))
    await check(sink, device(outputs), packets)


@cocotb.test()
async def a_host_that_stops_reading_loses_nothing(dut):
    """One stall longer than a whole answer while the next packets are sent."""
    await start(dut)
    source, sink = Source(dut), Sink(dut)
    one = image(3, 7, 200, 50)
    packets = [*protocol.load(one), *(protocol.counts(n, n, [n] * 7) for n in range(9))]
    cocotb.start_soon(send(source, packets))
    reference = device(200)
    for number, packet in enumerate(packets):
        if number in (len(packets) - 6, len(packets) - 3):
            await long_stall(dut, sink, 16 + 400)
        await check(sink, reference, [packet])


@cocotb.test()
async def a_reset_in_mid_packet_leaves_an_empty_engine(dut):
    await start(dut)
    source, sink = Source(dut), Sink(dut)
    one = image(4, 7, 2, 50)
    packets = list(protocol.load(one))
    sender = cocotb.start_soon(send(source, packets))
    await check(sink, device(2), packets)
    await sender
    await source.send(packets[1][:9], last=False)
    dut.rst_i.value = 1
    await cycles(dut, 2)
    dut.rst_i.value = 0
    after = [protocol.counts(1, 0, [0] * 7), protocol.status(2)]
    cocotb.start_soon(send(source, after))
    await check(sink, device(2), after)
