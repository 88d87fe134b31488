"""RTL that an HLS tool made of the firmware behind AXI4-Streams, in a simulation at those streams."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgendt.compare import Tally, compare
from edgendt.errors import BadInput, ToolFailed
from edgendt.firmware.axis import packets
from edgendt.program import Program
from edgendt.sim.simulator import build, last_error, simulate
from edgendt.tools import share

TOP, BENCH = "vendor_top", "vendor_bench"
VENDOR = "edgendt_axis"  # what the tool calls its top
REFUSED = {  # the first word of an answer that is alone
    1: "it refused the packet: one of another network, or a window with more rows than it has room for",
    2: "it refused a bin past the last position row",
    3: "it holds no network",
}


def sources(folder: Path) -> list[Path]:
    """The Verilog of a folder; BadInput without the top of the streams."""
    found = sorted(path for path in folder.glob("*") if path.suffix in (".v", ".sv"))
    if not any(f"module {VENDOR}" in path.read_text(errors="replace") for path in found):
        raise BadInput(
            f"{folder} has no Verilog module {VENDOR}: give the syn/verilog folder of a project that was written with "
            "--ports axis"
        )
    return found


def simulated(program: Program, trials: Sequence[Any], rtl: Path, folder: Path, timeout: int = 1_000_000) -> Tally:
    """Trials through the RTL, packet by packet; the network's output against the Program. BadInput, ToolMissing;
    ToolFailed when the bench itself fails.

    rtl: Verilog, with the tables it reads and the C++ of DPI models, if any; folder: gets packets and answers;
    timeout: cycles that an answer may take.
    """
    files, glue = sources(rtl), sorted(rtl.glob("*.cpp"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in glue)).hexdigest()[:12]
    args = [*map(str, glue), "-CFLAGS", f"-DGLUE_{digest}", "-LDFLAGS", "-ldl"] if glue else []
    each = [packets(program, given) for given in trials]
    paths = {name: folder / f"{name}.npz" for name in ("packets", "answers")}
    words = [packet for trial in each for packet in trial]
    arrays: dict[str, Any] = {str(number): packet for number, packet in enumerate(words)}
    np.savez(paths["packets"], **arrays)
    tables = [path for path in rtl.iterdir() if path.suffix in (".dat", ".hex", ".mem")]
    try:
        built = build(TOP, [share("sim") / f"{TOP}.sv", *files], args=args)
        case = {name: str(path) for name, path in paths.items()} | {"timeout": timeout}
        simulate(BENCH, TOP, built, case, files=tables)
    except (AssertionError, RuntimeError) as error:
        (folder / "bench.log").write_text(str(error))
        raise ToolFailed("the bench of the vendor's RTL", folder / "bench.log", last_error(str(error))) from None
    with np.load(paths["answers"]) as found:
        answers = iter([found[str(number)] for number in range(len(words))])
    tally = Tally()
    for given, trial in zip(trials, each, strict=True):
        got = [next(answers) for _ in trial]
        tally += _compare(program, given, got, folder)
    return tally


def _compare(program: Program, given: Any, answers: list[Any], folder: Path) -> Tally:
    """The output of one trial; ToolFailed where a packet was refused or its answer has another length."""
    expected = program.run(given)
    size = expected.size // len(answers)
    for call, words in enumerate(answers):
        if words[0] != 0 or len(words) != 1 + size:
            reason = f"call {call} was answered by {len(words)} words, the first {words[0]}, instead of 0 and {size}"
            if len(words) == 1 and int(words[0]) in REFUSED:
                reason += f": {REFUSED[int(words[0])]}"
            raise ToolFailed("the vendor's RTL", folder, reason)
    codes = np.concatenate([words[1:] for words in answers]).astype(np.int64).reshape(expected.shape)
    whole = not program.streams
    return compare("rtl", {program.output: expected}, {program.output: codes}, whole=whole)
