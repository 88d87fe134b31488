"""edt_kcol: a key written as a row, idle cycles between its words, comes out as a column, a byte per group.

With rotary position a row may come in bytes: some of a word at a time.
"""

import random

import cocotb
from bench import case, cycles
from cocotb.clock import Clock
from control import configuration


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.6])
async def rows_become_columns(dut, idle):
    rng, pipes, rotary = random.Random(case().get("seed", 1)), case()["pipes"], case()["rotary"]
    cocotb.start_soon(Clock(dut.clk_i, 10, "ns").start())
    dut.we_i.value = dut.start_i.value = 0
    dut.rst_i.value = 1
    await cycles(dut, 2)
    dut.rst_i.value = 0
    for turn in range(50):
        groups = rng.choice([g for g in (1, 2, 4) if g <= pipes])
        sets, width, base = rng.randrange(1, 4), rng.randrange(1, 9), rng.randrange(1 << 12)
        if turn == 0 and case().get("widest"):
            groups, sets, width = 1, 1, case()["widest"]
        heads, stride, offset = groups * sets, rng.randrange(1 << 8), rng.randrange(1 << 6)
        dut.cfg_i.value = configuration(groups=groups, head_dim=width, head_sets=sets, heads=heads, set_stride=stride)
        dut.tile_off_i.value, dut.base_i.value, dut.tag_i.value = offset, base, turn % 8
        codes = [rng.randrange(256) for _ in range(heads * width)]
        words = -(-len(codes) // pipes)
        for word in range(words):
            while rng.random() < idle:
                dut.we_i.value = 0
                await cycles(dut, 1)
            part = codes[word * pipes : (word + 1) * pipes]
            bytewise = rotary and rng.random() < 0.7
            for mask in [1 << p for p in range(len(part))] if bytewise else [(1 << pipes * rotary) - 1 or 1]:
                others = sum(rng.randrange(256) << 8 * p for p in range(pipes) if rotary and not mask >> p & 1)
                kept = sum(code << 8 * p for p, code in enumerate(part) if not rotary or mask >> p & 1)
                dut.we_i.value, dut.waddr_i.value, dut.wdata_i.value = mask, word, kept | others
                dut.start_i.value = word == words - 1 and (not bytewise or mask == 1 << len(part) - 1)
                await cycles(dut, 1)
        dut.we_i.value = dut.start_i.value = 0
        columns, begun, done = [], [], 0
        for wait in range(sets * width + 5):
            assert int(dut.idle_o.value) == (wait >= sets * width + 3)
            if int(dut.en_o.value):
                data = int(dut.data_o.value)
                columns.append((int(dut.addr_o.value), [data >> 8 * g & 0xFF for g in range(groups)]))
            if int(dut.begun_o.value):
                begun.append(wait)
            if int(dut.done_o.value):
                done += 1
                assert wait == sets * width + 1 and int(dut.tag_o.value) == turn % 8
            await cycles(dut, 1)
        expected = [
            (base + offset + head_set * stride + i, [codes[i * heads + head_set * groups + g] for g in range(groups)])
            for head_set in range(sets)
            for i in range(width)
        ]
        assert columns == expected and done == 1 and begun == [1]
