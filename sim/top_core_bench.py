"""A UART board's top with the real core: a network loaded over its pins answers as the Program does, trial after trial.

case: image, trials (paths; counts [bins, channels] and expected outputs [bins, outputs] by `<trial>/counts, outputs`,
expected cycles [bins] by `<trial>/cycles`).
"""

from typing import Any

import cocotb
import numpy as np
from bench import Uart, case
from cocotb.clock import Clock
from cocotb.triggers import Timer
from top_bench import BIT_NS, CLOCK_NS

from edgendt.engine import protocol
from edgendt.engine.image import Image
from edgendt.engine.protocol import Status, Unslip, slip


async def ask(uart: Uart, packet: bytes) -> protocol.Answer:
    """The answer to one packet."""
    uart.received.clear()
    await uart.send(slip(packet))
    for _ in range(1000):
        answers = Unslip().feed(bytes(uart.received))
        if answers:
            return protocol.answer(answers[0])
        await Timer(10 * BIT_NS, "ns")
    raise AssertionError(f"no answer to {packet[:8].hex()}")


@cocotb.test()
async def a_board_answers_as_the_program_does(dut: Any) -> None:
    cocotb.start_soon(Clock(dut.osc_i, CLOCK_NS, "ns").start())
    dut.button_n_i.value = 1
    uart = Uart(dut, BIT_NS, rx="rx_i", tx="tx_o")
    await Timer(10 * CLOCK_NS, "ns")
    for packet in protocol.load(Image.load(case()["image"])):
        assert (await ask(uart, packet)).status is Status.OK
    with np.load(case()["trials"]) as data:
        trials = {name: data[name] for name in data.files}
    for trial in dict.fromkeys(name.partition("/")[0] for name in trials):
        assert (await ask(uart, protocol.reset(1))).status is Status.OK
        outputs, cycles = trials[f"{trial}/outputs"].tolist(), trials[f"{trial}/cycles"].tolist()
        for bin, row in enumerate(trials[f"{trial}/counts"].tolist()):
            answer = await ask(uart, protocol.counts(bin, bin, row))
            assert (answer.status, answer.bin, answer.cycles) == (Status.OK, bin, cycles[bin])
            assert list(answer.outputs) == outputs[bin], (trial, bin)
