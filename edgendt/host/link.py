"""The host's end of docs/protocol.md: requests, answers, retries, loading, inference over any byte stream."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgendt.engine import protocol
from edgendt.engine.image import Image
from edgendt.engine.protocol import Answer, Info, Kind, Status, Unslip
from edgendt.errors import BadInput, EdgendtError
from edgendt.host.kept import Kept

RETRIES = 3
WINDOW = 3  # load frames in flight: their answers overlap the next frames, and all fit the bridge's FIFO
GREETINGS = 3  # answers in a row with random tags at first contact: what another program left unread never has them
QUIET_READS = 10_000  # reads that bring bytes but no answer, before a line counts as noise


class LinkError(EdgendtError):
    """The engine cannot be reached, or refuses."""


class Stream(Protocol):
    """What the driver needs of a serial port, pty or socket; `read` returns fewer bytes, or none, when time is up."""

    def write(self, data: bytes, /) -> Any: ...

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class Result:
    """codes [bins, outputs] int64; cycles [bins]: of the engine, start to done."""

    codes: NDArray[np.int64]
    cycles: NDArray[np.int64]


class Link:
    """One engine behind a byte stream. Every method raises LinkError, one sentence, when there is no good answer."""

    def __init__(self, stream: Stream, retries: int = RETRIES, limit: int = 255, kept: Kept | None = None) -> None:
        """limit: the largest count the network takes (`program.input.hi`); larger ones are clipped and counted.

        kept: where the last good image is, in this object alone by default.
        """
        self.stream, self.retries, self.limit, self.kept = stream, retries, limit, kept or Kept()
        self.bits = protocol.count_bits(limit)  # of a count on the wire
        self.unslip, self.tag = Unslip(), 0
        self.bin: int | None = None  # the engine's next bin; None: not known yet
        self.repeats = 0  # requests sent again
        self.bytes = 0  # on the line, both ways, since the driver was made
        self.clipped = 0  # counts above the limit, since the driver was made
        self._pending: list[Answer] = []
        self._greeted = False

    def status(self) -> tuple[Answer, Info]:
        """The engine's state: ready or loading, sizes, CRC of its image, counters."""
        answer = self._request(protocol.status(self._next_tag()))
        if answer.info is None:
            raise LinkError("the engine's STATUS answer has no body: it speaks another protocol")
        if answer.info.version != protocol.VERSION:
            raise LinkError(f"the engine speaks protocol {answer.info.version}, this driver {protocol.VERSION}")
        self.bin = answer.bin
        return answer, answer.info

    def counters(self) -> dict[str, Any]:
        """What befell the line: repeats, of this driver; bad_frames and refused, by the engine since its power-up.

        Those are None where the engine no longer answers, `lost` says why: what it answered before still stands.
        """
        try:
            info = self.status()[1]
        except LinkError as error:
            return {"repeats": self.repeats, "bad_frames": None, "refused": None, "lost": str(error)}
        return {"repeats": self.repeats, "bad_frames": info.bad_frames, "refused": info.refused, "lost": None}

    def reset(self) -> None:
        """Start of a trial: the next bin is bin 0."""
        self._demand(self._request(protocol.reset(self._next_tag())), "reset")
        self.bin = 0

    def step(self, counts: Sequence[int] | NDArray[np.int64]) -> Answer:
        """One bin, counts [channels]: outputs and cycles. A repeated request never computes a bin twice."""
        values = [min(int(value), self.limit) for value in counts]
        if min(values, default=0) < 0:
            raise BadInput(f"counts must not be negative, got {min(values)}")
        self.clipped += sum(int(value) > self.limit for value in counts)
        if self.bin is None:
            self.status()
        assert self.bin is not None
        answer = self._request(protocol.counts(self._next_tag(), self.bin, values, self.bits, brief=True))
        self._demand(answer, f"bin {self.bin}")
        if answer.bin != self.bin:
            raise LinkError(f"the engine answered bin {answer.bin} when bin {self.bin} was asked")
        self.bin = (self.bin + 1) % protocol.BINS
        return answer

    def infer(self, counts: NDArray[np.int64], progress: Callable[[int], None] | None = None) -> Result:
        """One trial from its start, counts [bins, channels], bin by bin; `progress` gets the number of bins done."""
        self.reset()
        answers = []
        for done, row in enumerate(counts, start=1):
            answers.append(self.step(row))
            if progress is not None:
                progress(done)
        codes = np.array([answer.outputs for answer in answers], dtype=np.int64)
        return Result(codes, np.array([answer.cycles for answer in answers], dtype=np.int64))

    def load(self, image: Image, progress: Callable[[int, int], None] | None = None) -> None:
        """Put a network on the engine; `progress` gets frames done and in all.

        Refused by its header (another schema or engine) the old network keeps answering. After a later failure the
        engine is NOT_READY, never half-loaded, and the last good image is loaded again; the error says what came of it.
        """
        before = self._answering() if self.kept.get() else None
        try:
            begun = self._load(image, progress)
        except (LinkError, KeyboardInterrupt) as error:
            said = self._put_back(before)
            if isinstance(error, KeyboardInterrupt):
                raise
            raise LinkError(f"{error}; {said}") from error
        if begun.status is Status.WRONG_ENGINE:
            _, info = self.status()
            raise LinkError(
                f"the image is for engine {image.engine_id:08x} and the board has {info.engine_id:08x}: "
                "compile for the engine that the board was built with; the network loaded before still answers"
            )
        self._demand(begun, "load")
        self.kept.put(image)

    def _load(self, image: Image, progress: Callable[[int, int], None] | None = None) -> Answer:
        """The answer to BEGIN: OK when the image was loaded, else a refusal that changed nothing."""
        self.bin = None
        begun = self._request(protocol.begin(self._next_tag(), image))
        if begun.status is Status.OK:
            self._send_frames(list(image.frames()), progress)
            self._demand(self._request(protocol.commit(self._next_tag(), image.crc)), "load")
            self.bin = 0
        return begun

    def _answering(self) -> int | None:
        """CRC of the network that answers now; None when none does."""
        answer, info = self.status()
        return info.image_crc if answer.ready else None

    def _put_back(self, before: int | None) -> str:
        """Load the last good image again; what became of it. before: CRC of the network that answered, if known."""
        last = self.kept.get()
        try:
            if (now := self._answering()) is not None:
                return f"network {now:08x} answers"
            if last is None or before not in (None, last.crc):
                return "no network answers now, and this computer keeps none that answered before: load one"
            begun = self._load(last)
            self._demand(begun, f"the network loaded before, {last.crc:08x}")
        except LinkError as error:
            return f"the network loaded before could not be put back ({error}): none answers until a load succeeds"
        return f"the network loaded before, {last.crc:08x}, was put back and answers"

    def _send_frames(self, frames: list[bytes], progress: Callable[[int, int], None] | None) -> None:
        """Go-back-N: up to WINDOW frames in flight; after an error, wait for what is out, go on from the first lost."""
        taken = failures = 0
        while taken < len(frames):
            sent, out, clean = taken, 0, True
            while clean and (sent < len(frames) or out):
                while out < WINDOW and sent < len(frames):
                    self._send(protocol.data(sent, frames[sent]))
                    sent, out = sent + 1, out + 1
                taken, clean = self._frame_answer(taken)
                out -= 1
                failures = failures + 1 if not clean else 0
                if progress is not None:
                    progress(taken, len(frames))
            while out and self._receive() is not None:
                out -= 1
            if failures > self.retries:
                raise LinkError(f"load stopped at frame {taken} of {len(frames)}: no good answer in {failures} tries")
            self.repeats += not clean

    def _frame_answer(self, taken: int) -> tuple[int, bool]:
        """(frames taken so far, all well) after the next answer; LinkError when the engine ends the load."""
        answer = self._receive()
        if answer is None or answer.kind == Kind.NAK:
            return taken, False
        if answer.kind != Kind.DATA:
            return taken, True  # late answer to something else
        if answer.status in (Status.OK, Status.SEQUENCE):
            return taken + (answer.load_index - taken) % 65536, answer.status is Status.OK
        raise LinkError(f"the engine ended the load at frame {taken}: {_words(answer.status)}")

    def _request(self, packet: bytes) -> Answer:
        """The answer to a packet."""
        if not self._greeted:
            self._greet()
        return self._exchange(packet)[0]

    def _greet(self) -> None:
        """Ask until nothing but the answers comes back. Answers come in order: none is left of what others asked."""
        clean, tries = 0, 0
        while clean < GREETINGS and (tries := tries + 1) < QUIET_READS:
            self.tag = secrets.randbelow(256)
            alone = self._exchange(protocol.status(self.tag), patient=True)[1]
            clean = clean + 1 if alone else 0
        self._greeted = True

    def _exchange(self, packet: bytes, patient: bool = False) -> tuple[Answer, bool]:
        """Send until answered: the very same bytes again after silence or, unless `patient`, after a NAK.

        (The answer, and whether it came before any other.)
        """
        alone = True
        for attempt in range(self.retries + 1):
            self.repeats += attempt > 0
            self._send(packet, flush=attempt > 0 or not self._greeted)
            while (answer := self._receive()) is not None:
                if answer.kind == packet[0] and answer.tag == packet[1]:
                    return answer, alone
                alone = False
                if answer.kind == Kind.NAK and not patient and attempt < self.retries:
                    break  # damaged on its way: at once again
        raise LinkError(
            f"the engine did not answer {Kind(packet[0]).name} in {self.retries + 1} tries: is the board on this port, "
            "programmed, and at this baud rate?"
        )

    def _send(self, packet: bytes, flush: bool = True) -> None:
        framed = protocol.slip(packet, flush)
        self.bytes += len(framed)
        try:
            self.stream.write(framed)
        except OSError as error:
            raise LinkError(f"the port failed: {error}") from error

    def _receive(self) -> Answer | None:
        """The next answer whose CRC is right; None when time is up."""
        for _ in range(QUIET_READS):
            if self._pending:
                return self._pending.pop(0)
            try:
                data = self.stream.read(max(1, int(getattr(self.stream, "in_waiting", 0))))
            except OSError as error:
                raise LinkError(f"the port failed: {error}") from error
            if not data:
                return None
            self.bytes += len(data)
            self._pending += [found for packet in self.unslip.feed(data) if (found := _parse(packet)) is not None]
        return None

    def _next_tag(self) -> int:
        self.tag = (self.tag + 1) % 256
        return self.tag

    def _demand(self, answer: Answer, what: str) -> None:
        if answer.status is Status.OK:
            return
        if answer.status is Status.WRONG_BIN:
            self.bin = answer.bin
        raise LinkError(f"the engine refused {what}: {_words(answer.status)}")


def _parse(packet: bytes) -> Answer | None:
    try:
        return protocol.answer(packet)
    except ValueError:  # damaged: the request is repeated
        return None


def _words(status: Status) -> str:
    return {
        Status.NOT_READY: "no network is loaded",
        Status.MALFORMED: "the packet does not fit the loaded network (number of channels?)",
        Status.UNKNOWN: "it does not know this request",
        Status.WRONG_SCHEMA: "the image's schema is another; the network loaded before still answers",
        Status.WRONG_ENGINE: "the image is for another engine",
        Status.SEQUENCE: "a frame was lost",
        Status.IMAGE_CRC: "what arrived is not the image sent; no network is loaded now",
        Status.NO_BINS: "the trial has more bins than the network has positions: reset first",
        Status.WRONG_BIN: "it expects another bin: was it used by another program? reset first",
    }.get(status, status.name)
