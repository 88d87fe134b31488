"""Test windows, or trials, of a run through the compiled RTL: every code of every op, the cycles of every start.

    python examples/windows.py RUN [--most 20] [--engine tokens]

What `edgendt sim` does at the engine's ports, here without them: seconds a window.
"""

from __future__ import annotations

import argparse

from edgendt.artifact import RUNS, Run
from edgendt.compare import Tally
from edgendt.data.stimulus import stimulus
from edgendt.estimate import program_of
from edgendt.sim.fast import FastCore
from edgendt.synth.usual import compiled_for


def main() -> None:
    """Compare, print a line per window and one for all; Mismatch: the first difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--most", type=int, default=20, help="windows")
    parser.add_argument("--engine")
    options = parser.parse_args()
    program = program_of(options.run, RUNS)
    _, compiled = compiled_for(None, program, options.engine)
    core = FastCore(compiled.engine)
    core.load(compiled)
    windows = stimulus(Run.open(options.run, RUNS), program, None)[: options.most]
    total = Tally()
    for number, given in enumerate(windows):
        tally = core.compared(given)
        print(f"window {number}: {tally.codes:,} codes, {tally.mismatches} differ", flush=True)
        total += tally
    print(f"{len(windows)} windows, {total.ops} ops: {total.codes:,} codes, {total.mismatches} differ")
    if total.first is not None:
        raise total.first


if __name__ == "__main__":
    main()
