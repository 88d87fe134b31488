"""edt_lane, packed: every pair of 4-bit weights times every kind of activation, singly and summed, exactly.

Pairs come as weights and as words of the cache in turn, and the other input holds something else.
"""

import itertools

import cocotb
from bench import cycles
from cocotb.clock import Clock

from edgendt.engine.tiling import pair

WEIGHTS = range(-8, 8)
X = (-128, -127, -1, 0, 1, 2, 127, 128, 254, 255)
LATENCY = 3  # stationary operand -> accumulator


def signed(port):
    return port.value.to_signed()


@cocotb.test()
async def every_pair_is_exact(dut):
    cocotb.start_soon(Clock(dut.clk_i, 10, "ns").start())
    dut.next_paired_i.value = dut.paired2_i.value = dut.valid_i.value = dut.copy_i.value = 1
    dut.shift_i.value = dut.next_kv_i.value = 0
    await cycles(dut, 1)
    pipe, total = [None] * (LATENCY + 1), (0, 0)
    every = [*itertools.product(WEIGHTS, WEIGHTS, X), *pipe]
    for turn, one in enumerate(every):
        word, dut.x_i.value = (pair(*one[:2]) & 0x1FF, one[2] & 0x1FF) if one else (0, 0)
        ports = (dut.weight_i, dut.kv_i)
        ports[turn % 2].value, ports[(turn + 1) % 2].value = word, word ^ 0x1FF
        dut.next_kv_i.value = (turn + 1) % 2
        # Beats of three: the first starts the sums anew.
        dut.first_i.value = int((turn - 2) % 3 == 0)
        await cycles(dut, 1)
        pipe = [one, *pipe[:LATENCY]]
        done = pipe[LATENCY]  # its sum was copied by this edge
        if done is not None:
            low, high, x = done
            fresh = (turn - LATENCY) % 3 == 0
            total = (low * x + (0 if fresh else total[0]), high * x + (0 if fresh else total[1]))
            assert (signed(dut.low_o), signed(dut.high_o)) == total, done
