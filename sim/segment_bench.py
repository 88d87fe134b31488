"""edt_segment: weights loaded, keys and values written, then passes with idle cycles between elements, and drain."""

import random

import cocotb
from bench import case, cycles
from cocotb.clock import Clock

ACC = 24


class Segment:
    """The bench's picture of the memories, and one method per port."""

    def __init__(self, dut):
        self.dut, self.lanes, self.pipes, self.index = dut, case()["lanes"], case()["pipes"], case()["index"]
        self.weights = [dict() for _ in range(self.lanes)]
        self.kv = [dict() for _ in range(self.lanes)]

    async def start(self):
        cocotb.start_soon(Clock(self.dut.clk_i, 10, "ns").start())
        for name in (
            "go_i",
            "load_en_i",
            "row_en_i",
            "col_en_i",
            "shift_i",
            "shift_in_i",
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
                codes = [rng.randrange(-128, 128) for _ in range(4)]
                self.dut.load_en_i.value, self.dut.load_addr_i.value = 1, quad << bits | address
                self.dut.load_data_i.value = sum((code & 0x1FF) << 9 * n for n, code in enumerate(codes))
                await cycles(self.dut, 1)
                for n, code in enumerate(codes):
                    if 0 <= quad * 4 + n - first < self.lanes:
                        self.weights[quad * 4 + n - first][address] = code
        self.dut.load_en_i.value = 0

    async def row(self, rng, address):
        """One word of P bytes to each row of lanes."""
        first = self.index * self.lanes
        for row in range((first + self.lanes) // self.pipes + 1):
            codes = [rng.randrange(-128, 128) for _ in range(self.pipes)]
            self.dut.row_en_i.value, self.dut.row_i.value, self.dut.kvw_addr_i.value = 1, row, address
            self.dut.kvw_data_i.value = sum((code & 0xFF) << 8 * p for p, code in enumerate(codes))
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
        self.dut.kvw_data_i.value = sum((code & 0xFF) << 8 * p for p, code in enumerate(codes))
        await cycles(self.dut, 1)
        self.dut.col_en_i.value = 0
        if place == self.index % (1 << case()["gshift"]):
            self.kv[lane][address] = codes[self.index >> case()["gshift"]]

    async def tile(self, rng, length, idle, from_kv, grouped, signed):
        """Issue a tile; returns what every lane must hold."""
        dut, expected, words = self.dut, [0] * self.lanes, []
        group = self.index >> case()["gshift"] if grouped else 0
        dut.kv_i.value, dut.grouped_i.value, dut.xsigned_i.value = from_kv, grouped, signed
        sent = 0
        while sent < length or len(words) < 3:
            going = sent < length and rng.random() >= idle
            dut.go_i.value, dut.first_i.value, dut.last_i.value = going, sent == 0, sent == length - 1
            codes = [rng.randrange(256) for _ in range(self.pipes)]
            if going:
                pick = 0 if grouped else rng.randrange(self.pipes)
                dut.addr_i.value, dut.byte_i.value = sent, pick
                x = codes[pick | group]
                x -= 256 if signed and x > 127 else 0
                memory = self.kv if from_kv else self.weights
                expected = [total + x * memory[lane][sent] for lane, total in enumerate(expected)]
                sent += 1
            words.append(sum(code << 8 * p for p, code in enumerate(codes)))
            dut.word_i.value = words[-3] if len(words) > 2 else 0  # a word follows its element by two cycles
            await cycles(dut, 1)
        dut.go_i.value = 0
        for late in (-2, -1):
            dut.word_i.value = words[late]
            await cycles(dut, 1)
        return expected

    async def drained(self):
        """The drain registers, when the tile has gone through."""
        await cycles(self.dut, 6)
        word = int(self.dut.drain_o.value)
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
        expected = await segment.tile(rng, rng.randrange(1, 24), idle, from_kv, grouped, signed)
        assert await segment.drained() == expected
    dut.shift_i.value, dut.shift_in_i.value = 1, 77
    await cycles(dut, 1)
    dut.shift_i.value = 0
    assert (await segment.drained())[0] == 77, "the drain registers are a chain"
