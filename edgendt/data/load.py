"""Choose a source by name: a built-in system, or a file."""

from __future__ import annotations

from collections.abc import Callable

from edgendt.data.chaotic_rnn import chaotic_rnn
from edgendt.data.dataset import Dataset
from edgendt.data.lorenz import lorenz
from edgendt.data.spikes import read
from edgendt.errors import BadInput

BUILT_IN: dict[str, Callable[..., Dataset]] = {"lorenz": lorenz, "chaotic_rnn": chaotic_rnn}


def load(source: str, seed: int = 0, session: str = "", conditions: int | None = None) -> Dataset:
    """`lorenz`, `chaotic_rnn` (seeded; `conditions` shrinks them) or a path to an .npz. Raises BadInput."""
    if source in BUILT_IN:
        if session:
            raise BadInput(f"data.session selects a session of a file; {source} is built in and has none")
        if conditions is not None and conditions < 1:
            raise BadInput(f"data.conditions must be at least 1, got {conditions}")
        make = BUILT_IN[source]
        return make(seed) if conditions is None else make(seed, conditions)
    if not source.endswith(".npz"):
        raise BadInput(f"--data must be {', '.join(BUILT_IN)} or a FILE.npz, got {source}")
    return read(source, session)
