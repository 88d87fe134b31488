"""edt_chain between registers that the bench keeps: words leave in flat order, summed over the groups of their split.

Shifts come with idle cycles between; the next tile may be of another split, as behind the engine's double buffer.
"""

import random

import cocotb
from bench import case, cycles
from cocotb.clock import Clock

ACC = 24


def packed_word(codes):
    return sum((code & (1 << ACC) - 1) << ACC * n for n, code in enumerate(codes))


def unpacked(port, count):
    word = int(port.value)
    return [word >> ACC * n & (1 << ACC) - 1 for n in range(count)]


def flat(low, high, split, words, pipes, paired):
    """Words in the order they must leave: per group low ones, then high ones, added over the groups. [words][pipes]"""
    part = words >> split
    total = [[0] * pipes for _ in range(part * (1 + paired))]
    for group in range(1 << split):
        for half, codes in enumerate((low, high)[: 1 + paired]):
            for word in range(part):
                for p in range(pipes):
                    total[half * part + word][p] += codes[(group * part + word) * pipes + p]
    return [[code & (1 << ACC) - 1 for code in word] for word in total]


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.4])
async def words_leave_in_flat_order_summed_over_the_groups(dut, idle):
    rng, words, pipes = random.Random(3), case()["words"], case()["pipes"]
    stages = max(0, case()["splits"].bit_length() - 2)
    cocotb.start_soon(Clock(dut.clk_i, 10, "ns").start())
    await cycles(dut, 1)
    seen, wanted = [], []
    for _ in range(60):
        split, paired = rng.randrange(case()["splits"].bit_length()), rng.randrange(case()["packed"] + 1)
        low, high = ([rng.randrange(-(1 << 20), 1 << 20) for _ in range(words * pipes)] for _ in range(2))
        dut.head_split_i.value = split
        dut.chain_split_i.value = sum(split << 2 * word for word in range(words))
        left = flat(low, high, split, words, pipes, paired)
        while left:
            shift = rng.random() >= idle
            dut.low_i.value, dut.high_i.value = packed_word(low), packed_word(high)
            await cocotb.triggers.Timer(1, "ns")
            if shift:
                wanted.append((len(seen) + stages, left.pop(0)))
                low, high = unpacked(dut.low_o, words * pipes), unpacked(dut.high_o, words * pipes)
            seen.append(unpacked(dut.head_o, pipes))
            await cycles(dut, 1)
    for _ in range(stages):
        await cocotb.triggers.Timer(1, "ns")
        seen.append(unpacked(dut.head_o, pipes))
        await cycles(dut, 1)
    for at, word in wanted:
        assert seen[at] == word, f"cycle {at}"
