"""Choose a source by name: a built-in system, or a file; as counts per bin, or as spike times."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgendt.artifact import read_arrays
from edgendt.data.chaotic_rnn import chaotic_rnn
from edgendt.data.dataset import Dataset
from edgendt.data.events import SpikeTimes, jittered, read_times
from edgendt.data.lorenz import lorenz, lorenz_sessions
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


def load_times(source: str, seed: int = 0, session: str = "", conditions: int | None = None) -> tuple[SpikeTimes, ...]:
    """Sessions of spike times with velocity: `lorenz` (its first two coordinates; `conditions` trials), or an .npz of
    recorded `times`, or of `spikes` and `vel`, whose counts are jittered within bins. session: names by commas. Raises
    BadInput.
    """
    if source == "lorenz" and not session:
        if conditions is not None and conditions < 1:
            raise BadInput(f"data.conditions must be at least 1, got {conditions}")
        return (jittered(lorenz_sessions(seed, 1, conditions or 100)[0], seed),)
    names = session.split(",")
    if source in BUILT_IN or not source.endswith(".npz"):
        return tuple(jittered(load(source, seed, name, conditions), seed) for name in names)
    recorded = any(key.rpartition("/")[2] == "times" for key in read_arrays(Path(source)))
    return tuple(
        read_times(source, name.strip()) if recorded else jittered(load(source, seed, name.strip()), seed)
        for name in names
    )
