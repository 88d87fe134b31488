"""The engine in the programmable logic of this very computer: a byte stream over PYNQ's AXI DMA (docs/axi.md)."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from edgendt.engine.protocol import MAX_PACKET, Unslip, slip
from edgendt.engine.registers import MAGIC, Register

PREFIX = "pynq:"  # of a port: pynq:PATH/BOARD.bit, with BOARD.hwh beside it
RESET = 0x4  # bit of the DMA's first register: set until both channels are as after power-up


class Dma:
    """A driver's stream: what is written goes out as packets without SLIP, an answer is read as SLIP.

    The receiving channel always waits for an answer: the engine takes no request before it has given the last one.
    OSError when the DMA fails or takes no packet within `timeout` seconds.
    """

    def __init__(self, overlay: Any, allocate: Any, timeout: float) -> None:
        self._dma, self._timeout = overlay.dma, timeout
        self._out, self._in = (allocate(shape=(MAX_PACKET,), dtype="u1") for _ in range(2))
        self._unslip, self._arrived = Unslip(), bytearray()
        self._restart()

    def write(self, data: bytes) -> None:
        """Send every packet that `data` completes."""
        for packet in self._unslip.feed(data):
            self._out[: len(packet)] = np.frombuffer(packet, np.uint8)
            self._transfer(self._dma.sendchannel, self._out, len(packet))
            end = perf_counter() + self._timeout
            while not self._dma.sendchannel.idle:
                self._collect()
                if perf_counter() > end:
                    self._restart()
                    raise TimeoutError(f"the engine took no request for {self._timeout:g} s: is it held in reset?")

    def read(self, size: int) -> bytes:
        """Up to `size` bytes of answers; none when `timeout` seconds bring none."""
        end = perf_counter() + self._timeout
        while not self.in_waiting and perf_counter() < end:
            pass
        data = bytes(self._arrived[:size])
        del self._arrived[:size]
        return data

    @property
    def in_waiting(self) -> int:
        """Bytes that can be read at once."""
        self._collect()
        return len(self._arrived)

    def close(self) -> None:
        """Stop the DMA: it must not write to memory that is no longer ours. The network stays."""
        self._reset()

    def _reset(self) -> None:
        self._dma.mmio.write(0, RESET)
        while self._dma.mmio.read(0) & RESET:
            pass

    def _restart(self) -> None:
        """Forget what an earlier program, or a failure, left under way."""
        self._reset()
        self._dma.sendchannel.start()
        self._dma.recvchannel.start()
        self._transfer(self._dma.recvchannel, self._in, MAX_PACKET)

    def _collect(self) -> None:
        """Take an answer that has arrived whole, and wait for the next one."""
        channel = self._dma.recvchannel
        if channel.idle:
            try:
                channel.wait()
            except RuntimeError as error:
                raise OSError(str(error)) from error
            self._arrived += slip(bytes(self._in[: channel.transferred]))
            self._transfer(channel, self._in, MAX_PACKET)

    def _transfer(self, channel: Any, buffer: Any, size: int) -> None:
        try:
            channel.transfer(buffer, nbytes=size)
        except RuntimeError as error:
            raise OSError(str(error)) from error


def open_overlay(bitstream: str, timeout: float) -> Dma:
    """The engine of a bitstream, loaded into the logic unless it is there already: so a network outlives a program.

    OSError, RuntimeError or ValueError when PYNQ is not here, refuses, or the bitstream is another design.
    """
    try:
        import pynq
    except ModuleNotFoundError as error:
        raise OSError("the Python package pynq is not here: it comes with the image of a PYNQ board") from error
    overlay = pynq.Overlay(str(Path(bitstream).resolve()), download=False)
    if not overlay.is_loaded():
        overlay.download()
    if "engine" not in overlay.ip_dict or overlay.engine.read(Register.MAGIC) != MAGIC:
        raise OSError("the bitstream holds no engine of edgendt")
    return Dma(overlay, pynq.allocate, timeout)
