"""`edgendt load`: a run's network onto the board behind a port."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from edgendt.artifact import Run
from edgendt.engine import protocol
from edgendt.host.attach import UNCHANGED, attach, bar
from edgendt.wiring import Wiring


def load(
    run: Run, port: str, board: str, engine: str | None = None, wiring: Wiring = UNCHANGED, *, quiet: bool = False
) -> dict[str, Any]:
    """Wire, compile and load; returns what was sent. BadInput and LinkError as `attach` and `Link.load` raise them.

    bytes, frames: of the load as it goes over the wire once; see `Link.counters` for what befell it there.
    """
    with attach(run, port, board, engine, wiring) as attached, bar("frames", quiet) as progress:
        image = attached.compiled.image
        packets = [protocol.slip(packet) for packet in protocol.load(image)]
        begin = perf_counter()
        attached.link.load(image, progress)
        seconds = perf_counter() - begin
        return attached.head() | {
            "channels": image.channels,
            "outputs": image.outputs,
            "engine_id": f"{image.engine_id:08x}",
            "image_crc": f"{image.crc:08x}",
            "seconds": round(seconds, 3),
            "bytes": sum(map(len, packets)),
            "frames": len(packets) - 2,  # without BEGIN and COMMIT
            **attached.link.counters(),
        }
