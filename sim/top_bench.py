"""The ULX3S top with the stand-in core: answers over its pins, LEDs and reset button."""

import cocotb
from bench import Uart
from cocotb.clock import Clock
from cocotb.triggers import Timer
from link_bench import device
from standin_core import image

from edgendt.engine import protocol
from edgendt.engine.protocol import Unslip, slip

CLOCK_NS = 10
BIT_NS = 80


@cocotb.test()
async def a_board_loads_answers_and_resets(dut):
    cocotb.start_soon(Clock(dut.clk_25mhz, CLOCK_NS, "ns").start())
    dut.btn_pwr_n.value = 0
    uart = Uart(dut, BIT_NS, rx="ftdi_txd", tx="ftdi_rxd")
    await Timer(10 * CLOCK_NS, "ns")
    dut.btn_pwr_n.value = 1
    await Timer(10 * CLOCK_NS, "ns")
    assert int(dut.wifi_gpio0.value) == 1 and int(dut.led.value) == 0b1000_0000
    packets = [*protocol.load(image(3, 7, 3, 50)), protocol.counts(1, 0, [1] * 7), protocol.status(2)]
    reference = device(3)
    expected = [reference.packet(packet) for packet in packets]
    for packet in packets:
        await uart.send(slip(packet))
    await Timer(800 * BIT_NS, "ns")
    assert Unslip().feed(bytes(uart.received)) == expected
    assert int(dut.led.value) == 0b1000_0001, "the LED of a loaded network"
    dut.btn_pwr_n.value = 0
    await Timer(10 * CLOCK_NS, "ns")
    assert int(dut.led.value) & 0x81 == 0
    dut.btn_pwr_n.value = 1
    uart.received.clear()
    await Timer(10 * CLOCK_NS, "ns")
    await uart.send(slip(protocol.counts(1, 0, [1] * 7)))
    await Timer(400 * BIT_NS, "ns")
    answer = protocol.answer(Unslip().feed(bytes(uart.received))[0])
    assert answer.status is protocol.Status.NOT_READY
