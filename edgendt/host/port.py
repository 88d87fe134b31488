"""Open a port by its name, or say in one sentence why not and what to do."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from edgendt.errors import BadInput
from edgendt.host import pynq
from edgendt.host.link import LinkError, Stream

LOOKS = "a serial port such as /dev/ttyUSB0, pynq:BOARD.bit, or the port that `edgendt emulate` prints"
ADVICE = {
    errno.ENOENT: f"is the cable in and the board on? A port is {LOOKS}",
    errno.EACCES: "join the group that may use it, mostly `sudo usermod -aG dialout $USER`, and log in again",
    errno.EBUSY: "another program has it open: end that one",
}


class NoPort(LinkError, BadInput):
    """The port that the user named cannot be opened."""


class Port(Stream, Protocol):
    """A stream that is closed at its end."""

    def close(self) -> None: ...


def asked(port: str | None) -> str:
    """The port that an option gave; NoPort says what one looks like where it gave none."""
    if not port:
        raise NoPort(f"no port was given: --port is {LOOKS}")
    return port


def open_port(port: str, baud: int = 3_000_000, timeout: float = 0.5) -> Port:
    """A serial port, a pty, or `pynq:BITSTREAM` on a PYNQ board; NoPort when it cannot be opened."""
    try:
        if port.startswith(pynq.PREFIX):
            return pynq.open_overlay(port.removeprefix(pynq.PREFIX), timeout)
        return _serial(port, baud, timeout)
    except (OSError, RuntimeError, ValueError) as error:
        raise NoPort(f"port {port} cannot be opened: {_why(port, error)}") from error


def _serial(port: str, baud: int, timeout: float) -> Port:
    import serial  # type: ignore[import-untyped]

    stream = serial.Serial(port, baud, timeout=timeout)  # its SerialException is an OSError
    with suppress(AttributeError, NotImplementedError, ValueError):  # Linux alone has it, and there not every port
        stream.set_low_latency_mode(True)  # an FTDI holds a short answer back for 16 ms otherwise
    opened: Port = stream
    return opened


def _why(port: str, error: Exception) -> str:
    """The system's words, once, and what to do."""
    if Path(port).exists() and not Path(port).is_char_device():
        return f"it is no device; a port is {LOOKS}"
    number = getattr(error, "errno", None)
    if number is None:
        return str(error)
    advice = ADVICE.get(number)
    return os.strerror(number) + (f"; {advice}" if advice else "")
