"""yosys, nextpnr and the packer on a project, one after the other, and what is done where one would not end."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from edgendt.boards import Board
from edgendt.engine.config import Engine
from edgendt.errors import DoesNotFit, ToolFailed, ToolStopped
from edgendt.synth import parse
from edgendt.synth.project import OTHER_PLACER, OTHER_ROUTER, PLACER, ROUTER, Project, write_project
from edgendt.synth.reroute import (
    ANEW,
    CONFIG,
    EPSILON_NS,
    PLACED,
    REPORT,
    ROUTED,
    SLOW,
    choose_router,
    keep_better,
    slow_arcs,
)
from edgendt.synth.sites import RESITED, SITED, assign_sites
from edgendt.tools import run_tool, tool_path

STEPS = {
    "yosys": "synthesis",
    "place": "placement",
    "resite": "placement around hard blocks on nearer sites",
    "route": "routing",
    "reroute": "slow arcs anew",
    "pack": "bitstream",
}
PLACER_STEPS = 700  # a placement that ends takes some 500 to 600, `small` as well as `full`; another may never end
PASSES = 3  # of placements behind the first one, as long as each has less wire than the one before
LITTLE = 0.02  # of the wire: what saves less is the last pass
ROUTER_STEPS = 300  # of 1,000 arcs each: so long router1 has to get fewer arcs left than ever
ROUNDS = 2  # of slow arcs routed anew, without one better than those before
SPREAD = 10, 50  # thousands of arcs in a round: with more left at the second than at the first, they push others out
RESEEDS = 1000, 2000  # from a seed whose placement did not end to those that stand in, which nobody asks for next
PLACER_UNENDED = f"the {PLACER} placer did not end in {PLACER_STEPS} steps"
ROUTER_UNENDED = f"{ROUTER} had as many arcs left after {ROUTER_STEPS},000 more: routed with {OTHER_ROUTER}"
RESITED_SAID = "placed again around hard blocks on nearer sites: {} times"
ANEW_SAID = "arcs too slow were routed anew with all delays known, which build.sh does not do"


class Build:
    """A project in `folder` and how far it has got. notes: what stood in for what; log: of the routing that stands."""

    def __init__(self, board: Board, engine: Engine, folder: Path, seed: int, say: Callable[[str], None]) -> None:
        self.board, self.engine, self.folder, self.say = board, engine, folder, say
        self.seed, self.placer, self.router, self.resites = seed, PLACER, ROUTER, 0
        self.notes: list[str] = []
        self.log = folder / "route.log"
        self.project = self._written()

    def route(self) -> None:
        """Synthesis to the routed design; ToolMissing, or a package that is missing, before minutes have passed."""
        for name in (CONFIG, REPORT, *ANEW.values()):  # of a build before
            (self.folder / name).unlink(missing_ok=True)
        for name in STEPS:
            if self._words(name):
                tool_path(self._words(name)[0])
        if self.project.resite:
            import_module("scipy.optimize")
        self._step("yosys")
        self._place()
        if self.project.resite:
            self._resite()
        if not self._step("route", RouterStuck() if self.project.place else None):
            self.router = OTHER_ROUTER
            self.notes.append(self._instead(ROUTER_UNENDED))
            choose_router(self.folder, OTHER_ROUTER)
            self._step("route")
        if self.project.reroute:
            self._reroute()
        if self.project.place:
            for name in (SITED, RESITED, PLACED, ROUTED, SLOW):  # up to 200 MB each
                (self.folder / name).unlink(missing_ok=True)

    def pack(self) -> None:
        """The bitstream; nothing for a core."""
        self._step("pack")

    def _place(self) -> None:
        """The placer asked, twice more with another seed where it did not end, and then the other placer."""
        if self._step("place", _placer_stuck):
            return
        others = [(PLACER, self.seed + step, f"seed {self.seed + step}") for step in RESEEDS]
        others.append((OTHER_PLACER, self.seed, OTHER_PLACER))
        for self.placer, self.seed, what in others:
            note = self._instead(f"{PLACER_UNENDED}: placed with {what}")
            if self._step("place", _placer_stuck):
                self.notes.append(note)
                return

    def _resite(self) -> None:
        """Hard blocks on nearer sites, and all placed again, as long as that takes less wire.

        Whatever goes wrong here, the placement that was there stands.
        """
        wire = parse.wire((self.folder / "place.log").read_text())
        while self.resites < PASSES and assign_sites(self.folder):
            try:
                ended = self._step("resite", _placer_stuck)
            except ToolFailed as error:
                self.say(f"left as placed: {error}")
                break
            again = parse.wire((self.folder / "resite.log").read_text())
            if not ended or again >= wire:
                break
            self.say(f"{wire - again:,} of {wire:,} tiles of wire saved")
            (self.folder / RESITED).replace(self.folder / PLACED)
            self.resites += 1
            if wire - again < LITTLE * wire:
                break
            wire = again
        if self.resites:
            self.notes.append(self._instead(RESITED_SAID.format(self.resites)))

    def _reroute(self) -> None:
        """Slow arcs anew for the clock asked; if some stay too slow, once more for what the best round reached.

        Whatever goes wrong here, the routing that was there stands.
        """
        aim = self.project.mhz
        for _ in range(2):
            if not slow_arcs(self.folder, aim):
                return
            rounds = RouterStuck()
            try:
                ended = self._step("reroute", rounds)
            except ToolFailed as error:
                self.say(f"left as routed: {error}")
                return
            if ended:
                if keep_better(self.folder):
                    self.notes.append(ANEW_SAID)
                    self.log = self.folder / "reroute.log"
                return
            aim = rounds.reached(aim)

    def _written(self) -> Project:
        ways = self.seed, self.placer, self.router, self.resites
        return write_project(self.board, self.engine, self.folder, *ways)

    def _instead(self, note: str) -> str:
        """Say `note`, which names what was done instead, and write the project of it."""
        self.say(note)
        self.project = self._written()
        return note

    def _words(self, name: str) -> tuple[str, ...]:
        return tuple(getattr(self.project, name))

    def _step(self, name: str, stuck: Callable[[str], bool] | None = None) -> bool:
        """Run one tool, if there is one; a part too small is DoesNotFit, not a failed tool. False: it was stuck."""
        words, log = self._words(name), self.folder / f"{name}.log"
        if not words:
            return True
        what = STEPS[name] if name != "route" or self.project.place else "place and route"
        self.say(f"{what} ({words[0]}, log {log})")
        try:
            run_tool(words, log, self.folder, stuck=stuck or (lambda line: False))
        except ToolStopped:
            return False
        except ToolFailed as error:
            text = log.read_text(errors="replace")
            large = parse.too_large(text)
            if large is not None:
                kind, used, available = large
                advice = parse.ADVICE.get(kind, "choose a smaller engine or a larger part")
                raise DoesNotFit(f"the engine needs {used} {kind} and the part has {available}", advice) from error
            said = re.findall(r"^ERROR: (.*)", text, re.MULTILINE)
            raise ToolFailed(error.command, log, said[0] if said else error.reason) from error
        return True


def _placer_stuck(line: str) -> bool:
    """Whether nextpnr's static placer says that it has gone on for too long."""
    step = re.match(r"Info: iter=(\d+) ", line)
    return step is not None and int(step[1]) >= PLACER_STEPS


class RouterStuck:
    """Whether router1, whose lines it is told one by one, gets no further, with all arcs or with slow ones."""

    def __init__(self) -> None:
        self.least, self.steps, self.slack = sys.maxsize, 0, list[float]()
        self.lines, self.early = 0, 0  # of a round: what router1 said in it, arcs left at the first of SPREAD

    def __call__(self, line: str) -> bool:
        if found := re.search(r"(\d+) arcs ripped up due to negative slack WNS=(-?[\d.]+)ns", line):
            self.least, self.steps, self.lines = sys.maxsize, 0, 0
            self.slack.append(float(found[2]))
            since = len(self.slack) - 1 - self.slack.index(max(self.slack))
            return since >= ROUNDS and int(found[1]) > 0
        if found := re.match(r"Info: +\d+ \|.*\|.*\| +(\d+)\|", line):
            left = int(found[1])
            self.least, self.steps = (left, 0) if left < self.least else (self.least, self.steps + 1)
            self.lines += 1
            if self.lines == SPREAD[0]:
                self.early = left
            if self.slack and self.lines == SPREAD[1] and left > self.early:
                return True
        return self.steps >= ROUTER_STEPS

    def reached(self, aim: float) -> float:
        """MHz that the best of the rounds began with, where the slow arcs were those of `aim`; 0 without rounds."""
        if not self.slack:
            return 0.0
        digit = 0.01  # of a slack, which is rounded
        return 1e3 / (1e3 / aim + EPSILON_NS - max(self.slack) + digit)
