"""Vendor projects of the hls4ml flow, of networks as `edgendt quantize` makes them: their own benches under g++."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from networks import random_counts, random_ndt

from edgendt.artifact import Run
from edgendt.boards import Board
from edgendt.data.stimulus import packed
from edgendt.errors import ToolFailed
from edgendt.firmware.library import flags
from edgendt.firmware.project import of_board
from edgendt.program import Program
from edgendt.synth import synthesise
from edgendt.tools import run_tool

NOTE = """`edgendt synth --flow hls4ml` of networks of the sizes that `edgendt quantize` makes of the Lorenz data (30
channels, random weights), onto two AMD boards each; the project's own test bench, compiled with g++, compares every op
of a trial or a window with the Program. Multipliers, blocks of 18 kbit and cycles (of a bin or a window; of a POYO
with as many tokens as the part has room for, of which the window here has 269) are of the folding plan, analytic; no
vendor tool has run."""
BINS, UNITS = 50, 30
BOARDS = {"NDT": ("pynq-z2", "kv260"), "STNDT": ("pynq-z2", "kv260"), "POYO": ("zcu102", "zcu104")}


def table() -> list[dict[str, Any]]:
    """One row per network and board."""
    return [_row(name, program, given, board) for name, (program, given) in _networks() for board in BOARDS[name]]


def _networks() -> list[tuple[str, tuple[Program, Any]]]:
    ndt = random_ndt(1, UNITS, 64, 2, 2, 128, outputs=UNITS, window=32, bins=BINS)
    stndt = random_ndt(1, UNITS, UNITS, 2, 2, 128, outputs=UNITS, bins=BINS, causal=False, spatial=2)
    return [
        ("NDT", (ndt, random_counts(ndt, 1, BINS))),
        ("STNDT", (stndt, random_counts(stndt, 1, BINS))),
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
        run = Run(Path(folder) / "r")
        with run.write("quantize") as stage:
            program.save(stage / "program.edt")
            trial = packed([given]) if program.inputs else {"counts": given[None], "lengths": np.array([len(given)])}
            np.savez(stage / "stimulus.npz", **trial)
        plan = synthesise(run, board, flow="hls4ml")["analytic"]
        said = _bench(run.stage(f"synth-{board}"), of_board(Board.named(board)).sources)
    return {
        "network": name,
        "board": board,
        "multipliers": f"{plan['multipliers']:,} of {plan['multipliers_available']:,}",
        "blocks": f"{plan['blocks']:,} of {plan['blocks_available']:,}",
        "cycles": plan["cycles"],
        "ops": len(program.nodes),
        "bench": said,
        "stage": "analytic; emulated",
    }


def _bench(project: Path, sources: tuple[str, ...]) -> str:
    """What the project's test bench says; ToolFailed unless every op is equal."""
    words = [word for word in flags(project) if word not in ("-shared", "-O1")]
    files = (f"firmware/{stem}.cpp" for stem in sources)
    run_tool(("g++", "-O1", *words, "edt_test.cpp", *files, "-o", "bench"), project / "bench.log", project)
    done = subprocess.run([project / "bench"], cwd=project, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ToolFailed("bench", project / "bench.log", done.stdout.strip())
    return done.stdout.strip()
