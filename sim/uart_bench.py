"""UART bridge and link with the stand-in core = protocol.Unslip, Device, protocol.slip, whatever the wire brings."""

import random

import cocotb
from bench import Uart, case, cycles, start
from cocotb.triggers import Timer
from link_bench import device
from standin_core import image, session

from edgendt.engine import protocol
from edgendt.engine.protocol import Unslip, slip

BIT_NS = 80  # eight clocks of `bench.start`


async def converse(dut, uart: Uart, wire: list[bytes], outputs: int, wait: bool = False) -> None:
    """Send the pieces of `wire`; the packets in them, and no others, are answered as the reference answers them.

    wait: send a piece only when all before it are answered (long answers would overflow the bridge's FIFO).
    """
    reference, requests, expected = device(outputs), Unslip(), b""
    for number, piece in enumerate(wire):
        await uart.send(piece)
        expected += b"".join(slip(reference.packet(packet)) for packet in requests.feed(piece))
        for _ in range(len(expected)):
            if len(uart.received) >= len(expected) or not (wait or number == len(wire) - 1):
                break
            await Timer(20 * BIT_NS, "ns")
    await Timer(30 * BIT_NS, "ns")
    assert bytes(uart.received) == expected, f"expected {expected.hex()}, got {uart.received.hex()}"


async def fresh(dut, drift: float = 0.0) -> Uart:
    await start(dut)
    return Uart(dut, BIT_NS * (1 + drift))


@cocotb.test()
@cocotb.parametrize(drift=[-0.02, 0.0, 0.02])
async def answers_as_the_reference_does(dut, drift):
    """Also when the host's clock is 2 % off."""
    uart = await fresh(dut, drift)
    rng = random.Random(case().get("seed", 1))
    outputs, packets = session(rng, length=10)
    packets = [p for p in packets if len(p) < 600]
    await converse(dut, uart, [slip(p) for p in packets], outputs, wait=True)


@cocotb.test()
async def noise_and_lost_bytes_cost_only_the_packets_they_hit(dut):
    uart = await fresh(dut)
    rng = random.Random(case().get("seed", 1))
    wire = [slip(p) for p in protocol.load(image(3, 7, 3, 50))]
    for n in range(25):
        piece = bytearray(slip(protocol.counts(n, n, [rng.choice([0xC0, 0xDB, 1, 0]) for _ in range(7)])))
        what = rng.randrange(5)
        if what == 0:
            del piece[rng.randrange(len(piece))]
        elif what == 1:
            piece[rng.randrange(len(piece))] = rng.choice([0, 0xC0, 0xDB, 0xDC])
        elif what == 2:
            piece = bytearray(rng.randbytes(rng.randrange(1, 12))) + piece
        wire.append(bytes(piece))
    await converse(dut, uart, wire, 3)


@cocotb.test()
async def a_byte_without_stop_bit_and_a_spike_are_dropped(dut):
    uart = await fresh(dut)
    await uart.send(b"\xff", stop=0)
    await Timer(2 * BIT_NS, "ns")
    dut.rx_i.value = 0
    await Timer(BIT_NS // 4, "ns")
    dut.rx_i.value = 1
    await Timer(2 * BIT_NS, "ns")
    await converse(dut, uart, [slip(protocol.status(7))], 1)


@cocotb.test()
async def a_reset_in_mid_frame_is_survived(dut):
    uart = await fresh(dut)
    await uart.send(slip(protocol.status(1))[:5])
    dut.rst_i.value = 1
    await cycles(dut, 3)
    dut.rst_i.value = 0
    await converse(dut, uart, [slip(protocol.status(2)), slip(protocol.reset(3))], 1)
