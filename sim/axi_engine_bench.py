"""edt_axi_engine with the stand-in core: its streams are the engine's, its registers say what went past."""

import itertools
import logging
import random

import cocotb
from bench import Sink, Source, cycles, start
from cocotb.triggers import FallingEdge, ReadOnly
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp
from link_bench import check, device, send
from standin_core import PARAMETERS, image, session

from edgendt.engine import protocol
from edgendt.engine.image import engine_id
from edgendt.engine.protocol import Kind, Status
from edgendt.engine.registers import BYTES, MAGIC, MAP_VERSION, Register


class Registers:
    """A host's view of the registers; each channel pauses with chance `stall`."""

    def __init__(self, dut, stall=0.0, seed=1):
        logging.getLogger("cocotb.edt_axi_engine").setLevel(logging.WARNING)  # the master tells of every access
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.clk_i, dut.rst_i)
        rng = random.Random(seed)
        write, read = self.master.write_if, self.master.read_if
        for channel in (write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel):
            channel.set_pause_generator(rng.random() < stall for _ in itertools.count())

    async def read(self, at):
        """The word at a byte address, whose answer must be OKAY."""
        answer = await self.master.read(at, 4)
        assert answer.resp == AxiResp.OKAY, f"register {at:#x}: {answer.resp!r}"
        return int.from_bytes(answer.data, "little")

    async def write(self, at, data):
        """The response to a write of these bytes."""
        return (await self.master.write(at, data)).resp


async def begin(dut, stall=0.0):
    await start(dut)
    return Registers(dut, stall)


async def tally(registers, packets, reference):
    """The registers behind these packets are those of the reference's answers."""
    answers = [reference.packet(packet) for packet in packets]
    statuses = [Status(answer[2] & ~protocol.BRIEF_ANSWER) for answer in answers]
    counts = [kind for (kind, *_), status in zip(answers, statuses, strict=True) if status == Status.OK]
    brief = answers[-1][2] & protocol.BRIEF_ANSWER
    bad = statuses.count(Status.BAD_FRAME)
    expected = {
        Register.MAGIC: MAGIC,
        Register.VERSION: MAP_VERSION,
        Register.ENGINE_ID: engine_id(PARAMETERS),
        Register.CONTROL: 0,
        Register.STATUS: 1 if brief else answers[-1][3] & 1,
        Register.ANSWERS: len(answers),
        Register.BINS: counts.count(Kind.COUNTS | protocol.ANSWER),
        Register.CYCLES: int.from_bytes(answers[-1][5:9] if brief else answers[-1][8:12], "little"),
        Register.BAD_FRAMES: bad,
        Register.REFUSED: len(answers) - bad - statuses.count(Status.OK),
    }
    assert {register: await registers.read(register) for register in expected} == expected


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.5], stall=[0.0, 0.5])
async def registers_say_what_the_answers_said(dut, idle, stall):
    rng = random.Random(int(10 * idle + 100 * stall))
    registers = await begin(dut, stall)
    source, sink = Source(dut, idle=idle), Sink(dut, stall=stall)
    for brief in (False, True):
        dut.rst_i.value = 1
        await cycles(dut, 3)
        dut.rst_i.value = 0
        outputs, packets = session(rng)
        if brief:  # the last answer is the one that the registers still show
            reference = device(outputs)
            ends = [at for at, one in enumerate(packets) if reference.packet(one)[2] & protocol.BRIEF_ANSWER]
            packets = packets[: ends[-1] + 1]
        sender = cocotb.start_soon(send(source, packets))
        checker = cocotb.start_soon(check(sink, device(outputs), packets))
        while not checker.done():  # whatever is read meanwhile disturbs nothing
            await registers.read(rng.choice(list(Register)))
            await cycles(dut, rng.randrange(40))
        await checker
        await sender
        await tally(registers, packets, device(outputs))


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.6])
async def nothing_else_is_there(dut, stall):
    registers = await begin(dut, stall)
    for at in [*range(Register.CLOCK + 4, 0x100, 4), BYTES // 2, BYTES - 4]:
        assert (await registers.master.read(at, 4)).resp == AxiResp.SLVERR
        assert await registers.write(at, b"\xff\xff\xff\xff") == AxiResp.SLVERR
    for register in set(Register) - {Register.CONTROL}:
        assert await registers.write(register, b"\xff\xff\xff\xff") == AxiResp.SLVERR
    assert await registers.read(Register.CONTROL) == await registers.read(Register.STATUS) == 0


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.6])
async def requests_in_flight_are_answered_in_order(dut, stall):
    registers = await begin(dut, stall)
    expected = {Register.MAGIC: MAGIC, Register.ENGINE_ID: engine_id(PARAMETERS), Register.VERSION: MAP_VERSION}
    reads = [(register, cocotb.start_soon(registers.read(register))) for register in [*expected] * 4]
    writes = [(at, cocotb.start_soon(registers.write(at, bytes(4)))) for at in [Register.CONTROL, Register.CLOCK] * 4]
    for register, answer in reads:
        assert await answer == expected[register]
    for at, answer in writes:
        assert await answer == (AxiResp.OKAY if at == Register.CONTROL else AxiResp.SLVERR)


@cocotb.test()
async def control_holds_the_engine_in_reset(dut):
    registers = await begin(dut)
    source, sink = Source(dut), Sink(dut)
    packets = list(protocol.load(image(3, 7, 3, 50)))
    sender = cocotb.start_soon(send(source, packets))
    await check(sink, device(3), packets)
    await sender
    assert await registers.read(Register.STATUS) == 1
    assert await registers.write(Register.CONTROL, b"\xfe") == AxiResp.OKAY
    assert await registers.read(Register.STATUS) == 1
    clock = await registers.read(Register.CLOCK)
    assert await registers.write(Register.CONTROL, b"\x01") == AxiResp.OKAY
    assert await registers.write(Register.CONTROL + 1, bytes(3)) == AxiResp.OKAY  # without its lowest byte
    assert await registers.read(Register.STATUS) == 4 and await registers.read(Register.CONTROL) == 1
    status = protocol.status(9)
    sender = cocotb.start_soon(source.send(status))
    await cycles(dut, 50)
    assert source.sent == sum(map(len, packets)), "a byte was taken in reset"
    assert await registers.write(Register.CONTROL, b"\x00") == AxiResp.OKAY
    reference = device(3)
    await check(sink, reference, [status])
    await sender
    await tally(registers, [status], device(3))
    assert await registers.read(Register.CLOCK) > clock


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5])
async def the_turnaround_is_that_of_the_pins(dut, stall):
    registers = await begin(dut)
    source, sink = Source(dut), Sink(dut, stall=stall)
    ends = {"s_axis": 0, "m_axis": 0}
    cocotb.start_soon(watch(dut, ends))
    for tag in range(5):
        await source.send(protocol.status(tag))
        await sink.receive()
        await cycles(dut, 2)
        assert await registers.read(Register.TURNAROUND) == ends["m_axis"] - ends["s_axis"]


async def watch(dut, ends):
    """The cycle in which each stream's last packet ended."""
    for now in itertools.count():
        await FallingEdge(dut.clk_i)
        await ReadOnly()
        for name in ends:
            if all(int(getattr(dut, f"{name}_{wire}").value) for wire in ("tvalid", "tready", "tlast")):
                ends[name] = now
