"""A board without a board: the complete board top, verilated, with its UART pins behind a pty or in this process."""

from __future__ import annotations

import ctypes
import os
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgendt.boards import Board, Open, known
from edgendt.engine.config import Engine
from edgendt.engine.image import engine_id
from edgendt.engine.sources import board_sources
from edgendt.errors import BadInput
from edgendt.sim.compiled import build_library
from edgendt.sim.fast import SimulationStuck
from edgendt.synth.size import part
from edgendt.synth.usual import or_another
from edgendt.tools import share

BIT = 8  # clock cycles per UART bit: the fewest that edt_uart_rx takes; a board with 3 Mbaud has 29 or more
PATIENCE = 20_000_000  # cycles without a byte before a driver in this process hears nothing
PRESS = 16  # cycles that the button is held


def top_sources(top: str) -> list[Path]:
    """The board top, everything in it, and the vendor cells' models."""
    return [*board_sources(top), *sorted((share("sim") / "models").glob("*.sv"))]


def described(board: Board) -> Open:
    """What the board's top needs; BadInput for a board whose top this cannot drive."""
    if board.open is None or board.open.top != "edt_top_uart":
        those = [name for name in known() if (tools := Board.named(name).open) and tools.top == "edt_top_uart"]
        raise BadInput(f"board {board.name} cannot be emulated: choose one of {', '.join(those)}")
    return board.open


def build_board(board: Board, engine: Engine, sources: Sequence[Path] | None = None) -> Path:
    """Shared library of the board's verilated top; BadInput for a board whose top this cannot drive."""
    tools = described(board)
    baud, parameters = tools.baud, engine.parameters()
    values = {"ClkHz": BIT * baud, "Baud": baud, "EngineId": f"32'd{engine_id(parameters)}", **parameters}
    files = list(sources or top_sources(tools.top))
    return build_library(tools.top, files, share("sim") / "board_model.cpp", values, {"EDT_BIT": BIT})


class EmulatedBoard:
    """One board: `write` and `read` make it a driver's stream in this process, `pump` serves a file descriptor."""

    def __init__(self, board: Board, engine: Engine, sources: Sequence[Path] | None = None) -> None:
        self._power_up(build_board(board, engine, sources))

    def _power_up(self, library: Path) -> None:
        self._lib = _library(library)
        self._board = self._lib.edt_board_new()

    def __del__(self) -> None:
        if getattr(self, "_board", None):
            self._lib.edt_board_free(self._board)
            self._board = None

    @property
    def cycles(self) -> int:
        """Clock cycles since power-up."""
        return int(self._lib.edt_board_cycles(self._board))

    @property
    def lost(self) -> int:
        """Bytes that a host left unread too long, or that had no stop bit."""
        return int(self._lib.edt_board_lost(self._board))

    @property
    def leds(self) -> int:
        """The eight LEDs: bit 0 a network is loaded, bit 1 busy, bit 7 not in reset."""
        return int(self._lib.edt_board_leds(self._board))

    @property
    def in_waiting(self) -> int:
        """Bytes that `read` would give at once."""
        return int(self._lib.edt_board_waiting(self._board))

    def write(self, data: bytes) -> None:
        """Queue bytes for the receive pin."""
        self._lib.edt_board_send(self._board, data, len(data))

    def read(self, size: int) -> bytes:
        """Bytes from the transmit pin, at most `size`; the clock runs until there is one, or none will come."""
        if not self.in_waiting:
            self.run(PATIENCE, listen=True)
        data = ctypes.create_string_buffer(size)
        count = int(self._lib.edt_board_take(self._board, data, size))
        return data.raw[:count]

    def run(self, cycles: int, listen: bool = False) -> None:
        """Let the clock run; with `listen` until a byte has come or the board only waits."""
        self._judge(self._lib.edt_board_run(self._board, cycles, int(listen)))

    def press(self) -> None:
        """The reset button, pressed and released."""
        self._lib.edt_board_button(self._board, 1)
        self.run(PRESS)
        self._lib.edt_board_button(self._board, 0)
        self.run(PRESS)

    def pump(self, descriptor: int, milliseconds: int) -> int:
        """Serve a non-blocking file descriptor for a while; the cycles that passed."""
        return self._judge(self._lib.edt_board_pump(self._board, descriptor, milliseconds))

    def _judge(self, code: int) -> int:
        if code < 0:
            raise SimulationStuck("emulated board: an assertion of the RTL failed")
        return int(code)


@contextmanager
def on_a_pty(board: EmulatedBoard) -> Iterator[tuple[str, Callable[[], int]]]:
    """(path of the pty, a function that serves it for a tenth of a second and returns the cycles that passed)."""
    near, far = os.openpty()
    try:
        tty.setraw(far)
        os.set_blocking(near, False)
        yield os.ttyname(far), lambda: board.pump(near, 100)
    finally:
        os.close(near)
        os.close(far)


def emulate(
    board: str,
    engine: str | None,
    announce: Callable[[dict[str, Any]], object],
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Serve an emulated board on a pty until interrupted; `announce` gets where it is, the result what it did.

    BadInput: no such board or engine, or one that cannot be emulated. DoesNotFit; ToolMissing, ToolFailed of the build.
    """
    target = Board.named(board)
    described(target)  # BadInput: said before any build
    name = engine or target.own_engine
    built = Engine.named(name)
    with or_another(name, target):
        part(target, built)  # DoesNotFit: counted before any build
    if progress is not None:
        progress("building the simulation (a minute, once per engine)")
    model = EmulatedBoard(target, built)
    head = {"board": board, "engine": name, "engine_id": f"{engine_id(built.parameters()):08x}", "stage": "emulated"}
    with on_a_pty(model) as (port, serve):
        head = {"port": port} | head
        announce(head)
        try:
            while True:
                serve()
        except KeyboardInterrupt:
            return head | {"cycles": model.cycles, "lost": model.lost}


def _library(path: Path) -> Any:
    lib = ctypes.CDLL(str(path))
    board = ctypes.c_void_p
    lib.edt_board_new.restype = board
    lib.edt_board_free.argtypes = [board]
    lib.edt_board_button.argtypes = [board, ctypes.c_int]
    lib.edt_board_leds.argtypes = lib.edt_board_lost.argtypes = [board]
    lib.edt_board_cycles.argtypes = lib.edt_board_waiting.argtypes = [board]
    lib.edt_board_send.argtypes = lib.edt_board_take.argtypes = [board, ctypes.c_char_p, ctypes.c_int64]
    lib.edt_board_run.argtypes = [board, ctypes.c_int64, ctypes.c_int]
    lib.edt_board_pump.argtypes = [board, ctypes.c_int, ctypes.c_int]
    for name in ("cycles", "lost", "waiting", "take", "run", "pump"):
        getattr(lib, f"edt_board_{name}").restype = ctypes.c_int64
    return lib
