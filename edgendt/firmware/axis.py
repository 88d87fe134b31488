"""The top behind AXI4-Streams: a packet in for every call, a packet out; and the calls that a test bench makes of it.

Words of 32 bits. In: flags (1: this bin begins a trial, 2: constants follow, see reload.py), of a network of tokens the
rows of each axis, then codes. Out: 0 and the codes; or one word alone, why nothing was computed (`edt_axis.h`). TLAST
ends a packet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import indent
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgendt.program import Program

SOURCE = """\
#include "{name}_axis.h"
{globals}
void {name}_axis(edt::Stream &packets, edt::Stream &answers) {{
#pragma HLS INTERFACE axis port=packets
#pragma HLS INTERFACE axis port=answers
#pragma HLS INTERFACE ap_ctrl_none port=return
    edt::Packet packet;
    const ap_uint<32> flags = edt::word(packets, packet);
{body}}}
"""
HEADER = """\
// A packet in, a packet out: edgendt/firmware/axis.py.
#ifndef EDGENDT_AXIS_H_
#define EDGENDT_AXIS_H_
{defined}
#include "{name}.h"

#include "nnet_utils/edt_load.h"

void {name}_axis(edt::Stream &packets, edt::Stream &answers);

#endif
"""
BINS = """\
packet.good = packet.good && flags <= 1;
{counts} counts[{inputs}];
edt::take<{inputs}>(packets, packet, counts);
edt::close(packets, packet);
{result} out[{outputs}];
{call}edt::give<{outputs}>(answers, status, out, status == edt::answered ? {outputs} : 0);
"""
STREAMS = """\
#pragma HLS RESET variable=bin
const ap_uint<32> here = flags == 1 ? ap_uint<32>(0) : bin;
const int status = {status};
if (status == edt::answered) {{
    {reset} reset[1];
    reset[0] = here == 0;
    {name}(counts, reset, out);
    const ap_uint<32> next = here + 1;
    bin = next != 0 ? next : here; // without a last bin it may stand still, but never comes back to 0
}}
"""
WINDOW = """\
const int status = {status};
if (status == edt::answered) {{
    {name}(counts, out);
}}
"""
BIN = """
namespace {
ap_uint<32> bin = 0; // of the next call
}
"""
LOADS = """
// Defined beside the network.
{constants}

namespace {{

bool loaded = true; // what the build brought, or a network that came whole; a reset leaves both as they are

// The constants of another network of the same structure in the place of these.
int load(edt::Stream &packets, edt::Packet &packet) {{
    const bool same = edt::word(packets, packet) == ap_int<32>({structure}) && edt::word(packets, packet) == {words};
    bool whole = false;
    if (same && packet.good) {{
#ifndef __SYNTHESIS__
        // In emulation the first call reads the constants from files, over what is loaded before it.
{first}
#endif
        loaded = false;
{begin}        edt::Crc32 crc;
{load}
        whole = crc.equals(edt::word(packets, packet));
    }}
    edt::close(packets, packet);
    whole = whole && packet.good;
    loaded = loaded || whole;
    return whole ? edt::answered : edt::malformed;
}}

}} // namespace
"""
LOAD = """\
if (flags == 2) {{
    edt::put(answers, load(packets, packet), true);
    return;
}}
"""
CALL = """\
    edt::Stream packets, answers;
    edt::Packet answer;
{send}\
    {name}_axis(packets, answers);
    const int status = int(edt::word(answers, answer));
    if (status == edt::answered) {{
        edt::take<{outputs}>(answers, answer, out, {count});
    }}
    edt::close(answers, answer);
    return answer.good && answers.empty() ? status : -1;
"""


LOADED = """\
    edt::Stream packets, answers;
    edt::Packet answer;
    for (int i = 0; i < n; i++) {{
        edt::put(packets, words[i], i == n - 1);
    }}
    {name}_axis(packets, answers);
    const int status = int(edt::word(answers, answer));
    return answer.good && answer.over && answers.empty() ? status : -1;
"""


@dataclass(frozen=True)
class Port:
    """An array of the inner top: its type, row size and most rows; of which axis they are, if any."""

    type: str
    size: int
    most: int
    axis: int = -1

    @property
    def words(self) -> int:
        """At most."""
        return self.size * self.most


@dataclass(frozen=True)
class Loads:
    """What a load packet brings. constants: (type, name, size) of each array in its order."""

    structure: int
    constants: Sequence[tuple[str, str, int]]

    def source(self, call: list[str], streams: bool) -> str:
        """C++ of the function `load`. call: lines that call the inner top, with anything."""
        loaded = [f"edt::load<{size}>(packets, packet, crc, {name});" for _, name, size in self.constants]
        return LOADS.format(
            structure=f"0x{self.structure:08x}u",
            words=sum(size for *_, size in self.constants),
            constants="\n".join(f"extern {kind} {name}[{size}];" for kind, name, size in self.constants),
            first=indent("\n".join(call), " " * 8),
            begin="        bin = 0;\n" if streams else "",
            load=indent("\n".join(loaded), " " * 8),
        )


def header(name: str, side_channels: bool = False) -> str:
    """Of the top's source. side_channels: beats have user, id and dest, as those of vivado_hls."""
    return HEADER.format(name=name, defined="#define EDT_SIDE_CHANNELS\n" if side_channels else "")


def of_counts(
    name: str,
    given: Port,
    result: Port,
    reset: str | None = None,
    max_bins: int | None = None,
    loads: Loads | None = None,
) -> str:
    """C++ of the top of a network that takes counts; reset: the type of its input where it goes bin by bin."""
    status = _status(loads, f"here >= {max_bins} ? edt::ended : " if reset and max_bins else "")
    call = (STREAMS if reset else WINDOW).format(name=name, status=status, reset=reset)
    body = BINS.format(counts=given.type, inputs=given.words, result=result.type, outputs=result.words, call=call)
    arrays = [f"static {port.type} {stem}[{port.words}];" for port, stem in ((given, "counts"), (result, "out"))]
    begins = [f"{reset} reset[1];", "reset[0] = 1;"] if reset else []
    first = [*arrays, *begins, f"{name}(counts, {'reset, ' if reset else ''}out);"]
    return _source(name, body, first, loads, bool(reset))


def _status(loads: Loads | None, past: str = "") -> str:
    """C++ of an answer's first word."""
    return f"!packet.good ? edt::malformed : {'!loaded ? edt::empty : ' if loads else ''}{past}edt::answered"


def _source(name: str, body: str, first: list[str], loads: Loads | None, streams: bool = False) -> str:
    """The file. first: a call of the inner top with anything."""
    body = (LOAD if loads else "") + body
    around = (BIN if streams else "") + (loads.source(first, streams) if loads else "")
    return SOURCE.format(name=name, globals=around, body=indent(body, "    ", lambda line: not line.startswith("#")))


def of_tokens(
    name: str, given: Sequence[Port], result: Port, numbers: Sequence[tuple[str, int]], loads: Loads | None = None
) -> str:
    """C++ of the top of a network of tokens. numbers: of each axis, the type of its number of rows and the most."""
    lines = ["packet.good = packet.good && flags == 0;"]
    for at, (kind, _) in enumerate(numbers):
        lines += [f"{kind} n{at}[1];", f"edt::take<1>(packets, packet, n{at});"]
        lines += [f"const int rows{at} = int(edt::code(n{at}[0]));"]
    good = [f"rows{at} >= 1 && rows{at} <= {most}" for at, (_, most) in enumerate(numbers)]
    lines += [f"packet.good = packet.good && {' && '.join(good)};"]
    for at, port in enumerate(given):
        lines += [f"{port.type} x{at}[{port.words}];"]
        lines += [f"edt::take<{port.words}>(packets, packet, x{at}, packet.good ? rows{port.axis} * {port.size} : 0);"]
    arguments = [f"x{at}" for at in range(len(given))] + [f"n{at}" for at in range(len(numbers))]
    call = f"{name}({', '.join(arguments)}, out);"
    lines += [
        "edt::close(packets, packet);",
        f"{result.type} out[{result.words}];",
        f"const int status = {_status(loads)};",
        "if (status == edt::answered) {",
        f"    {call}",
        "}",
        f"edt::give<{result.words}>(",
        f"    answers, status, out, status == edt::answered ? rows{result.axis} * {result.size} : 0);",
    ]
    first = [f"static {port.type} x{at}[{port.words}];" for at, port in enumerate(given)]
    first += [f"static {kind} n{at}[1];" for at, (kind, _) in enumerate(numbers)]
    return _source(name, "\n".join(lines) + "\n", [*first, f"static {result.type} out[{result.words}];", call], loads)


def call_of_counts(name: str, given: Port, result: Port) -> str:
    """Body of edt_network::call through the streams, of a network that takes counts."""
    send = f"    edt::give<{given.words}>(packets, first ? 1 : 0, in);\n"
    return CALL.format(name=name, send=send, outputs=result.words, count=result.words)


def call_of_tokens(name: str, given: Sequence[Port], axes: int, result: Port) -> str:
    """Body of edt_network::call through the streams, of a network of tokens."""
    lines = ["edt::put(packets, 0, false);"]
    lines += [f"edt::put(packets, rows[{at}], false);" for at in range(axes)]
    for at, port in enumerate(given):
        last = f"i == rows[{port.axis}] * {port.size} - 1" if at == len(given) - 1 else "false"
        lines += [f"for (int i = 0; i < rows[{port.axis}] * {port.size}; i++) {{"]
        lines += [f"    edt::put(packets, codes[{at}][i], {last});", "}"]
    send = indent("\n".join(lines) + "\n", "    ")
    count = f"rows[{result.axis}] * {result.size}"
    return CALL.format(name=name, send=send, outputs=result.words, count=count)


def call_of_load(name: str) -> str:
    """Body of edt_network::load."""
    return LOADED.format(name=name)


def packets(program: Program, given: Any) -> list[NDArray[np.int32]]:
    """The words of each call of a trial: counts [bins, channels], or a window of tokens by name. BadInput."""
    if program.inputs:
        fed, asked = program.feed(given), [item for item in program.inputs if item.codes is None]
        rows = {item.axis: len(fed[item.name]) for item in asked}
        codes = [fed[item.name].ravel() for item in asked]
        return [np.concatenate([[0], list(rows.values()), *codes]).astype(np.int32)]
    counts = program.check_counts(given)
    calls = [counts] if program.bins else list(counts)
    return [np.concatenate([[int(call == 0)], codes.ravel()]).astype(np.int32) for call, codes in enumerate(calls)]


def in_memory(packets: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    """Packets as a card's memory takes them (`edt_card.cpp`): each behind a word that says how many words it has."""
    return np.concatenate([np.concatenate([[len(packet)], packet]) for packet in packets]).astype(np.int32)


def of_memory(words: NDArray[np.int32], count: int) -> list[NDArray[np.int32]]:
    """The answers to so many packets, as they lie in a card's memory."""
    found, at = [], 0
    for _ in range(count):
        stop = at + 1 + int(words[at])
        found.append(words[at + 1 : stop])
        at = stop
    return found
