"""RTL that an HLS tool made of the firmware, in a simulation: packet by packet behind AXI4-Streams, or call by call at
the ports of the plain top's arrays.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgendt.compare import Tally, compare
from edgendt.errors import BadInput, ToolFailed
from edgendt.firmware import arrays
from edgendt.firmware.axis import packets
from edgendt.fixed import Codes
from edgendt.program import Program
from edgendt.sim.arrays import WRAPPER, wrapper
from edgendt.sim.simulator import build, last_error, simulate
from edgendt.tools import share

STREAMS = "edgendt_axis"  # what the tool calls its top behind AXI4-Streams
REFUSED = {  # the first word of an answer that is alone
    1: "it refused the packet: one of another network, or a window with more rows than it has room for",
    2: "it refused a bin past the last position row",
    3: "it holds no network",
}


@dataclass(frozen=True)
class Rtl:
    """What a tool left: its files, glue being C++ of DPI models. ports: of the plain top, if it is that."""

    verilog: tuple[Path, ...]
    glue: tuple[Path, ...]
    tables: tuple[Path, ...]
    ports: arrays.Ports | None

    @classmethod
    def of(cls, folder: Path, program: Program) -> Rtl:
        """Of a folder; BadInput without a top of the firmware, or with that of another network."""
        files = sorted(folder.glob("*"))
        verilog = {path: path.read_text(errors="replace") for path in files if path.suffix in (".v", ".sv")}
        for top in (STREAMS, arrays.TOP):
            texts = [text for text in verilog.values() if re.search(rf"\bmodule\s+{top}\b", text)]
            if texts:
                break
        else:
            raise BadInput(
                f"{folder} has no Verilog module {arrays.TOP} or {STREAMS}: give the syn/verilog folder of a "
                "project of the flow hls4ml"
            )
        return cls(
            tuple(verilog),
            tuple(path for path in files if path.suffix == ".cpp"),
            tuple(path for path in files if path.suffix in (".dat", ".hex", ".mem")),
            arrays.Ports.of(program, texts[0]) if top == arrays.TOP else None,
        )

    def run(self, bench: str, wrapped: str, around: Path, case: dict[str, Any], folder: Path) -> None:
        """A bench on the top inside a module that has the bench's names. ToolFailed. folder: keeps a log of that."""
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in self.glue)).hexdigest()[:12]
        args = [*map(str, self.glue), "-CFLAGS", f"-DGLUE_{digest}", "-LDFLAGS", "-ldl"] if self.glue else []
        try:
            built = build(wrapped, [around, *self.verilog], args=args)
            simulate(bench, wrapped, built, case, files=self.tables)
        except (AssertionError, RuntimeError) as error:
            (folder / "bench.log").write_text(str(error))
            raise ToolFailed("the bench of the vendor's RTL", folder / "bench.log", last_error(str(error))) from None


def simulated(program: Program, trials: Sequence[Any], rtl: Path, folder: Path, timeout: int = 1_000_000) -> Tally:
    """Trials through the RTL, bins or whole windows; the network's output against the Program. BadInput, ToolMissing;
    ToolFailed when the bench itself fails.

    rtl: Verilog, with the tables it reads and the C++ of DPI models, if any; folder: gets what goes in and comes out;
    timeout: cycles that an answer may take.
    """
    found = Rtl.of(rtl, program)
    through = _packets if found.ports is None else _calls
    tally = Tally()
    for given, codes in zip(trials, through(program, trials, found, folder, timeout), strict=True):
        expected = {program.output: program.run(given)}
        got = {program.output: codes.reshape(-1, program.outputs)}
        tally += compare("rtl", expected, got, program)
    return tally


def _packets(program: Program, trials: Sequence[Any], rtl: Rtl, folder: Path, timeout: int) -> list[Codes]:
    """The output of each trial, through the streams; ToolFailed for a packet refused, an answer of another length."""
    each = [packets(program, given) for given in trials]
    paths = {name: folder / f"{name}.npz" for name in ("packets", "answers")}
    words: dict[str, Any] = {str(at): packet for at, packet in enumerate(packet for trial in each for packet in trial)}
    np.savez(paths["packets"], **words)
    case = {name: str(path) for name, path in paths.items()} | {"timeout": timeout}
    rtl.run("vendor_bench", "vendor_top", share("sim") / "vendor_top.sv", case, folder)
    with np.load(paths["answers"]) as found:
        answers = iter([found[number] for number in words])
    codes = []
    for given, trial in zip(trials, each, strict=True):
        size = program.run(given).size // len(trial)
        codes += [_answered(next(answers), call, size, folder) for call in range(len(trial))]
    return _by_trial(codes, each)


def _answered(words: Any, call: int, size: int, folder: Path) -> Codes:
    """The codes of an answer."""
    if words[0] != 0 or len(words) != 1 + size:
        reason = f"call {call} was answered by {len(words)} words, the first {words[0]}, instead of 0 and {size}"
        if len(words) == 1 and int(words[0]) in REFUSED:
            reason += f": {REFUSED[int(words[0])]}"
        raise ToolFailed("the vendor's RTL", folder, reason)
    return np.asarray(words[1:], np.int64)


def _calls(program: Program, trials: Sequence[Any], rtl: Rtl, folder: Path, timeout: int) -> list[Codes]:
    """The output of each trial, through the arrays; ToolFailed where an element of it was never valid."""
    assert rtl.ports is not None
    each = [rtl.ports.calls(program, given) for given in trials]
    paths = {name: folder / f"{name}.json" for name in ("calls", "answers")}
    paths["calls"].write_text(json.dumps([[f"{word:x}" for word in call] for trial in each for call in trial]))
    (folder / f"{WRAPPER}.sv").write_text(wrapper(program, rtl.ports))
    case: dict[str, Any] = {name: str(path) for name, path in paths.items()}
    case |= {"widths": list(rtl.ports.widths.values()), "timeout": timeout}
    rtl.run("vendor_arrays_bench", WRAPPER, folder / f"{WRAPPER}.sv", case, folder)
    answers = iter(json.loads(paths["answers"].read_text()))
    codes = []
    for given, trial in zip(trials, each, strict=True):
        size = program.run(given).size // len(trial)
        for call in range(len(trial)):
            result, seen = (int(word, 16) for word in next(answers))
            _demand(rtl.ports.outputs[:size], seen, call, folder)
            codes.append(arrays.codes_of(result, size, program))
    return _by_trial(codes, each)


def _demand(names: Sequence[str], seen: int, call: int, folder: Path) -> None:
    """Every element of a result was valid in its call."""
    for at, name in enumerate(names):
        if not seen >> at & 1:
            raise ToolFailed("the vendor's RTL", folder, f"call {call} ended without {name}")


def _by_trial(codes: Sequence[Codes], each: Sequence[Sequence[Any]]) -> list[Codes]:
    """Codes of calls, those of a trial one behind the other."""
    left = iter(codes)
    return [np.concatenate([next(left) for _ in trial]) for trial in each]
