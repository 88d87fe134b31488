"""Three trained networks at their default size, each with real or generated trials; see tests/trained/README.md."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgendt.fixed import Codes
from edgendt.program import Program

FOLDER = Path(__file__).parent / "trained"
NAMES = ("lorenz", "chaotic_rnn", "chewie")


def trained(name: str) -> tuple[Program, list[Codes]]:
    """(Program, test trials [bins, channels] of at least 100 bins together)."""
    program = Program.load(FOLDER / f"{name}.edt")
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as data:
        trials = [program.clip(data[key])[0] for key in data.files]
    return program, trials
