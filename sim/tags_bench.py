"""edt_tags against eight Python counters, every port busy at random."""

import random

import cocotb
from bench import case, cycles
from cocotb.clock import Clock

TAGS = 8


@cocotb.test()
@cocotb.parametrize(busy=[0.1, 0.7])
async def equals_eight_counters(dut, busy):
    rng = random.Random(case().get("seed", 1))
    cocotb.start_soon(Clock(dut.clk_i, 10, "ns").start())
    for name in ("clear_mac_i", "clear_sfu_i", "word_mac_i", "word_sfu_i", "begin_i", "fin_i"):
        getattr(dut, name).value = 0
    dut.rst_i.value = 1
    await cycles(dut, 2)
    dut.rst_i.value = 0
    counts, begun, done = [0] * TAGS, [0] * TAGS, [0] * TAGS
    for _ in range(1500):
        free = list(range(TAGS))
        rng.shuffle(free)  # no two events of a cycle share a tag
        for unit in ("mac", "sfu"):
            for what in ("clear", "word"):
                active, tag = rng.random() < busy * (0.2 if what == "clear" else 1), free.pop()
                getattr(dut, f"{what}_{unit}_i").value = active
                getattr(dut, f"{what}_{unit}_tag_i").value = tag
                if what == "clear":
                    base = rng.randrange(1 << 13)
                    getattr(dut, f"clear_{unit}_base_i").value = base
                    if active:
                        counts[tag], begun[tag], done[tag] = base, 0, 0
                elif active:
                    counts[tag] = (counts[tag] + 1) % (1 << 13)
        finished = [tag for tag in free if rng.random() < busy]
        dut.fin_i.value = sum(1 << tag for tag in finished)
        started = [tag for tag in free if rng.random() < busy]
        dut.begin_i.value = sum(1 << tag for tag in started)
        for tag in finished:
            done[tag] = 1
        for tag in started:
            begun[tag] = 1
        await cycles(dut, 1)
        assert int(dut.count_o.value) == sum(count << 13 * tag for tag, count in enumerate(counts))
        assert int(dut.begun_o.value) == sum(bit << tag for tag, bit in enumerate(begun))
        assert int(dut.done_o.value) == sum(bit << tag for tag, bit in enumerate(done))
