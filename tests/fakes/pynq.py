"""Stands in for PYNQ 3: an overlay whose DMA ends at a Device, as strict as the driver and the IP are.

`BOARD`: the answer to a packet, or None for silence; `MAKE`: a fresh one, at every configuration. As in the engine, a
request waits until the answer before it is taken. `POLLS`: how often a channel is found busy.
"""

import numpy as np

from edgendt.engine.registers import MAGIC, Register

POLLS = 2
BOARD = MAKE = None
LOADED = None
DOWNLOADS = []
WORDS = {Register.MAGIC: MAGIC}
REFUSES = None


class Buffer(np.ndarray):
    pass


def allocate(shape, dtype):
    return np.zeros(shape, dtype).view(Buffer)


class Channel:
    def __init__(self, dma):
        self.dma, self.running, self.busy, self.polls, self.transferred = dma, False, None, 0, 0
        self.start()

    def start(self):
        self.running, self.busy, self.first = True, None, True

    def transfer(self, array, start=0, nbytes=0):
        if not isinstance(array, Buffer):
            raise TypeError("a buffer must come from allocate")
        if not self.running:
            raise RuntimeError("DMA channel not started")
        if not self.first and not self.idle:
            raise RuntimeError("DMA channel not idle")
        self.busy, self.polls, self.first = (array, nbytes), POLLS, False

    @property
    def idle(self):
        if self.busy is None:
            return not self.first
        self.polls -= 1
        if self.polls < 0 and self.move(*self.busy):
            self.busy = None
        return self.busy is None

    def wait(self):
        while not self.idle:
            pass


class Send(Channel):
    def move(self, array, size):
        if self.dma.answer is not None or self.dma.stuck:
            return False
        self.dma.answer = BOARD(bytes(array[:size]))
        return True


class Receive(Channel):
    def move(self, array, size):
        if self.dma.answer is None:
            return False
        assert len(self.dma.answer) <= size
        array[: len(self.dma.answer)] = list(self.dma.answer)
        self.transferred, self.dma.answer = len(self.dma.answer), None
        return True


class Dma:
    def __init__(self):
        self.answer, self.stuck, self.mmio, self.resets = None, False, self, 0
        self.sendchannel, self.recvchannel = Send(self), Receive(self)

    def write(self, at, word):
        assert (at, word) == (0, 4)
        self.resets += 1
        for channel in (self.sendchannel, self.recvchannel):
            channel.running, channel.busy = False, None

    def read(self, at):
        return 0


class Engine:
    def read(self, at):
        return WORDS.get(at, 0)


class Overlay:
    def __init__(self, bitfile_name, download=True):
        if REFUSES is not None:
            raise REFUSES
        self.name, self.ip_dict = bitfile_name, {"dma": {}, "engine": {}}
        if download:
            self.download()

    def is_loaded(self):
        return LOADED == self.name

    def download(self):
        global BOARD, LOADED
        BOARD, LOADED = MAKE(), self.name
        DOWNLOADS.append(self.name)

    def __getattr__(self, name):
        if not self.is_loaded():
            raise RuntimeError("Overlay not currently loaded")
        made = {"dma": Dma, "engine": Engine}[name]()
        setattr(self, name, made)
        return made
