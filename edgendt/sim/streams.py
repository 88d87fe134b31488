"""The RTL of a top behind AXI4-Streams under names that one bench drives, whatever side channels it has."""

from __future__ import annotations

from dataclasses import dataclass

from edgendt.errors import BadInput
from edgendt.firmware.arrays import WATCH, demand, ports_of

WRAPPER = "vendor_top"
WORD = 32
NEEDED = ("TDATA", "TVALID", "TREADY", "TLAST")
BYTES = ("TKEEP", "TSTRB")  # a bit for each byte of a word; all of them are data
SIDES = ("TUSER", "TID", "TDEST")  # that vivado_hls cannot leave out, and nobody reads


@dataclass(frozen=True)
class Top:
    """Its name and its streams' as the tool writes them, in and out; of: the projects that have it."""

    name: str
    given: str
    answers: str
    of: str

    @property
    def made(self) -> str:
        """What to do where it is another."""
        return (
            f"give the Verilog of {self.of}, which has a clock, a reset and the streams {self.given} and {self.answers}"
        )

    def way(self, port: str) -> str:
        """Of a port of a stream: the stream's, but for the one signal that goes against it."""
        return "input" if port.startswith(f"{self.given}_T") != port.endswith("_TREADY") else "output"


PACKETS = Top("edgendt_axis", "packets", "answers", "a project with ports axis")
# hls4ml's own wrapper, of floats. Its arguments are `in` and `out`, which are words of Verilog or VHDL.
FLOATS = Top("edgendt_axi", "in_r", "out_r", "a project of the backend VivadoAccelerator")
TOPS = (PACKETS, FLOATS)
SOURCE = """\
// RTL that an HLS tool made of {top}. No latency.
`default_nettype none
module {wrapper} (
  input  wire         clk_i,
  input  wire         rst_i,
  input  wire  [31:0] s_axis_tdata,
  input  wire         s_axis_tvalid,
  output wire         s_axis_tready,
  input  wire         s_axis_tlast,
  output wire  [31:0] m_axis_tdata,
  output wire         m_axis_tvalid,
  input  wire         m_axis_tready,
  output wire         m_axis_tlast
);
{wires}
  {top} u_firmware (
{ports});
  always_ff @(posedge clk_i)
    if (!rst_i && m_axis_tvalid && !(&{{1'b1{whole}}})) $error("a beat of an answer has bytes that are no data");
  wire unused = &{{1'b0{unused}}};
endmodule
`default_nettype wire
"""


def wrapper(verilog: str, top: Top) -> str:
    """Its source. verilog: of the top's module. BadInput for a port that is missing, not known or none like it."""
    found, clocks = ports_of(verilog, top.name), {"ap_clk": "clk_i", "ap_rst_n": "!rst_i"}
    streams = {top.given: "s_axis", top.answers: "m_axis"}
    wired = clocks | {f"{name}_{one}": f"{ours}_{one.lower()}" for name, ours in streams.items() for one in NEEDED}
    sides = {f"{name}_{one}": one for name in streams for one in (*BYTES, *SIDES)}
    ways = dict.fromkeys(clocks, "input") | {name: top.way(name) for name in wired if name not in clocks}
    demand(top.name, found, ways, WATCH | {name: top.way(name) for name in sides}, top.made)
    for name in wired:
        bits, needed = found[name][1], WORD if name.endswith("TDATA") else 1
        if bits != needed:
            raise BadInput(f"port {name} of {top.name} has {bits} bits, packets need {needed}")
    tied = [name for name in sides if name in found and top.way(name) == "input"]
    for name in tied:
        bits = found[name][1]
        wired[name] = f"{bits}'d{(1 << bits) - 1 if sides[name] in BYTES else 0}"
    left = [name for name in (*sides, *WATCH) if name in found and name not in tied]
    wired |= {name: name.lower() for name in left}
    return SOURCE.format(
        top=top.name,
        wrapper=WRAPPER,
        wires="\n".join(f"  wire [{found[name][1] - 1}:0] {name.lower()};" for name in left),
        ports=",\n".join(f"    .{name}({what})" for name, what in wired.items()),
        whole="".join(f", {name.lower()}" for name in left if sides.get(name) in BYTES),
        unused="".join(f", {name.lower()}" for name in left),
    )
