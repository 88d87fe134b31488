"""A board in Python that computes real networks: the reference device with a core that knows some compiled images."""

from __future__ import annotations

import os
import threading
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from edgendt.engine.compile import Compiled
from edgendt.engine.cycles import cycles_of, cycles_per_row
from edgendt.engine.device import Device
from edgendt.engine.protocol import Unslip, slip
from edgendt.engine.rows import LAST, axes, lookup_of
from edgendt.fixed import Codes
from edgendt.ops import Lookup
from edgendt.program import Stream

GARBAGE = -12345  # every output of a memory that holds no whole network: must never be accepted


class Networks:
    """The link's core: what was loaded decides which of the known networks answers; anything else answers GARBAGE."""

    def __init__(self, *known: Compiled) -> None:
        self.known = known
        self.store: dict[tuple[int, int], int] = {}
        self.bin = 0
        self.rows: list[list[int]] = []  # what came with each start
        self.now: Compiled | None = None
        self.stream: Stream | None = None

    def load(self, mem: int, address: int, word: int) -> None:
        self.store[mem, address] = word

    def trial_reset(self) -> None:
        self.bin, self.rows, self.now = 0, [], next((one for one in self.known if self._holds(one)), None)
        self.stream = self.now.program.stream() if self.now is not None and self.now.program.streams else None

    def _holds(self, one: Compiled) -> bool:
        words = ((s.mem, s.start + n, int(word)) for s in one.image.sections for n, word in enumerate(s.words))
        return all(self.store.get((mem, address)) == word for mem, address, word in words)

    def refuse(self) -> bool:
        return self.now is not None and 0 < self.now.image.max_bins <= self.bin

    def step(self, counts: Sequence[int]) -> tuple[list[int], int]:
        self.bin += 1
        self.rows.append(list(counts))
        if self.now is None:
            return [GARBAGE] * self.known[0].program.outputs, 1
        if self.stream is not None:
            codes, cycles = self.stream.step(self.rows[-1]), cycles_of(self.now, self.bin - 1).total
        else:
            codes, cycles = (self._of_tokens if self.now.program.inputs else self._of_bins)(self.now)
        return [int(code) for code in codes], cycles

    def _of_bins(self, now: Compiled) -> tuple[Sequence[int], int]:
        """Of a window: nothing until all of its bins are there, then the answers in their order."""
        bins, cycles = now.program.bins, cycles_of(now, self.bin - 1).total
        assert bins is not None
        if self.bin <= bins:
            return [GARBAGE] * now.program.outputs, cycles
        return now.program.run(np.array(self.rows[:bins]))[self.bin - bins - 1], cycles

    def _of_tokens(self, now: Compiled) -> tuple[Sequence[int], int]:
        """Of a window: nothing until the marked token has come, then a query is answered by its start."""
        words = np.array(self.rows).reshape(-1, 3, 2) @ [1, 256]
        marked = np.flatnonzero(words[:, 0] & LAST)
        tokens = int(marked[0]) + 1 if len(marked) else 0
        if not tokens:
            return [GARBAGE] * now.program.outputs, cycles_per_row(now, 2, 1)[0]
        *_, last, query = cycles_per_row(now, tokens, 1)
        if self.bin == tokens:
            return [GARBAGE] * now.program.outputs, last
        names, given = ("tokens", "queries"), {"token_ms": words[:tokens, 2], "query_ms": words[-1:, 2]}
        for name, axis, part in zip(names, axes(now.program), (words[:tokens], words[-1:]), strict=True):
            looked = lookup_of(now.program, axis)
            given[name] = _pairs(part, looked.op, now.sizes["looked"])
        return now.program.run(given)[0], query


def _pairs(words: Codes, op: Lookup, each: int) -> Codes:
    """Row and kind of each token or query, from the words that it names in the memories."""
    entry = (words[:, 0] & ~LAST) // each
    return np.stack(np.divmod(entry, op.step) if op.pairs else (entry, words[:, 1] // each), 1)


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
