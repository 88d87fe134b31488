"""The plain top as RTL: the ports that an HLS tool gives its arrays, and what stands at them in a call.

hls4ml's pragmas say which. An input array is reshaped to one port, its first element in the lowest bits; the output
array is partitioned, an element a port, `<array>_<element>`. Each has `<port>_ap_vld` beside it, the block ap_ctrl_hs.
vivado_hls puts `_V` behind the name of each port that has a type of ap_fixed: `counts_V`, `counts_V_ap_vld`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgendt.errors import BadInput
from edgendt.firmware.room import RESET, layer_names, number
from edgendt.fixed import Codes
from edgendt.program import INPUT, Axis, Program

TOP = "edgendt"  # what the tool calls it
CONTROL = dict.fromkeys(("ap_clk", "ap_rst", "ap_start"), "input")
CONTROL |= dict.fromkeys(("ap_done", "ap_idle", "ap_ready"), "output")
# That some releases of Vitis HLS add to any top: whether it stands still. Nothing reads them.
WATCH = dict.fromkeys(("ap_local_block", "ap_local_deadlock"), "output")
VALID = "_ap_vld"
VIVADO_HLS = "_V"  # behind the names of its ports
PORT = re.compile(r"\b(input|output)\s+(?:(?:wire|reg|logic)\s+)?(?:\[\s*(\d+)\s*:\s*0\s*\]\s*)?(\w+)")

PortList = Mapping[str, tuple[str, int]]  # by name: `input` or `output`, bits
# What has inputs of its own.
INSIDE = re.compile(r"\bimport\b[^;]*;|\bfunction\b[\s\S]*?\bendfunction\b|\btask\b[\s\S]*?\bendtask\b")


@dataclass(frozen=True)
class Array:
    """An input of the top. size: its elements, of a row where it has as many rows of `axis` as each window."""

    name: str
    bits: int  # of an element
    size: int
    axis: Axis | None = None


def inputs(program: Program) -> list[Array]:
    """In the order of the top's arguments."""
    bits = program.input.bits
    if not program.inputs:
        begins = [] if program.bins else [Array(RESET, 1, 1)]
        return [Array(INPUT, bits, program.channels * (program.bins or 1)), *begins]
    names, asked = layer_names(program), [item for item in program.inputs if item.codes is None]
    given = [Array(names[item.name], bits, item.size, item.axis) for item in asked]
    return [*given, *(Array(number(axis), bits, 1) for axis in program.open_axes)]


@dataclass(frozen=True)
class Ports:
    """Of a top that a tool made of a network. widths: bits of each input by name; outputs: in the elements' order.

    room: rows of each axis, by name, that there is room for.
    """

    widths: Mapping[str, int]
    outputs: tuple[str, ...]
    room: Mapping[str, int]

    @classmethod
    def of(cls, program: Program, verilog: str) -> Ports:
        """Of the text of its module. BadInput where it is another network's, or another tool's."""
        found, given, room = ports_of(verilog, TOP), inputs(program), dict[str, int]()
        end = VIVADO_HLS if given[0].name not in found and given[0].name + VIVADO_HLS in found else ""
        names = [one.name + end for one in given]
        results = {name: bits for name, (way, bits) in found.items() if way == "output" and name + VALID in found}
        inward = [name + more for name in names for more in ("", VALID)]
        outward = [name + more for name in results for more in ("", VALID)]
        ways = CONTROL | dict.fromkeys(outward, "output") | dict.fromkeys(inward, "input")
        demand(TOP, found, ways, WATCH, f"give the Verilog that Vitis HLS or vivado_hls made of {program.name}")
        for one, name in zip(given, names, strict=True):
            bits = found[name][1]
            rows, left = divmod(bits, one.bits * one.size)
            if left or not rows or (rows > 1 and not one.axis):
                needed = f"{one.bits * one.size}{' for each row' if one.axis else ''}"
                raise BadInput(f"port {name} of {TOP} has {bits} bits, {program.name} needs {needed}")
            if one.axis:
                room[one.axis.name] = min(rows, room.get(one.axis.name, rows))
        elements = program.outputs * room.get(program.axis(program.output).name, program.bins or 1)
        return cls({name: found[name][1] for name in names}, _outputs(program, results, elements, end), room)

    def calls(self, program: Program, given: Any) -> list[list[int]]:
        """The words at the inputs in each call of a trial: counts [bins, channels], or a window of tokens by name.
        BadInput.
        """
        if program.inputs:
            fed = program.feed(given)
            codes = [fed[item.name] for item in program.inputs if item.codes is None]
            rows = {item.axis.name: len(fed[item.name]) for item in program.inputs if item.codes is None}
            for axis, many in rows.items():
                if many > self.room[axis]:
                    raise BadInput(f"module {TOP} has room for {self.room[axis]} {axis}, the window has {many}")
            calls = [[*codes, *(np.array([many]) for many in rows.values())]]
        else:
            counts = program.check_counts(given)
            calls = [[counts]] if program.bins else [[row, np.array([at == 0])] for at, row in enumerate(counts)]
        return [[word(one, array.bits) for one, array in zip(call, inputs(program), strict=True)] for call in calls]


def word(codes: Codes, bits: int) -> int:
    """Codes one behind the other, the first in the lowest bits."""
    return sum((int(code) & (1 << bits) - 1) << at * bits for at, code in enumerate(codes.ravel()))


def codes_of(word: int, count: int, program: Program) -> Codes:
    """The first `count` elements of the output's, as `word` puts them."""
    form = program.output_format
    raw = np.array([word >> at * form.bits & (1 << form.bits) - 1 for at in range(count)], np.int64)
    return np.where(raw > form.hi, raw - (1 << form.bits), raw)


def demand(top: str, found: PortList, needed: Mapping[str, str], sides: Mapping[str, str], made: str) -> None:
    """The ports of a top that are needed, and no other but those of sides; BadInput. Both say the way of each; made:
    what to do.
    """
    for name in needed:
        if name not in found:
            raise BadInput(f"module {top} has no port {name}: {made}")
    for name, (way, _) in found.items():
        right = needed.get(name) or sides.get(name)
        if right is None:
            end = "nothing drives it" if way == "input" else "nothing reads it"
            raise BadInput(f"port {name} of {top} is not known, and {end}: {made}")
        if way != right:
            raise BadInput(f"port {name} of {top} is an {way} and must be an {right}: {made}")


def _outputs(program: Program, found: Mapping[str, int], elements: int, end: str) -> tuple[str, ...]:
    """The names of those in the elements' order. found: bits by name; end: of each name."""
    # An array of one element may have kept its name.
    places = {name: int(place[1]) if (place := re.search(rf"_(\d+){end}$", name)) else 0 for name in found}
    bits = program.output_format.bits
    if sorted(places.values()) != list(range(elements)) or set(found.values()) != {bits}:
        needed = f"{elements} of {bits} bits, <array>_0{end} to <array>_{elements - 1}{end}"
        raise BadInput(f"module {TOP} has {len(found)} outputs with {VALID}, {program.name} needs {needed}")
    return tuple(sorted(found, key=places.__getitem__))


def ports_of(verilog: str, top: str) -> PortList:
    """Of a module in a text, by name; none where the text has no such module."""
    bare = INSIDE.sub("", re.sub(r"//.*|/\*[\s\S]*?\*/", "", verilog))
    found = re.search(rf"\bmodule\s+{top}\b[\s\S]*?\bendmodule\b", bare)
    return {name: (way, int(high or 0) + 1) for way, high, name in PORT.findall(found[0] if found else "")}
