"""What others published about the way from spikes to a decoded bin and about transformers on FPGAs, and our figure."""

from __future__ import annotations

from typing import Any

from benchmarks.route import reached
from edgendt.boards import DEFAULT, Board
from edgendt.engine.compile import compile_program
from edgendt.engine.config import Engine
from edgendt.engine.cycles import cycles_of
from edgendt.engine.reference import S

NOTE = """Figures as their sources state them; networks, data, precision and what a figure includes differ, so no row
ranks another. A window or a trial is many bins; ours is one bin, without the line
to the host, at the clock of the best seed of `route-full` above. A dash: not known here."""
UNNAMED = "–"
PUBLISHED = (
    (
        "NDT, monkey reaching",
        "GPU",
        "3.9 ms per window",
        "measured",
        "Ye, Pandarinath 2021, arXiv:2108.01210",
    ),
    (
        "RNN decoder in BRAND, spikes to prediction",
        "Linux computer",
        "< 8 ms",
        "measured",
        "Ali et al. 2024, doi:10.1088/1741-2552/ad3b3a",
    ),
    (
        "closed loop through Open Ephys, no network",
        "acquisition board, USB, computer",
        "about 20 ms, 10 at best",
        "measured",
        "Open Ephys, acquisition board manual, Measuring round-trip latency",
    ),
    (
        "LFADS by hls4ml, 16 bits",
        "AMD U55C",
        "41.97 µs per trial",
        "as its abstract has it",
        "Liu et al. 2024, arXiv:2402.04274",
    ),
    (
        "NDT by hls4ml, 18 bits",
        "AMD U55C, not built",
        "co-bps 0.3634 (float), 0.3603",
        "C simulation",
        UNNAMED,
    ),
    (
        "transformer by FINN, 4 bits, d 96",
        "AMD ZU3EG",
        "0.75 ms, and 0.74 ms on the CPU behind it; 1,461/s",
        UNNAMED,
        UNNAMED,
    ),
    (
        "transformer by finn-plus, its own check",
        UNNAMED,
        "equal within `atol` 0.5",
        UNNAMED,
        UNNAMED,
    ),
)


def table() -> list[dict[str, Any]]:
    """The published rows, then ours."""
    names = ("what", "on", "figure", "stage", "source")
    rows = [dict(zip(names, row, strict=True)) for row in PUBLISHED]
    cycles = cycles_of(compile_program(S.program(), Engine.named("full")), S.window - 1).total
    board, clock = Board.named(DEFAULT), reached()
    ours = f"{cycles / clock:.1f} µs per bin: {cycles:,} cycles at {clock:g} MHz"
    stage = "analytic cycles, post-route clock"
    return [
        *rows,
        dict(zip(names, ("NDT of size S, exact", f"{board.title}, `full`", ours, stage, "here"), strict=True)),
    ]
