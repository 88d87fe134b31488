"""edt_crc32 = zlib.crc32 after every byte, with idle cycles anywhere."""

import random
import zlib

import cocotb
from bench import case, cycles
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge


async def clear(dut):
    dut.clear_i.value, dut.en_i.value, dut.data_i.value = 1, 0, 0
    await cycles(dut, 1)
    dut.clear_i.value = 0


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.5])
async def equals_zlib_after_every_byte(dut, idle):
    rng = random.Random(case().get("seed", 1))
    cocotb.start_soon(Clock(dut.clk_i, 10, "ns").start())
    await FallingEdge(dut.clk_i)
    for length in (1, 2, 64, 300):
        message = bytes(rng.choice([0, 255, rng.randrange(256)]) for _ in range(length))
        message += zlib.crc32(message).to_bytes(4, "little")
        await clear(dut)
        for n, byte in enumerate(message):
            while rng.random() < idle:
                dut.en_i.value, dut.data_i.value = 0, rng.randrange(256)
                await cycles(dut, 1)
            dut.en_i.value, dut.data_i.value = 1, byte
            await cycles(dut, 1)
            assert int(dut.crc_o.value) == zlib.crc32(message[: n + 1])
            assert int(dut.match_o.value) == (n == len(message) - 1)
