"""yosys, nextpnr and the packer on a project, one after the other, and what is done where one would not end."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from edgendt.boards import Board
from edgendt.engine.config import Engine
from edgendt.errors import DoesNotFit, ToolFailed, ToolStopped
from edgendt.synth import parse
from edgendt.synth.project import OTHER_PLACER, OTHER_ROUTER, PLACED, PLACER, ROUTER, Project, write_project
from edgendt.synth.reroute import ROUTED, SLOW, slow_arcs
from edgendt.tools import run_tool, tool_path

STEPS = {
    "yosys": "synthesis",
    "place": "placement",
    "route": "place and route",
    "reroute": "slow arcs anew",
    "pack": "bitstream",
}
PLACER_STEPS = 1000  # a placement that ends takes some 500 to 600, `small` as well as `full`; another may never end
ROUTER_STEPS = 300  # of 1,000 arcs each: so long router1 has to get fewer arcs left than ever
ROUNDS = 8  # of slow arcs routed anew: the first ones bring most
MARGIN = 0.998
UNENDED = {
    "place": f"the {PLACER} placer did not end in {PLACER_STEPS} steps: placed with {OTHER_PLACER}",
    "route": f"{ROUTER} left no fewer arcs for {ROUTER_STEPS},000 of them: routed with {OTHER_ROUTER}",
}


class Build:
    """A project in `folder` and how far it has got. notes: which tool another one stood in for."""

    def __init__(self, board: Board, engine: Engine, folder: Path, seed: int, say: Callable[[str], None]) -> None:
        self.board, self.engine, self.folder, self.seed, self.say = board, engine, folder, seed, say
        self.notes: list[str] = []
        self.project = self._written()
        for name in STEPS:
            if self._words(name):
                tool_path(self._words(name)[0])  # a missing tool is said before minutes pass

    def run(self) -> None:
        """All steps."""
        self._step("yosys")
        if not self._step("place", _placer_stuck):
            self._instead("place", placer=OTHER_PLACER)
            self._step("place")
        if not self._step("route", RouterStuck()):
            self._instead("route", placer=self.project.placer, router=OTHER_ROUTER)
            self._step("place")
            self._step("route")
        if self.project.reroute:
            self._reroute()
        self._step("pack")
        if self.project.place:
            for name in (PLACED, ROUTED, SLOW):  # up to 200 MB each
                (self.folder / name).unlink(missing_ok=True)

    def _reroute(self) -> None:
        """Slow arcs anew for the clock asked; if some stay too slow, for the one that the best round reached."""
        aim = self.project.mhz
        while slow_arcs(self.folder, aim):
            rounds = RouterStuck()
            if self._step("reroute", rounds):
                return
            aim = rounds.reached(aim)

    def _written(self, placer: str = PLACER, router: str = ROUTER) -> Project:
        return write_project(self.board, self.engine, self.folder, self.seed, placer, router)

    def _instead(self, name: str, placer: str, router: str = ROUTER) -> None:
        self.notes.append(UNENDED[name])
        self.say(UNENDED[name])
        self.project = self._written(placer, router)

    def _words(self, name: str) -> tuple[str, ...]:
        return tuple(getattr(self.project, name))

    def _step(self, name: str, stuck: Callable[[str], bool] = lambda line: False) -> bool:
        """Run one tool, if there is one; a part too small is DoesNotFit, not a failed tool. False: it was stuck."""
        words, log = self._words(name), self.folder / f"{name}.log"
        if not words:
            return True
        self.say(f"{STEPS[name]} ({words[0]}, log {log})")
        try:
            run_tool(words, log, self.folder, stuck=stuck)
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
    """Whether router1, whose lines it is told one by one, gets no further, or has taken slow arcs up often enough."""

    def __init__(self) -> None:
        self.least, self.steps, self.slack = sys.maxsize, 0, list[float]()

    def __call__(self, line: str) -> bool:
        if found := re.search(r"ripped up due to negative slack WNS=(-?[\d.]+)ns", line):
            self.least, self.steps = sys.maxsize, 0
            self.slack.append(float(found[1]))
        elif found := re.match(r"Info: +\d+ \|.*\|.*\| +(\d+)\|", line):
            left = int(found[1])
            self.least, self.steps = (left, 0) if left < self.least else (self.least, self.steps + 1)
        return self.steps >= ROUTER_STEPS or len(self.slack) > ROUNDS

    def reached(self, aim: float) -> float:
        """MHz to ask for next: a little less than the best of the rounds began with; 0 without rounds."""
        return MARGIN * 1e3 / (1e3 / aim - max(self.slack)) if self.slack else 0.0
