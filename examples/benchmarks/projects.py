"""Vendor projects of the hls4ml flow, of networks as `edgendt quantize` makes them: their own benches under g++."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import own_bench
from networks import keep_run, one_trial, random_counts, random_ndt

from edgendt.errors import ToolFailed
from edgendt.program import Program
from edgendt.synth import synthesise

NOTE = """`edgendt synth --flow hls4ml` of networks of the sizes that `edgendt quantize` makes of the Lorenz data (30
channels, random weights) and of Chewie's STNDT (docs/stndt.md, random weights), onto AMD boards; the project's own test
bench, compiled with g++, compares every op of a trial or a window with the Program. Multipliers, blocks of 18 kbit,
UltraRAMs and cycles (of a bin or a window; of a POYO with as many tokens as the part has room for, of which the window
here has 269) are of the folding plan, analytic; no vendor tool has run."""
BINS, UNITS = 50, 30
BOARDS = {
    "NDT": ("pynq-z2", "kv260"),
    "STNDT": ("pynq-z2", "kv260"),
    "STNDT, Chewie": ("kv260", "zcu104"),
    "POYO": ("kv260", "zcu102", "zcu104"),
}


def table() -> list[dict[str, Any]]:
    """One row per network and board."""
    return [_row(name, program, given, board) for name, (program, given) in _networks() for board in BOARDS[name]]


def _networks() -> list[tuple[str, tuple[Program, Any]]]:
    ndt = random_ndt(1, UNITS, 64, 2, 2, 128, outputs=UNITS, window=32, bins=BINS)
    stndt = random_ndt(1, UNITS, UNITS, 2, 2, 128, outputs=UNITS, bins=BINS, causal=False, spatial=2)
    chewie = random_ndt(1, 130, 174, 2, 2, 128, outputs=174, bins=14, causal=False, spatial=2)
    return [
        ("NDT", (ndt, random_counts(ndt, 1, BINS))),
        ("STNDT", (stndt, random_counts(stndt, 1, BINS))),
        ("STNDT, Chewie", (chewie, random_counts(chewie, 1, 14))),
        ("POYO", _poyo()),
    ]


def _poyo() -> tuple[Program, Mapping[str, Any]]:
    """The preset `compact`, and a window of 500 ms."""
    from edgendt.data.events import jittered
    from edgendt.data.lorenz import lorenz_sessions
    from edgendt.data.tokens import Cut, gather
    from edgendt.models.poyo import POYO, Tokens, preset
    from edgendt.qat.poyo import QuantPOYO, given

    data = jittered(lorenz_sessions(0, sessions=1, trials=4, bins=25, channels=UNITS, bin_s=0.02)[0])
    tokens = Tokens.of(gather((data,), [Cut(0, 0, 0, 500, 0, 25)]))
    program = QuantPOYO.from_float(POYO(preset("compact", units=UNITS)), tokens).program("compact")
    return program, given(tokens, 0)


def _row(name: str, program: Program, given: Any, board: str) -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        run = keep_run(Path(folder) / "r", program, **one_trial(program, given))
        plan = synthesise(run, board, flow="hls4ml")["analytic"]
        bench = own_bench.compiled(run.stage(f"synth-{board}"), board, level="-O1")
        status, said = own_bench.said(bench)
        if status:
            raise ToolFailed("bench", bench, said)
    return {
        "network": name,
        "board": board,
        "multipliers": f"{plan['multipliers']:,} of {plan['multipliers_available']:,}",
        "blocks": f"{plan['blocks']:,} of {plan['blocks_available']:,}",
        "UltraRAMs": f"{plan['ultra_rams']} of {plan['ultra_rams_available']}",
        "cycles": plan["cycles"],
        "ops": len(program.nodes),
        "bench": said,
        "stage": "analytic; emulated",
    }
