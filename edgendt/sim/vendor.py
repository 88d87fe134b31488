"""RTL that an HLS tool made of the firmware, in a simulation: packet by packet behind AXI4-Streams, window by window
behind hls4ml's own, or call by call at the ports of the plain top's arrays. RTL that takes networks is given two, see
`simulated`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgendt.compare import Tally, compare
from edgendt.errors import BadInput, ToolFailed
from edgendt.firmware import accelerator, arrays
from edgendt.firmware import vendor as project
from edgendt.firmware.axis import packets
from edgendt.firmware.reload import other, packet
from edgendt.fixed import Codes
from edgendt.program import Program
from edgendt.sim import streams
from edgendt.sim.arrays import WRAPPER, wrapper
from edgendt.sim.simulator import build, last_error, simulate

REFUSED = {  # the first word of an answer that is alone
    1: "it refused the packet: one of another network, or a window with more rows than it has room for",
    2: "it refused a bin past the last position row",
    3: "it holds no network",
}


@dataclass(frozen=True)
class Rtl:
    """What a tool left: its files, glue being C++ of DPI models.

    around: source of the module `wrapper`, which has the names that a bench drives; ports: of the plain top, if it is
    that; top: the one behind streams otherwise; loads: it takes networks in packets.
    """

    verilog: tuple[Path, ...]
    glue: tuple[Path, ...]
    tables: tuple[Path, ...]
    around: str
    ports: arrays.Ports | None
    top: streams.Top | None
    loads: bool

    @classmethod
    def of(cls, folder: Path, program: Program) -> Rtl:
        """Of a folder; BadInput without a top of the firmware, or with that of another network."""
        files = sorted(folder.glob("*"))
        verilog = {path: path.read_text(errors="replace") for path in files if path.suffix in (".v", ".sv")}
        name = _top(folder, verilog.values())
        text = next(text for text in verilog.values() if _has(text, name))
        top = next((one for one in streams.TOPS if one.name == name), None)
        if top == streams.FLOATS:
            accelerator.demand_one_input(program)
        if top is None:
            ports = arrays.Ports.of(program, text)
            around = wrapper(program, ports)
        else:
            ports, around = None, streams.wrapper(text, top)
        return cls(
            tuple(verilog),
            tuple(path for path in files if path.suffix == ".cpp"),
            tuple(path for path in files if path.suffix in (".dat", ".hex", ".mem")),
            around,
            ports,
            top,
            top == streams.PACKETS and _takes_networks(folder),
        )

    @property
    def wrapper(self) -> str:
        """The name of the module around it."""
        return WRAPPER if self.ports else streams.WRAPPER

    @property
    def floats(self) -> bool:
        """True of hls4ml's wrapper."""
        return self.top == streams.FLOATS

    def run(self, bench: str, case: dict[str, Any], folder: Path) -> None:
        """A bench on the module around it. ToolFailed. folder: gets that module, and a log of a failure."""
        around = folder / f"{self.wrapper}.sv"
        around.write_text(self.around)
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in self.glue)).hexdigest()[:12]
        args = [*map(str, self.glue), "-CFLAGS", f"-DGLUE_{digest}", "-LDFLAGS", "-ldl"] if self.glue else []
        try:
            built = build(self.wrapper, [around, *self.verilog], args=args)
            simulate(bench, self.wrapper, built, case, files=self.tables)
        except (AssertionError, RuntimeError) as error:
            (folder / "bench.log").write_text(str(error))
            raise ToolFailed("the bench of the vendor's RTL", folder / "bench.log", last_error(str(error))) from None


def _has(text: str, module: str) -> bool:
    return re.search(rf"\bmodule\s+{module}\b", text) is not None


def _top(folder: Path, texts: Iterable[str]) -> str:
    """The outermost of the modules that are tops; the one of arrays lies in the others."""
    tops = (*(top.name for top in streams.TOPS), arrays.TOP)
    found = next((top for top in tops if any(_has(text, top) for text in texts)), None)
    if found is None:
        raise BadInput(
            f"{folder} has no Verilog module {', '.join(tops[:-1])} or {tops[-1]}: give the syn/verilog folder of a "
            "project of the flow hls4ml"
        )
    return found


def _takes_networks(folder: Path) -> bool:
    """Whether the project around a folder has a load packet, or, where it is not in a project, the folder itself."""
    home = next((one for one in folder.resolve().parents if (one / project.SCRIPT).is_file()), folder)
    return (home / project.LOAD).is_file()


Networks = Sequence[tuple[Program, Sequence[Any]]]  # each with its trials


def simulated(program: Program, trials: Sequence[Any], rtl: Path, folder: Path, timeout: int = 1_000_000) -> Tally:
    """Trials through the RTL, bins or whole windows; the network's output against the Program. BadInput, ToolMissing;
    ToolFailed when the bench itself fails.

    RTL that takes networks in packets first gets another one and computes the first trial with it, then is given this
    one: what it was built with is in neither's place.

    rtl: Verilog, with the tables it reads and the C++ of DPI models, if any; folder: gets what goes in and comes out;
    timeout: cycles that an answer may take, beyond those of its packet.
    """
    found = Rtl.of(rtl, program)
    before = [(other(program), trials[:1])] if found.loads else []
    networks: Networks = [*before, (program, trials)]
    tally, codes = Tally(), iter((_packets if found.ports is None else _calls)(networks, found, folder, timeout))
    for network, its in networks:
        link = "rtl" if network is program else "rtl, another network loaded"
        for given in its:
            got = np.concatenate([next(codes) for _ in range(_many(network, given))])
            expected = {network.output: network.run(given)}
            outputs = compare(link, expected, {network.output: got.reshape(-1, network.outputs)}, network)
            tally += replace(outputs, bins=0, output_bins=outputs.bins)
    return tally


def _many(program: Program, given: Any) -> int:
    """Calls of a trial."""
    return len(given) if program.streams else 1


def _packets(networks: Networks, rtl: Rtl, folder: Path, timeout: int) -> list[Codes]:
    """The output of each call, through the streams; ToolFailed for a packet refused, an answer of another length."""
    sent: list[tuple[str, int, Any]] = []  # what it is, how many codes are its answer, its words
    for network, trials in networks:
        if rtl.loads:
            sent.append((f"the load of {network.name}", 0, packet(network)))
        for given in trials:
            size = network.run(given).size // _many(network, given)
            calls = [accelerator.words(network, given)] if rtl.floats else packets(network, given)
            sent += [(f"call {call}", size, words) for call, words in enumerate(calls)]
    paths = {name: folder / f"{name}.npz" for name in ("packets", "answers")}
    words: dict[str, Any] = {str(at): words for at, (*_, words) in enumerate(sent)}
    np.savez(paths["packets"], **words)
    rtl.run("vendor_bench", {name: str(path) for name, path in paths.items()} | {"timeout": timeout}, folder)
    with np.load(paths["answers"]) as found:
        came = [(found[str(at)], what, size) for at, (what, size, _) in enumerate(sent)]
    if rtl.floats:
        ((program, _),) = networks  # hls4ml's wrapper takes no other
        return [_values(words, what, size, program, folder) for words, what, size in came]
    return [codes for each in came if (codes := _answered(*each, folder)).size]


def _values(words: Any, what: str, size: int, program: Program, folder: Path) -> Codes:
    """The codes of hls4ml's answer to `what`."""
    if len(words) != size:
        raise ToolFailed("the vendor's RTL", folder, f"{what} was answered by {len(words)} words instead of {size}")
    try:
        return accelerator.codes(program, words)
    except ValueError as error:
        raise ToolFailed("the vendor's RTL", folder, f"of the answer to {what}, {error}") from None


def _answered(words: Any, what: str, size: int, folder: Path) -> Codes:
    """The codes of the answer to `what`."""
    if words[0] != 0 or len(words) != 1 + size:
        reason = f"{what} was answered by {len(words)} words, the first {words[0]}, instead of 0 and {size}"
        if len(words) == 1 and int(words[0]) in REFUSED:
            reason += f": {REFUSED[int(words[0])]}"
        raise ToolFailed("the vendor's RTL", folder, reason)
    return np.asarray(words[1:], np.int64)


def _calls(networks: Networks, rtl: Rtl, folder: Path, timeout: int) -> list[Codes]:
    """The output of each call, through the arrays; ToolFailed where an element of it was never valid."""
    assert rtl.ports is not None
    ((program, trials),) = networks  # the plain top takes no other
    each = [rtl.ports.calls(program, given) for given in trials]
    paths = {name: folder / f"{name}.json" for name in ("calls", "answers")}
    paths["calls"].write_text(json.dumps([[f"{word:x}" for word in call] for trial in each for call in trial]))
    case: dict[str, Any] = {name: str(path) for name, path in paths.items()}
    case |= {"widths": list(rtl.ports.widths.values()), "timeout": timeout}
    rtl.run("vendor_arrays_bench", case, folder)
    answers = iter(json.loads(paths["answers"].read_text()))
    codes = []
    for given, trial in zip(trials, each, strict=True):
        size = program.run(given).size // len(trial)
        for call in range(len(trial)):
            result, seen = (int(word, 16) for word in next(answers))
            _demand(rtl.ports.outputs[:size], seen, call, folder)
            codes.append(arrays.codes_of(result, size, program))
    return codes


def _demand(names: Sequence[str], seen: int, call: int, folder: Path) -> None:
    """Every element of a result was valid in its call."""
    for at, name in enumerate(names):
        if not seen >> at & 1:
            raise ToolFailed("the vendor's RTL", folder, f"call {call} ended without {name}")
