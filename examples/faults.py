"""A campaign of faults on a board's link, as large as asked: `python examples/faults.py --cases 1000`.

Through the emulated board's RTL (`--through rtl`: UART, SLIP, link and core; needs Verilator) or the protocol's
reference in Python (`--through reference`). Ends with status 1 when a wrong answer was accepted.
"""

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "sim"), str(ROOT / "tests")]

from faults import KNOWN_SHAPE, campaign  # noqa: E402
from networks import random_ndt  # noqa: E402
from op_engine import TINY  # noqa: E402
from reference_board import ReferenceBoard  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.progress import Progress  # noqa: E402

from edgendt.boards import Board  # noqa: E402
from edgendt.engine.compile import compile_program  # noqa: E402
from edgendt.sim.emulator import EmulatedBoard  # noqa: E402


def main() -> int:
    """Run the campaign and print its report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--through", choices=["rtl", "reference"], default="rtl")
    options = parser.parse_args()
    known = [compile_program(random_ndt(seed, **KNOWN_SHAPE), TINY) for seed in range(2)]
    rtl = options.through == "rtl"
    board = EmulatedBoard(Board.named("ulx3s-85f"), TINY) if rtl else ReferenceBoard(*known)
    begin = time.monotonic()
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("cases", total=options.cases)
        report = campaign(board, known, options.cases, options.seed, lambda done: bar.update(task, completed=done))
    print(f"{report.line()}; seed {options.seed}, {options.through}, {time.monotonic() - begin:.0f} s")
    for sentence in report.wrong[:20]:
        print(sentence)
    return int(bool(report.wrong))


if __name__ == "__main__":
    sys.exit(main())
