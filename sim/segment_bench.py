"""edt_segment: weights loaded, keys and values written, then passes with idle cycles between elements, and drain.

A packed segment takes words of two weights in some passes; a segment of several takes its own share of a reduction.
"""

import random

import cocotb
from bench import case, cycles
from cocotb.clock import Clock

from edgendt.engine.tiling import pair

ACC = 24


class Segment:
    """The bench's picture of the memories, and one method per port."""

    def __init__(self, dut):
        self.dut, self.lanes, self.pipes, self.index = dut, case()["lanes"], case()["pipes"], case()["index"]
        self.weights = [dict() for _ in range(self.lanes)]
        self.pairs = [dict() for _ in range(self.lanes)]
        self.kv = [dict() for _ in range(self.lanes)]

    async def start(self):
        cocotb.start_soon(Clock(self.dut.clk_i, 10, "ns").start())
        for name in (
            "go_i",
            "load_en_i",
            "row_en_i",
            "col_en_i",
            "shift_i",
            "low_i",
            "high_i",
            "grouped_i",
            "byte_i",
            "word_i",
        ):
            getattr(self.dut, name).value = 0
        self.dut.gshift_i.value = case()["gshift"]
        self.dut.rst_i.value = 1
        await cycles(self.dut, 3)
        self.dut.rst_i.value = 0
        await cycles(self.dut, 2)

    async def load(self, rng, depth):
        """Four lanes per word; words of other lanes pass by."""
        bits = (case()["depth"] - 1).bit_length()
        first = self.index * self.lanes
        for quad in range((first + self.lanes + 3) // 4 + 1):
            for address in range(depth):
                pairs = [(rng.randrange(-8, 8), rng.randrange(-8, 8)) for _ in range(4)]
                codes = [pair(*one) if case()["packed"] else rng.randrange(-128, 128) for one in pairs]
                self.dut.load_en_i.value, self.dut.load_addr_i.value = 1, quad << bits | address
                self.dut.load_data_i.value = sum((code & 0x1FF) << 9 * n for n, code in enumerate(codes))
                await cycles(self.dut, 1)
                for n, code in enumerate(codes):
                    if 0 <= quad * 4 + n - first < self.lanes:
                        self.weights[quad * 4 + n - first][address] = code
                        self.pairs[quad * 4 + n - first][address] = pairs[n]
        self.dut.load_en_i.value = 0

    async def row(self, rng, address):
        """One word of P bytes to each row of lanes."""
        first = self.index * self.lanes
        for row in range((first + self.lanes) // self.pipes + 1):
            codes = [rng.randrange(-128, 128) for _ in range(self.pipes)]
            self.dut.row_en_i.value, self.dut.row_i.value, self.dut.kvw_addr_i.value = 1, row, address
            self.dut.row_data_i.value = sum((code & 0xFF) << 8 * p for p, code in enumerate(codes))
            await cycles(self.dut, 1)
            for p, code in enumerate(codes):
                if 0 <= row * self.pipes + p - first < self.lanes:
                    self.kv[row * self.pipes + p - first][address] = code
        self.dut.row_en_i.value = 0

    async def column(self, rng, address, place, lane):
        """A byte per group; the one of this segment's group goes to one lane, if this is the segment meant."""
        codes = [rng.randrange(-128, 128) for _ in range(self.pipes)]
        self.dut.col_en_i.value, self.dut.col_seg_i.value, self.dut.col_lane_i.value = 1, place, lane
        self.dut.kvw_addr_i.value = address
        self.dut.col_data_i.value = sum((code & 0xFF) << 8 * p for p, code in enumerate(codes))
        await cycles(self.dut, 1)
        self.dut.col_en_i.value = 0
        if place == self.index % (1 << case()["gshift"]):
            self.kv[lane][address] = codes[self.index >> case()["gshift"]]

    async def tile(self, rng, length, idle, from_kv, grouped, signed, paired, split):
        """Issue a tile; returns what every lane must hold: (low, high), high as None when it means nothing."""
        dut, words = self.dut, []
        low, high = [0] * self.lanes, [0] * self.lanes if paired else None
        each, key_bytes = case()["segments"] >> split, self.pipes // case()["sfus"]
        share = self.index // each * (key_bytes if from_kv else 1)
        group = share | (self.index % each >> case()["gshift"] - split if grouped else 0)
        dut.grouped_i.value, dut.xsigned_i.value = grouped, signed
        dut.split_i.value = split
        sent = 0
        while sent < length or len(words) < 3:
            going = sent < length and rng.random() >= idle
            dut.go_i.value, dut.first_i.value, dut.last_i.value = going, sent == 0, sent == length - 1
            dut.kv_i.value = from_kv if going else not from_kv  # it belongs to the element alone, like pairs
            dut.paired_i.value = paired if going else not paired
            codes = [rng.randrange(256) for _ in range(self.pipes)]
            if going:
                pick = 0 if grouped or from_kv else rng.randrange(self.pipes) >> split << split
                dut.addr_i.value, dut.byte_i.value = sent, pick
                x = codes[pick | group]
                x -= 256 if signed and x > 127 else 0
                memory = self.kv if from_kv else self.weights
                if paired:
                    low = [total + x * self.pairs[lane][sent][0] for lane, total in enumerate(low)]
                    high = [total + x * self.pairs[lane][sent][1] for lane, total in enumerate(high)]
                else:
                    low = [total + x * memory[lane][sent] for lane, total in enumerate(low)]
                sent += 1
            words.append(sum(code << 8 * p for p, code in enumerate(codes)))
            dut.word_i.value = words[-3] if len(words) > 2 else 0  # a word follows its element by two cycles
            await cycles(dut, 1)
        dut.go_i.value = 0
        for late in (-2, -1):
            dut.word_i.value = words[late]
            await cycles(dut, 1)
        return low, high

    async def drained(self):
        """The drain registers (low, high), when the tile has gone through."""
        await cycles(self.dut, 6)
        return self.registers(self.dut.low_o), self.registers(self.dut.high_o)

    def registers(self, port):
        word = int(port.value)
        codes = [word >> ACC * lane & (1 << ACC) - 1 for lane in range(self.lanes)]
        return [code - (code >> ACC - 1 << ACC) for code in codes]


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.5])
async def tiles_of_weights_and_keys_equal_the_reference(dut, idle):
    rng = random.Random(case().get("seed", 1))
    segment = Segment(dut)
    await segment.start()
    await segment.load(rng, 24)
    for address in range(24):
        await segment.row(rng, address)
    for _ in range(60):
        place, lane = rng.randrange(1 << case()["gshift"]), rng.randrange(segment.lanes)
        await segment.column(rng, rng.randrange(24), place, lane)
    await cycles(dut, 3)
    for _ in range(60):
        from_kv, grouped, signed = (rng.random() < 0.5 for _ in range(3))
        paired = bool(case()["packed"]) and not from_kv and rng.random() < 0.7
        most = 1 if grouped and not from_kv else case()["splits"].bit_length()
        split = rng.randrange(min(most, case()["gshift"] + 1) if grouped else most)
        low, high = await segment.tile(rng, rng.randrange(1, 24), idle, from_kv, grouped, signed, paired, split)
        got = await segment.drained()
        assert got[0] == low and (high is None or got[1] == high)
    dut.shift_i.value, dut.low_i.value, dut.high_i.value = 1, 77, 78
    await cycles(dut, 1)
    dut.shift_i.value = 0
    low, high = await segment.drained()
    assert low[0] == 77 and high[0] == (78 if case()["packed"] else 0), "the drain registers are a chain"
