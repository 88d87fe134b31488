"""edt_recip: sums of exponentials of several groups, beats with idle cycles between, then every group's reciprocal."""

import random

import cocotb
from bench import case, cycles
from cocotb.clock import Clock

from edgendt.ops.attention import RECIP


def reference(total):
    """(length, reciprocal) of a denominator."""
    length = total.bit_length()
    index = total >> length - 10 if length >= 10 else total << 10 - length
    return length, int(RECIP[index]) if total else 0


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.5])
async def equals_the_reference(dut, idle):
    rng, sfus = random.Random(case().get("seed", 1)), case()["sfus"]
    cocotb.start_soon(Clock(dut.clk_i, 10, "ns").start())
    for name in ("clear_i", "valid_i", "fin_i", "table_i", "recip_group_i", "length_group_i"):
        getattr(dut, name).value = 0
    dut.rst_i.value = 1
    await cycles(dut, 2)
    dut.rst_i.value = 0
    for _ in range(60):
        groups, keys = rng.choice([1, 2, 4, 8]), rng.choice([1, 2, rng.randrange(1, 257), 256])
        top = rng.choice([1, 255, 255])
        exps = [[rng.choice([0, top, rng.randrange(top + 1)]) for _ in range(keys)] for _ in range(groups)]
        dut.groups_i.value, dut.clear_i.value = groups, 1
        await cycles(dut, 1)
        dut.clear_i.value = 0
        beats = [(key, group) for key in range(0, keys, sfus) for group in range(groups)]
        for key, group in beats:
            while rng.random() < idle:
                dut.valid_i.value = 0
                await cycles(dut, 1)
            part = exps[group][key : key + sfus]
            junk = [rng.randrange(256) for _ in range(sfus - len(part))]
            dut.valid_i.value, dut.group_i.value, dut.keys_i.value = 1, group, (1 << len(part)) - 1
            dut.exps_i.value = sum(e << 8 * n for n, e in enumerate(part + junk))
            dut.fin_i.value = (key, group) == beats[-1]
            await cycles(dut, 1)
        dut.valid_i.value = 0
        index = []
        for wait in range(9 + groups):
            index.append(int(dut.index_o.value))
            dut.table_i.value = int(RECIP[index[-3]]) if len(index) >= 3 else 0
            assert int(dut.ok_o.value) == (wait > groups), "early enough, never too early"
            await cycles(dut, 1)
        for group in range(groups):
            dut.recip_group_i.value = dut.length_group_i.value = group
            await cycles(dut, 1)
            length, recip = reference(sum(exps[group]))
            assert int(dut.recip_o.value) == recip
            assert int(dut.length_o.value) == length or recip == 0
