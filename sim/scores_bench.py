"""edt_scores: words of scores for several groups, idle cycles between; maxima over keys that count, and the memory."""

import random

import cocotb
from bench import case, cycles
from cocotb.clock import Clock

ACC = 24


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.5])
async def maxima_and_memory_equal_the_reference(dut, idle):
    rng, pipes = random.Random(case().get("seed", 1)), case()["pipes"]
    cocotb.start_soon(Clock(dut.clk_i, 10, "ns").start())
    dut.step_i.value = dut.start_i.value = dut.raddr_i.value = dut.max_group_i.value = 0
    await cycles(dut, 2)
    for _ in range(60):
        groups, words = rng.choice([1, 2, 4]), rng.randrange(1, 9)
        first = rng.choice([0, rng.randrange(words * pipes)])
        stop = rng.randrange(first, words * pipes) + 1
        scores = [[score(rng) for _ in range(words * pipes)] for _ in range(groups)]
        dut.first_i.value, dut.stop_i.value, dut.start_i.value = first, stop, 1
        await cycles(dut, 1)
        dut.start_i.value = 0
        order = [(group, word) for word in range(words) for group in range(groups)]
        acc = 0
        for at, (group, word) in enumerate(order):
            while rng.random() < idle:
                dut.step_i.value, dut.acc_i.value = 0, acc
                acc = rng.getrandbits(ACC * pipes)
                await cycles(dut, 1)
            dut.step_i.value, dut.group_i.value, dut.word_i.value, dut.waddr_i.value = 1, group, word, at
            dut.acc_i.value = acc  # the accumulators follow their step by one cycle
            acc = pack(scores[group][word * pipes : (word + 1) * pipes])
            await cycles(dut, 1)
        dut.step_i.value, dut.acc_i.value = 0, acc
        await cycles(dut, 5 + (pipes - 1).bit_length())
        for group in range(groups):
            dut.max_group_i.value = group
            await cycles(dut, 1)
            assert dut.max_o.value.to_signed() == max(scores[group][first:stop])
        at = rng.randrange(len(order))
        dut.raddr_i.value = at
        await cycles(dut, 2)
        group, word = order[at]
        assert int(dut.rdata_o.value) == pack(scores[group][word * pipes : (word + 1) * pipes])


def score(rng):
    return rng.choice([-(1 << 23), (1 << 23) - 1, rng.randrange(-99, 99), rng.randrange(-(1 << 22), 1 << 22)])


def pack(codes):
    return sum((code & (1 << ACC) - 1) << ACC * p for p, code in enumerate(codes))
