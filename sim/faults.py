"""Seeded faults on the link of a board, real driver on this side: whatever happens, no wrong answer may be accepted.

A case is a few things that a host does (a load, a trial) under one kind of fault, then the same without: the board must
be back. An answer is wrong when it is not that of the whole image whose CRC the board had just reported.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgendt.engine import protocol
from edgendt.engine.compile import Compiled
from edgendt.engine.cycles import cycles_of
from edgendt.engine.image import Image
from edgendt.engine.protocol import Kind, slip
from edgendt.errors import BadInput
from edgendt.host import Kept, Link, LinkError

KNOWN_SHAPE = {"channels": 5, "d": 8, "layers": 1, "ffn": 8, "window": 4, "outputs": 4, "bins": 12}  # of networks.py
BINS = 5
RATES = (0.01, 0.05, 0.2, 0.5)  # of transfers that are hit


class HostDied(Exception):
    """The host's program ends in the middle of what it does."""


@dataclass
class Report:
    """What a campaign saw. wrong: a sentence for each answer, image or refusal that must not be."""

    cases: Counter[str] = field(default_factory=Counter)
    faults: int = 0  # bytes, frames or images hit, resets, deaths
    accepted: int = 0  # bins answered and accepted while faults were about
    refused: int = 0  # loads, trials and files that ended in one sentence
    put_back: int = 0  # failed loads after which the driver restored the network before
    wrong: list[str] = field(default_factory=list)

    def line(self) -> str:
        """The whole report in one line."""
        kinds = ", ".join(f"{name} {count}" for name, count in sorted(self.cases.items()))
        return (
            f"{self.cases.total()} cases ({kinds}): {self.faults} faults, {self.accepted} bins accepted, "
            f"{self.refused} refused, {self.put_back} networks put back, {len(self.wrong)} wrong"
        )


class Line:
    """A board's stream with faults on it, both ways."""

    def __init__(self, board: Any, rng: random.Random, report: Report) -> None:
        self.board, self.rng, self.report = board, rng, report
        self.quiet()

    def quiet(self) -> None:
        """No faults from now on."""
        self.hurt: Callable[[bytes], bytes] | None = None
        self.rate = self.reset = self.death = 0.0
        self.until = self.silent = 0  # writes that still pass; then, that vanish

    @property
    def in_waiting(self) -> int:
        return int(getattr(self.board, "in_waiting", 1024))

    def write(self, data: bytes) -> None:
        if self.rng.random() < self.death:
            self.report.faults += 1
            self.board.write(data[: self.rng.randrange(len(data))])
            raise HostDied
        if self.silent and not self.until:
            self.silent -= 1
            self.report.faults += 1
            return
        self.until -= self.until > 0
        self.board.write(self._hurt(data))
        if self.rng.random() < self.reset:
            self.report.faults += 1
            if hasattr(self.board, "run"):
                self.board.run(self.rng.randrange(1, 30_000))
            self.board.press()

    def read(self, size: int) -> bytes:
        data = self.board.read(size)
        return self._hurt(data) if data else data

    def _hurt(self, data: bytes) -> bytes:
        if self.hurt is None or self.rng.random() >= self.rate:
            return data
        self.report.faults += 1
        return self.hurt(data)


class Campaign:
    """One board through many cases."""

    def __init__(self, board: Any, known: Sequence[Compiled], seed: int) -> None:
        self.rng, self.report, self.known = random.Random(seed), Report(), known
        self.line, self.kept = Line(board, self.rng, self.report), Kept()
        self.by_crc = {one.image.crc: one for one in known}
        self.kinds: dict[str, Callable[[], None]] = {
            "bits flipped": lambda: self._hurt(self._flip),
            "bytes lost": lambda: self._hurt(self._lose),
            "noise": lambda: self._hurt(self._noise),
            "line silent": self._silence,
            "resets": self._resets,
            "host dies": self._deaths,
            "frames missing": self._frames_missing,
            "image damaged": self._image_damaged,
            "file damaged": self._file_damaged,
        }

    def run(self, cases: int, progress: Callable[[int], object] = lambda done: None) -> Report:
        """Cases of all kinds in turn."""
        names = list(self.kinds)
        for case in range(cases):
            name = names[case % len(names)]
            self.report.cases[name] += 1
            self.where = f"case {case} ({name})"
            self.kinds[name]()
            self.line.quiet()
            self._recover()
            progress(case + 1)
        return self.report

    # ---- what a host does ----

    def _link(self) -> Link:
        limit = min(one.program.input.hi for one in self.known)
        return Link(self.line, retries=self.rng.choice([1, 3, 8]), limit=limit, kept=self.kept)

    def _use(self, load: float = 0.5) -> None:
        """A load with this chance, a trial, or both, by one driver."""
        link = self._link()
        try:
            if self.rng.random() < load:
                self._load(link, self.rng.choice(self.known))
            if self.rng.random() < 0.8:
                self._trial(link)
        except LinkError as error:
            self.report.refused += 1
            if "was put back" in str(error):
                self._check_put_back()
        except HostDied:
            pass

    def _check_put_back(self) -> None:
        """What the error said must be so, unless the board was reset since."""
        self.report.put_back += 1
        self.line.quiet()
        answer, info = Link(self.line).status()
        kept = self.kept.get()
        if kept is None or (answer.ready and info.image_crc != kept.crc):
            self.report.wrong.append(f"{self.where}: {info.image_crc:08x} answers and another one was put back")

    def _load(self, link: Link, one: Compiled) -> None:
        link.load(one.image)
        if self.kept.get() is not one.image:
            self.report.wrong.append(f"{self.where}: a load that ended well was not kept")

    def _trial(self, link: Link) -> None:
        """Every accepted answer must be that of the image which the board says it has."""
        answer, info = link.status()
        one = self.by_crc.get(info.image_crc)
        if answer.ready and one is None:
            self.report.wrong.append(f"{self.where}: image {info.image_crc:08x} answers and is none that was loaded")
        now = one or self.known[0]
        stepper = now.program.stream()
        link.reset()
        for bin in range(self.rng.randrange(1, BINS + 1)):
            counts = [self.rng.randrange(now.program.input.hi + 1) for _ in range(now.program.channels)]
            got = link.step(counts)
            expected = stepper.step(np.array(counts)).tolist()
            self.report.accepted += 1
            if not answer.ready:
                self.report.wrong.append(f"{self.where}: bin {bin} was answered without a network")
            elif list(got.outputs) != expected or got.cycles != cycles_of(now, bin).total:
                self.report.wrong.append(f"{self.where}: bin {bin}: expected {expected}, got {list(got.outputs)}")

    def _recover(self) -> None:
        """Without faults the board answers, if need be after a load."""
        link = Link(self.line, kept=self.kept)
        try:
            answer, _ = link.status()
            if not answer.ready or self.rng.random() < 0.1:
                self._load(link, self.rng.choice(self.known))
            accepted = self.report.accepted
            self._trial(link)
            self.report.accepted = accepted
        except LinkError as error:
            self.report.wrong.append(f"{self.where}: the board did not come back: {error}")

    # ---- kinds of faults ----

    def _hurt(self, how: Callable[[bytes], bytes]) -> None:
        self.line.hurt, self.line.rate = how, self.rng.choice(RATES)
        self._use()

    def _flip(self, data: bytes) -> bytes:
        bits = int.from_bytes(data, "little")
        for _ in range(self.rng.choice([1, 1, 2, 5])):
            bits ^= 1 << self.rng.randrange(8 * len(data))
        return bits.to_bytes(len(data), "little")

    def _lose(self, data: bytes) -> bytes:
        start = self.rng.randrange(len(data))
        end = start + self.rng.choice([1, 1, 2, len(data)])
        return data[:start] + (b"" if self.rng.random() < 0.8 else data[start:end] * 2) + data[end:]

    def _noise(self, data: bytes) -> bytes:
        at = self.rng.choice([0, self.rng.randrange(len(data) + 1)])
        noise = self.rng.randbytes(self.rng.randrange(1, 40))
        return data[:at] + noise + data[at:]

    def _silence(self) -> None:
        self.line.until, self.line.silent = self.rng.randrange(4, 20), self.rng.randrange(1, 30)
        self._use(load=1.0)

    def _resets(self) -> None:
        self.line.reset = self.rng.choice([0.02, 0.1, 0.3])
        self._use()

    def _deaths(self) -> None:
        self.line.death = self.rng.choice([0.02, 0.1, 0.3])
        self._use()
        self.line.quiet()
        self._use()  # the next program finds what the dead one left

    def _frames_missing(self) -> None:
        """A load from which frames are cut, doubled or swapped; the commit is the whole image's."""
        begin, *frames, commit = protocol.load(self.rng.choice(self.known).image)
        at, how = self.rng.randrange(len(frames)), self.rng.randrange(3)
        if how == 0:
            del frames[at : at + self.rng.choice([1, 2, len(frames)])]
        elif how == 1:
            del frames[at:]
        else:
            self.rng.shuffle(frames)
        self._raw([begin, *frames, *([commit] if self.rng.random() < 0.7 else [])])

    def _image_damaged(self) -> None:
        """Words changed behind the CRC of the image, each frame's own CRC made anew."""
        begin, *frames, commit = protocol.load(self.rng.choice(self.known).image)
        at = self.rng.randrange(len(frames))
        body = bytearray(frames[at][2:-4])
        place = self.rng.randrange(9, len(body))
        body[place] ^= 1 << self.rng.randrange(8)
        frames[at] = protocol.packet(Kind.DATA, at, bytes(body))
        self._raw([begin, *frames, commit])

    def _raw(self, packets: Sequence[bytes]) -> None:
        """Packets without a driver that would mend them; then a host that wants answers."""
        self.report.faults += 1
        for packet in packets:
            self.line.write(slip(packet))
            while self.line.read(4096):
                pass
        self._use()

    def _file_damaged(self) -> None:
        """image.edi cut or changed by a bit: it must not be read at all."""
        data = bytearray(self.rng.choice(self.known).image.to_bytes())
        if self.rng.random() < 0.5:
            del data[self.rng.randrange(len(data)) :]
        else:
            data[self.rng.randrange(len(data))] ^= 1 << self.rng.randrange(8)
        self.report.faults += 1
        try:
            Image.from_bytes(bytes(data))
        except BadInput:
            self.report.refused += 1
        else:
            self.report.wrong.append(f"{self.where}: a damaged image file was read")
        self._use()


def campaign(
    board: Any, known: Sequence[Compiled], cases: int, seed: int, progress: Callable[[int], object] = lambda done: None
) -> Report:
    """Cases of every kind on `board` (a driver's stream that has `press`); the networks it may hold are `known`."""
    return Campaign(board, known, seed).run(cases, progress)
