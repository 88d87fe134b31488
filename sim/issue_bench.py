"""edt_issue against a per-element reference: right elements, right order, none before its source, barrier or drain.

Sources grow, barriers rise and the drain frees itself at random, once after a stall longer than a whole pass. All other
tags are done, and behind the pass waits an instruction of other ones.
"""

import random

import cocotb
from bench import case, cycles
from cocotb.clock import Clock
from control import instruction

from edgendt.engine.layout import X_BITS

ADDRESS = 1 << 13
ALL_WORDS = (1 << 13 * 8) - 1  # of every tag's source


class Reference:
    """One pass."""

    def __init__(self, rng):
        self.length, self.tiles = rng.choice([1, 2, rng.randrange(1, 20)]), rng.choice([1, 1, rng.randrange(1, 5)])
        self.keys, self.key_tiles = rng.randrange(1, 20), rng.randrange(1, 5)
        self.source, self.barrier = rng.sample(range(8), 2)
        self.fields = {
            "op": 1,
            "red_keys": rng.randrange(2),
            "tiles_keys": rng.randrange(2),
            "src_use": rng.randrange(2),
            "src_tag": self.source,
            "bar_use": rng.randrange(2),
            "bar_tag": self.barrier,
            "bar_late": rng.randrange(2),
            "bar_begun": rng.randrange(2),
            "sbase": rng.randrange(1 << 10),
            "sstride": rng.randrange(64),
            "n_red": self.length,
            "n_tiles": self.tiles,
            "xstride": rng.randrange(1, 9),
            "aged": rng.randrange(2),
            "split": rng.randrange(2),
        }
        # A source's words are counted from 0 on: only passes without one lie far behind.
        self.xbase = rng.randrange(1 << 8) + (0 if self.fields["src_use"] else rng.choice([0, case()["far"]]))
        pipes, sfus = case()["pipes"], case()["sfus"]
        self.oldest = rng.randrange(-(-self.keys // sfus)) * sfus
        if self.fields["aged"]:
            self.fields |= {"red_keys": 1, "xstride": pipes // sfus << self.fields["split"]}

    def instruction(self):
        return instruction(**self.fields, xbase=self.xbase % (1 << X_BITS))

    def scoreboard(self, words, begun, done):
        """(count_i, begun_i, done_i): all is there but what is said of this pass's source and barrier."""
        own, barrier = 1 << self.source | 1 << self.barrier, 1 << self.barrier
        counts = (ALL_WORDS & ~(ADDRESS - 1 << 13 * self.source)) | words << 13 * self.source
        return counts, (0xFF & ~own) | begun * barrier, (0xFF & ~own) | done * barrier

    def elements(self):
        """(x, x as if in order, stat, first, last, elements from the tile's end)."""
        split = self.fields["split"]
        length = -(-self.keys >> split) if self.fields["red_keys"] else self.length
        tiles = self.key_tiles if self.fields["tiles_keys"] else self.tiles
        for tile in range(tiles):
            for k in range(length):
                key = (k + (self.oldest >> split)) % length if self.fields["aged"] else k
                x, order = (self.xbase + at * self.fields["xstride"] for at in (key, k))
                stat = self.fields["sbase"] + tile * self.fields["sstride"] + key
                yield x, order, stat, k == 0, k == length - 1, length - k


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.6])
async def issues_what_may_be_issued(dut, stall):
    rng, pipes = random.Random(case().get("seed", 1)), case()["pipes"]
    cocotb.start_soon(Clock(dut.clk_i, 10, "ns").start())
    for name in ("valid_i", "pend_i", "count_i", "begun_i", "done_i", "pc_i"):
        getattr(dut, name).value = 0
    dut.rst_i.value = 1
    await cycles(dut, 2)
    dut.rst_i.value = 0
    early = 0  # elements in front of a late barrier
    for turn in range(120):
        one = Reference(rng)
        todo = list(one.elements())
        words = 0  # words of the source that are readable; raised two cycles before they may be used
        begun, done, waited, pend = False, False, 0, False
        freeze = 200 if turn == 7 else 0  # longer than any pass
        dut.n_keys_i.value, dut.key_tiles_i.value, dut.oldest_i.value = one.keys, one.key_tiles, one.oldest
        await cycles(dut, 1)  # a bin's registers stand before its first instruction
        dut.ins_i.value, dut.xbase_i.value, dut.valid_i.value = one.instruction(), one.xbase, 1
        dut.count_i.value, dut.begun_i.value, dut.done_i.value = one.scoreboard(0, False, False)
        await cocotb.triggers.Timer(1, "ns")
        assert int(dut.take_o.value) == 1, "an idle unit takes at once"
        await cycles(dut, 1)
        dut.valid_i.value = 0
        dut.ins_i.value = Reference(rng).instruction()
        history = [(0, False)] * 3
        while todo:
            freeze -= freeze > 0
            if not freeze and rng.random() >= stall:
                words = min(words + rng.randrange(1, 9), ADDRESS - 1)
            begun = begun or (not freeze and rng.random() < 0.2)
            done = done or (begun and rng.random() < 0.1)
            barrier = done or (one.fields["bar_begun"] and begun)
            pend = rng.random() < stall
            dut.count_i.value, dut.begun_i.value, dut.done_i.value = one.scoreboard(words, begun, done)
            dut.pend_i.value = pend
            await cocotb.triggers.Timer(1, "ns")
            if int(dut.go_o.value):
                x, order, stat, first, last, left = todo.pop(0)
                got = tuple(int(port.value) for port in (dut.x_o, dut.stat_o, dut.first_o, dut.last_o))
                assert got == (x, stat, first, last)
                assert not (last and pend), "the drain is not free"
                assert not one.fields["src_use"] or order // pipes < history[-2][0], "the source is not written"
                end = left <= (case()["sfus"] >> one.fields["split"] if one.fields["aged"] else 1)
                held = one.fields["bar_use"] and (end or not one.fields["bar_late"])
                assert not held or history[-2][1], "the barrier is up"
                early += one.fields["bar_use"] and not history[-2][1]
                waited = 0
            else:
                waited += 1
            history = [*history[1:], (words, barrier)]
            assert waited < 400, "it hangs"
            await cycles(dut, 1)
        assert int(dut.idle_o.value) == 1
    assert early > 20, "a late barrier lets all but the last element pass"
