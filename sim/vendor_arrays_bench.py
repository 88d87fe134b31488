"""RTL that a vendor's tool made of the plain firmware (ap_ctrl_hs), under the names of edgendt/sim/arrays.py: a call
for a bin or a window, behind a pause or at once, each input valid from some cycle on, garbage before and behind.

case: calls (path of a .json: words of the inputs of each call, hex), widths (bits of each input), answers (path of the
.json to write: of each call the result and which elements were valid, hex), timeout (cycles that a call may take).
"""

import json
import random
from pathlib import Path

import cocotb
from bench import case, start
from cocotb.triggers import FallingEdge, ReadOnly


class Block:
    """The caller's end of ap_ctrl_hs."""

    def __init__(self, dut, widths, timeout, seed=1):
        self.dut, self.widths, self.timeout, self.random = dut, widths, timeout, random.Random(seed)
        self.driven = {}

    async def cycle(self, start, words, valid):
        """One, to where its signals have settled. valid: of each word; another is all ones or none."""
        await FallingEdge(self.dut.clk_i)
        packed = low = 0
        for word, good, width in zip(words, valid, self.widths, strict=True):
            packed |= (word if good else word ^ ((1 << width) - 1)) << low
            low += width
        bits = sum(good << at for at, good in enumerate(valid))
        for name, value in (("start_i", int(start)), ("given_i", packed), ("valid_i", bits)):
            if self.driven.get(name) != value:
                getattr(self.dut, name).value = self.driven[name] = value
        await ReadOnly()

    async def pause(self, cycles):
        """Nothing is asked, and nothing happens."""
        for _ in range(cycles):
            await self.cycle(False, [0] * len(self.widths), [False] * len(self.widths))
            assert int(self.dut.idle_o.value), "ap_idle is low with no call"
            for name in ("done", "ready", "seen"):
                assert not int(getattr(self.dut, f"{name}_o").value), f"{name} with no call"

    async def call(self, words):
        """Result and what of it was valid. ap_start, and inputs that are valid, stand until ap_ready."""
        ready, valid = False, [False] * len(words)
        for _ in range(self.timeout):
            valid = [not ready and (good or self.random.random() < 0.4) for good in valid]
            await self.cycle(not ready, words, valid)
            if not ready and int(self.dut.ready_o.value):
                assert all(valid), "ap_ready before every input was valid"
                ready = True
            if int(self.dut.done_o.value):
                assert ready, "ap_done without ap_ready"
                assert not int(self.dut.idle_o.value), "ap_idle is high in a call"
                return int(self.dut.result_o.value), int(self.dut.seen_o.value)
        raise AssertionError(f"no ap_done within {self.timeout} cycles")


@cocotb.test()
async def every_call_is_done(dut):
    block = Block(dut, case()["widths"], case()["timeout"])
    dut.start_i.value = dut.given_i.value = dut.valid_i.value = 0
    await start(dut)
    answers = []
    for number, words in enumerate(json.loads(Path(case()["calls"]).read_text())):
        await block.pause(block.random.choice([0, 0, 1, 5]) if number else 5)
        answers.append([f"{part:x}" for part in await block.call([int(word, 16) for word in words])])
    await block.pause(20)
    Path(case()["answers"]).write_text(json.dumps(answers))
