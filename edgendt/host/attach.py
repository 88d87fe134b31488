"""A port, the engine that answers there, and a run's network compiled for it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgendt.artifact import Run
from edgendt.boards import Board
from edgendt.data.stimulus import stimulus
from edgendt.engine.compile import Compiled
from edgendt.engine.config import ENGINES
from edgendt.engine.image import engine_id
from edgendt.engine.protocol import Answer, Info
from edgendt.errors import BadInput
from edgendt.host.kept import Kept
from edgendt.host.link import Link
from edgendt.host.port import open_port
from edgendt.program import Program
from edgendt.synth.usual import compiled_for
from edgendt.wiring import Wiring

BOARD, EMULATED = "board", "emulated"  # the stage of what is measured through a port
PTYS = ("/dev/pts/", "/dev/ttys")  # Linux, macOS: a program is at the other end
SECONDS = {BOARD: 0.5, EMULATED: 10.0}  # of silence before a request is repeated; a simulation takes its time
BAUD = 3_000_000
UNCHANGED = Wiring()


@dataclass(frozen=True)
class Attached:
    """The driver on a port and a run's network for the engine there. stage: `board` or `emulated`."""

    run: Run
    port: str
    board: str
    engine: str
    stage: str
    compiled: Compiled
    link: Link
    answer: Answer
    info: Info
    wiring: Wiring

    @property
    def program(self) -> Program:
        """The run's network as it is wired."""
        return self.compiled.program

    def head(self) -> dict[str, str]:
        """What every result says of its origin."""
        return {
            "run": str(self.run.path),
            "port": self.port,
            "board": self.board,
            "engine": self.engine,
            "stage": self.stage,
        }

    def demand_network(self) -> None:
        """BadInput unless the board answers with the run's very image."""
        want, has = self.compiled.image.crc, self.info.image_crc
        if not self.answer.ready or has != want:
            now = f"network {has:08x}" if self.answer.ready else "no network"
            raise BadInput(
                f"the board on {self.port} has {now} and run {self.run.path}{self.wiring} is {want:08x}: "
                f"run `edgendt load {self.run.path} --port {self.port}{self.wiring}` first, "
                "or give the --outputs, --channels and --dead that it was loaded with"
            )


@contextmanager
def attach(run: Run, port: str, board: str, engine: str | None, wiring: Wiring = UNCHANGED) -> Iterator[Attached]:
    """Compile the run for the board's engine (`engine` in its place), open the port and ask who is there.

    BadInput: no such run, board or port, options that do not suit, or the board has another engine. LinkError when
    nobody answers.
    """
    target = Board.named(board)
    program = wiring.apply(Program.load(run.stage("quantize") / "program.edt"))
    name, compiled = compiled_for(target, program, engine, built=True)
    stage = stage_of(port)
    baud = target.open.baud if target.open else BAUD
    with closing(open_port(port, baud, SECONDS[stage])) as stream:
        link = Link(stream, limit=compiled.limit, kept=Kept.of_port(port))
        answer, info = link.status()
        if info.engine_id != compiled.image.engine_id:
            own = f"{name} ({compiled.image.engine_id:08x})"
            raise BadInput(
                f"run {run.path} is compiled for engine {own} and the board on {port} has {named(info.engine_id)}: "
                "give the board's as --engine"
            )
        yield Attached(run, port, board, name, stage, compiled, link, answer, info, wiring)


def wired(run: Run, wiring: Wiring, bins: int | None = None, clip: bool = True) -> tuple[Any, ...]:
    """The run's test trials (see `stimulus`) as the electrodes see them, [bins, electrodes] each; windows of tokens."""
    network = Program.load(run.stage("quantize") / "program.edt")
    if network.inputs:
        return stimulus(run, network, bins)
    return tuple(wiring.counts(network, trial) for trial in stimulus(run, network, bins, clip))


def stage_of(port: str) -> str:
    """`emulated` for a pty, where a program answers; `board` for any other port."""
    return EMULATED if str(Path(port).resolve()).startswith(PTYS) else BOARD


def named(number: int) -> str:
    """An engine id with the name of the engine, where it is one of ours."""
    names = [name for name, engine in ENGINES.items() if engine_id(engine.parameters()) == number]
    return f"{names[0]} ({number:08x})" if names else f"{number:08x}, none of {', '.join(ENGINES)}"


@contextmanager
def bar(what: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A progress function (done, of all) that draws a bar on stderr; nothing when quiet or not on a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    hidden = quiet or not sys.stderr.isatty()
    with Progress(console=Console(stderr=True), disable=hidden, transient=True) as drawn:
        task = drawn.add_task(what, total=None)
        yield lambda done, total: drawn.update(task, completed=done, total=total)
