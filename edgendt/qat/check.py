"""Link 1 of the chain: the saved torch network, in eval mode, on real trials."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from edgendt.fixed import Codes
from edgendt.program import Program
from edgendt.qat.ndt import QuantNDT


def check_torch(program: Program, path: Path | str, counts: Iterable[Any]) -> dict[str, Codes]:
    """Codes of every node of the network saved at `path`, trials one after the other on the first axis.

    counts: one [bins, channels] per trial. The names are the Program's; KeyError when the network lacks one of them.
    """
    q = QuantNDT.load(path)
    traces = [q.trace(trial) for trial in counts]
    return {node.name: np.concatenate([trace[node.name] for trace in traces]) for node in program.nodes}
