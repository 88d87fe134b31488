"""edt_issue against a per-element reference: right elements, right order, none before its source, barrier or drain.

Sources grow, barriers rise and the drain frees itself at random, once after a stall longer than a whole pass.
"""

import random

import cocotb
from bench import case, cycles
from cocotb.clock import Clock
from control import instruction

ADDRESS = 1 << 13


class Reference:
    """Elements of one pass: (x, stat, first, last)."""

    def __init__(self, rng):
        self.length, self.tiles = rng.choice([1, 2, rng.randrange(1, 20)]), rng.choice([1, 1, rng.randrange(1, 5)])
        self.keys, self.key_tiles = rng.randrange(1, 20), rng.randrange(1, 5)
        self.fields = {
            "op": 1,
            "red_keys": rng.randrange(2),
            "tiles_keys": rng.randrange(2),
            "src_use": rng.randrange(2),
            "src_tag": 3,
            "bar_use": rng.randrange(2),
            "bar_tag": 5,
            "bar_late": rng.randrange(2),
            "sbase": rng.randrange(1 << 10),
            "sstride": rng.randrange(64),
            "n_red": self.length,
            "n_tiles": self.tiles,
            "xbase": rng.randrange(1 << 8),
            "xstride": rng.randrange(1, 9),
        }

    def elements(self):
        length = self.keys if self.fields["red_keys"] else self.length
        tiles = self.key_tiles if self.fields["tiles_keys"] else self.tiles
        for tile in range(tiles):
            for k in range(length):
                x = self.fields["xbase"] + k * self.fields["xstride"]
                stat = self.fields["sbase"] + tile * self.fields["sstride"] + k
                yield x, stat, k == 0, k == length - 1, tile == tiles - 1 and k == length - 1


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.6])
async def issues_what_may_be_issued(dut, stall):
    rng, pipes = random.Random(case().get("seed", 1)), case()["pipes"]
    cocotb.start_soon(Clock(dut.clk_i, 10, "ns").start())
    dut.valid_i.value = dut.pend_i.value = dut.count_i.value = dut.done_i.value = dut.pc_i.value = 0
    dut.rst_i.value = 1
    await cycles(dut, 2)
    dut.rst_i.value = 0
    early = 0  # elements in front of a late barrier
    for turn in range(120):
        one = Reference(rng)
        todo = list(one.elements())
        words = 0  # words of the source that are readable; raised two cycles before they may be used
        barrier, waited, pend = False, 0, False
        freeze = 200 if turn == 7 else 0  # longer than any pass
        dut.ins_i.value, dut.valid_i.value = instruction(**one.fields), 1
        dut.n_keys_i.value, dut.key_tiles_i.value = one.keys, one.key_tiles
        dut.count_i.value = dut.done_i.value = 0
        await cocotb.triggers.Timer(1, "ns")
        assert int(dut.take_o.value) == 1, "an idle unit takes at once"
        await cycles(dut, 1)
        dut.valid_i.value = 0
        history = [(0, False)] * 3
        while todo:
            freeze -= freeze > 0
            if not freeze and rng.random() >= stall:
                words = min(words + rng.randrange(1, 9), ADDRESS - 1)
            barrier = barrier or (not freeze and rng.random() < 0.2)
            pend = rng.random() < stall
            dut.count_i.value, dut.pend_i.value = words << 13 * 3, pend
            dut.done_i.value = barrier << 5
            await cocotb.triggers.Timer(1, "ns")
            if int(dut.go_o.value):
                x, stat, first, last, _ = todo.pop(0)
                got = tuple(int(port.value) for port in (dut.x_o, dut.stat_o, dut.first_o, dut.last_o))
                assert got == (x, stat, first, last)
                assert not (last and pend), "the drain is not free"
                assert not one.fields["src_use"] or x // pipes < history[-2][0], "the source is not written"
                held = one.fields["bar_use"] and (last or not one.fields["bar_late"])
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
