"""A board in Python that computes real networks: the reference device with a core that knows some compiled images."""

from __future__ import annotations

import os
import threading
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from edgendt.engine.compile import Compiled
from edgendt.engine.cycles import cycles_of
from edgendt.engine.device import Device
from edgendt.engine.protocol import Unslip, slip
from edgendt.program import Stream

GARBAGE = -12345  # every output of a memory that holds no whole network: must never be accepted


class Networks:
    """The link's core: what was loaded decides which of the known networks answers; anything else answers GARBAGE."""

    def __init__(self, *known: Compiled) -> None:
        self.known = known
        self.store: dict[tuple[int, int], int] = {}
        self.bin = 0
        self.now: Compiled | None = None
        self.stream: Stream | None = None

    def load(self, mem: int, address: int, word: int) -> None:
        self.store[mem, address] = word

    def trial_reset(self) -> None:
        self.bin, self.now = 0, next((one for one in self.known if self._holds(one)), None)
        self.stream = self.now.program.stream() if self.now is not None else None

    def _holds(self, one: Compiled) -> bool:
        words = ((s.mem, s.start + n, int(word)) for s in one.image.sections for n, word in enumerate(s.words))
        return all(self.store.get((mem, address)) == word for mem, address, word in words)

    def refuse(self) -> bool:
        return self.now is not None and 0 < self.now.image.max_bins <= self.bin

    def step(self, counts: Sequence[int]) -> tuple[list[int], int]:
        self.bin += 1
        if self.now is None or self.stream is None:
            return [GARBAGE] * self.known[0].program.outputs, 1
        codes = self.stream.step(list(counts))
        return [int(code) for code in codes], cycles_of(self.now, self.bin - 1).total


class ReferenceBoard:
    """A driver's stream with a Device behind it; `spoil(data)` is done to what goes in, and to every answer."""

    def __init__(self, *known: Compiled, spoil: Callable[[bytes], bytes] = lambda data: data) -> None:
        self.known, self.spoil, self.waiting = known, spoil, b""
        self.press()

    def press(self) -> None:
        """The reset button: no network, nothing on its way."""
        self.device, self.unslip = Device(self.known[0].image.engine_id, Networks(*self.known)), Unslip()

    def write(self, data: bytes) -> None:
        for packet in self.unslip.feed(self.spoil(data)):
            self.waiting += self.spoil(slip(self.device.packet(packet)))

    def read(self, size: int) -> bytes:
        data, self.waiting = self.waiting[:size], self.waiting[size:]
        return data


@contextmanager
def on_a_pty(board: Any) -> Iterator[str]:
    """The path of a pty with `board` at its other end."""
    near, far = os.openpty()
    tty.setraw(near)

    def serve() -> None:
        while True:
            try:
                board.write(os.read(near, 4096))
                while data := board.read(4096):
                    os.write(near, data)
            except OSError:  # closed
                return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield os.ttyname(far)
    finally:
        os.close(far)
        thread.join()
        os.close(near)
