"""RTL that a vendor's tool made of the firmware, at its streams: a packet for every call, with idle cycles and stalls.

case: packets (path of an .npz, arrays by number), answers (path of the .npz to write, arrays by the same numbers),
timeout (cycles that an answer may take beyond those for the words of its packet).
"""

import cocotb
import numpy as np
from bench import Sink, Source, case, start


@cocotb.test()
async def every_packet_is_answered(dut):
    await start(dut)
    source, sink = Source(dut, idle=0.1), Sink(dut, stall=0.1)
    answers = {}
    with np.load(case()["packets"]) as packets:
        for number in packets.files:
            sent = cocotb.start_soon(source.send([int(word) & 0xFFFFFFFF for word in packets[number]]))
            patience = case()["timeout"] + 4 * len(packets[number])  # a network is a long packet
            words = np.array(await sink.receive(timeout=patience), np.uint32)
            await sent
            answers[number] = words.view(np.int32)
    np.savez(case()["answers"], **answers)
