"""What one bin costs on the line between host and board."""

from __future__ import annotations

from typing import Any

from edgendt.boards import Board
from edgendt.engine.protocol import bytes_per_bin
from edgendt.engine.schedule import channels_of
from edgendt.program import Program

BITS = 10  # of a byte on a UART: start, eight, stop
FEW = 15  # the largest count of four bits


def wire(program: Program, board: Board, largest: int | None = None) -> dict[str, Any]:
    """Bytes of a bin's (or a token's, or a query's) request and answer, framing and CRC included, and the µs of both on
    the board's UART.

    Stage analytic: as the driver sends them (`Link.step`), one after the other, nothing sent twice, no byte escaped.
    baud and us are None where the board's UART is not described. four_bits: the same of counts of four bits, where this
    network's have more and `largest`, the largest count of the recording, needs no more; else None.
    """
    limit, baud = min(program.input.hi, 255), board.open.baud if board.open else None

    def sizes(limit: int) -> dict[str, Any]:
        each = bytes_per_bin(channels_of(program), program.outputs, limit)
        starts = 2 if program.bins else 1  # of a whole window one brings a bin's counts, another fetches its answer
        request, answer = (starts * n for n in each)
        micros = None if baud is None else round((request + answer) * BITS * 1e6 / baud, 2)
        return {"request_bytes": request, "answer_bytes": answer, "bytes": request + answer, "us": micros}

    few = largest is not None and largest <= FEW < limit and not program.inputs
    of = "token or query" if program.inputs else "bin"
    rest = {"of": of, "baud": baud, "largest_count": largest, "four_bits": sizes(FEW) if few else None}
    return sizes(limit) | rest | {"stage": "analytic"}


def words(line: dict[str, Any]) -> str:
    """`wire` in one sentence."""
    at = "" if line["us"] is None else f", {line['us']:,.1f} µs at {line['baud']:,} baud"
    both = f"{line['request_bytes']} + {line['answer_bytes']} = {line['bytes']} bytes"
    said = f"link: {both} per {line['of']}{at} ({line['stage']})"
    few, largest = line["four_bits"], line["largest_count"]
    if few is None:
        return said
    return f"{said}; {few['bytes']} with bits.counts=4, and no count of the recording is above {largest}"
