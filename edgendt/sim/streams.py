"""The RTL of the top behind AXI4-Streams under names that one bench drives, whatever side channels it has."""

from __future__ import annotations

from edgendt.errors import BadInput
from edgendt.firmware.arrays import PortList, ports_of

TOP, WRAPPER = "edgendt_axis", "vendor_top"  # TOP: what the tool calls it
IN, OUT = "packets", "answers"
WORD = 32
NEEDED = ("TDATA", "TVALID", "TREADY", "TLAST")
BYTES = ("TKEEP", "TSTRB")  # a bit for each byte of a word; all of them are data
SIDES = ("TUSER", "TID", "TDEST")  # that vivado_hls cannot leave out, and nobody reads
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


def wrapper(verilog: str) -> str:
    """Its source. verilog: of the top's module. BadInput for a port that is missing, not known or of another width."""
    found = ports_of(verilog, TOP)
    wired = {"ap_clk": "clk_i", "ap_rst_n": "!rst_i"}
    for stream, ours in ((IN, "s_axis"), (OUT, "m_axis")):
        wired |= {f"{stream}_{signal}": f"{ours}_{signal.lower()}" for signal in NEEDED}
    _demand(found, wired)
    sides = {f"{stream}_{signal}": signal for stream in (IN, OUT) for signal in (*BYTES, *SIDES)}
    for name, (way, bits) in found.items():
        if name in sides:
            tied = f"{bits}'d{(1 << bits) - 1 if sides[name] in BYTES else 0}"
            wired[name] = tied if way == "input" else name.lower()
        elif name not in wired and way == "input":
            raise BadInput(
                f"port {name} of {TOP} is not known, and nothing drives it: give the Verilog of a project with ports "
                f"axis, which has a clock, a reset and the streams {IN} and {OUT}"
            )
    left = [name for name in sides if name in found and found[name][0] == "output"]
    return SOURCE.format(
        top=TOP,
        wrapper=WRAPPER,
        wires="\n".join(f"  wire [{found[name][1] - 1}:0] {name.lower()};" for name in left),
        ports=",\n".join(f"    .{name}({what})" for name, what in wired.items()),
        whole="".join(f", {name.lower()}" for name in left if sides[name] in BYTES),
        unused="".join(f", {name.lower()}" for name in left),
    )


def _demand(found: PortList, names: dict[str, str]) -> None:
    """Ports that the top must have, words of 32 bits."""
    for name in names:
        if name not in found:
            raise BadInput(f"module {TOP} has no port {name}: give the Verilog of a project with ports axis")
        width = WORD if name.endswith("TDATA") else 1
        if found[name][1] != width:
            raise BadInput(f"port {name} of {TOP} has {found[name][1]} bits, packets need {width}")
