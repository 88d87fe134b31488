"""A UART board's top with the stand-in core: answers over its pins, LEDs and reset button."""

import cocotb
from bench import Uart, case
from cocotb.clock import Clock
from cocotb.triggers import Timer
from link_bench import device
from standin_core import image

from edgendt.engine import protocol
from edgendt.engine.protocol import Unslip, slip

CLOCK_NS = 10
BIT_NS = 80


def leds(dut):
    """The LEDs that light, bit by bit: a low pin lights one when `low` says so."""
    return int(dut.led_o.value) ^ (0x1FF if case().get("low") else 0)


@cocotb.test()
async def a_board_loads_answers_and_resets(dut):
    cocotb.start_soon(Clock(dut.osc_i, CLOCK_NS, "ns").start())
    dut.button_n_i.value = 0
    uart = Uart(dut, BIT_NS)
    await Timer(10 * CLOCK_NS, "ns")
    dut.button_n_i.value = 1
    await Timer(10 * CLOCK_NS, "ns")
    assert leds(dut) == 0b1_1000_0000
    packets = [*protocol.load(image(3, 7, 3, 50)), protocol.counts(1, 0, [1] * 7), protocol.status(2)]
    reference = device(3)
    expected = [reference.packet(packet) for packet in packets]
    for packet in packets:
        await uart.send(slip(packet))
    await Timer(800 * BIT_NS, "ns")
    assert Unslip().feed(bytes(uart.received)) == expected
    assert leds(dut) == 0b1_1000_0001, "the LED of a loaded network"
    dut.button_n_i.value = 0
    await Timer(10 * CLOCK_NS, "ns")
    assert leds(dut) == 0b1_0000_0000
    dut.button_n_i.value = 1
    uart.received.clear()
    await Timer(10 * CLOCK_NS, "ns")
    await uart.send(slip(protocol.counts(1, 0, [1] * 7)))
    await Timer(400 * BIT_NS, "ns")
    answer = protocol.answer(Unslip().feed(bytes(uart.received))[0])
    assert answer.status is protocol.Status.NOT_READY
