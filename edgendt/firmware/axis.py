"""The top behind AXI4-Streams: a packet in for every call, a packet out; and the calls that a test bench makes of it.

Words of 32 bits. In: flags (bit 0: this bin begins a trial), of a network of tokens the rows of each axis, then codes.
Out: 0 and the codes; or one word alone, why nothing was computed (`edt_axis.h`). TLAST ends a packet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import indent

SOURCE = """\
#include "{name}_axis.h"

void {name}_axis(edt::Stream &packets, edt::Stream &answers) {{
#pragma HLS INTERFACE axis port=packets
#pragma HLS INTERFACE axis port=answers
#pragma HLS INTERFACE ap_ctrl_none port=return
    edt::Packet packet;
{body}}}
"""
HEADER = """\
// A packet in, a packet out: edgendt/firmware/axis.py.
#ifndef EDGENDT_AXIS_H_
#define EDGENDT_AXIS_H_

#include "{name}.h"

#include "nnet_utils/edt_axis.h"

void {name}_axis(edt::Stream &packets, edt::Stream &answers);

#endif
"""
BINS = """\
const bool first = edt::word(packets, packet)[0] != 0;
{counts} counts[{inputs}];
edt::take<{inputs}>(packets, packet, counts);
edt::close(packets, packet);
{result} out[{outputs}];
{call}edt::give<{outputs}>(answers, status, out, status == edt::answered ? {outputs} : 0);
"""
STREAMS = """\
static ap_uint<32> bin = 0; // of the next call
#pragma HLS RESET variable=bin
const ap_uint<32> here = first ? ap_uint<32>(0) : bin;
const int status = !packet.good ? edt::malformed : {past} ? edt::ended : edt::answered;
if (status == edt::answered) {{
    {reset} reset[1];
    reset[0] = here == 0;
    {name}(counts, reset, out);
    const ap_uint<32> next = here + 1;
    bin = next != 0 ? next : here; // without a last bin it may stand still, but never comes back to 0
}}
"""
WINDOW = """\
(void)first;
const int status = packet.good ? edt::answered : edt::malformed;
if (status == edt::answered) {{
    {name}(counts, out);
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


def header(name: str) -> str:
    return HEADER.format(name=name)


def of_counts(name: str, given: Port, result: Port, reset: str | None = None, max_bins: int | None = None) -> str:
    """C++ of the top of a network that takes counts; reset: the type of its input where it goes bin by bin."""
    past = f"here >= {max_bins}" if max_bins else "false"
    call = (STREAMS if reset else WINDOW).format(name=name, past=past, reset=reset)
    body = BINS.format(counts=given.type, inputs=given.words, result=result.type, outputs=result.words, call=call)
    return SOURCE.format(name=name, body=indent(body, "    ", lambda line: not line.startswith("#")))


def of_tokens(name: str, given: Sequence[Port], result: Port, numbers: Sequence[tuple[str, int]]) -> str:
    """C++ of the top of a network of tokens. numbers: of each axis, the type of its number of rows and the most."""
    lines = ["edt::word(packets, packet); // flags"]
    for at, (kind, _) in enumerate(numbers):
        lines += [f"{kind} n{at}[1];", f"edt::take<1>(packets, packet, n{at});"]
        lines += [f"const int rows{at} = int(edt::code(n{at}[0]));"]
    good = [f"rows{at} >= 1 && rows{at} <= {most}" for at, (_, most) in enumerate(numbers)]
    lines += [f"packet.good = packet.good && {' && '.join(good)};"]
    for at, port in enumerate(given):
        lines += [f"{port.type} x{at}[{port.words}];"]
        lines += [f"edt::take<{port.words}>(packets, packet, x{at}, packet.good ? rows{port.axis} * {port.size} : 0);"]
    arguments = [f"x{at}" for at in range(len(given))] + [f"n{at}" for at in range(len(numbers))]
    lines += [
        "edt::close(packets, packet);",
        f"{result.type} out[{result.words}];",
        "if (packet.good) {",
        f"    {name}({', '.join(arguments)}, out);",
        "}",
        "const int status = packet.good ? edt::answered : edt::malformed;",
        f"edt::give<{result.words}>(answers, status, out, packet.good ? rows{result.axis} * {result.size} : 0);",
    ]
    return SOURCE.format(name=name, body=indent("\n".join(lines) + "\n", "    "))


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
