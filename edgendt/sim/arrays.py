"""The plain top's RTL under names that one bench drives, whatever its arrays are."""

from __future__ import annotations

from edgendt.firmware.arrays import TOP, VALID, Ports
from edgendt.program import Program

WRAPPER = "vendor_arrays"
SOURCE = """\
// RTL that an HLS tool made of {top}, its arrays together. An output is kept from its _ap_vld to ap_done. No latency.
`default_nettype none
module {wrapper} (
  input  wire clk_i,
  input  wire rst_i,
  input  wire start_i,
  output wire done_o,
  output wire idle_o,
  output wire ready_o,
  input  wire [{given}-1:0] given_i,  // the inputs, one behind the other
  input  wire [{inputs}-1:0] valid_i,
  output wire [{outputs}*{bits}-1:0] result_o,  // the elements, one behind the other
  output wire [{outputs}-1:0] seen_o  // those that were valid in this call
);
  wire  [{outputs}*{bits}-1:0] now;
  wire  [{outputs}-1:0] valid;
  logic [{outputs}*{bits}-1:0] result_q;
  logic [{outputs}-1:0] seen_q;
  {top} u_firmware (
    .ap_clk(clk_i), .ap_rst(rst_i), .ap_start(start_i), .ap_done(done_o), .ap_idle(idle_o), .ap_ready(ready_o),
{ports});
  for (genvar i = 0; i < {outputs}; i++) begin : g_kept
    assign result_o[i*{bits} +: {bits}] = valid[i] ? now[i*{bits} +: {bits}] : result_q[i*{bits} +: {bits}];
  end
  assign seen_o = seen_q | valid;
  always_ff @(posedge clk_i) begin
    result_q <= result_o;
    seen_q   <= rst_i || done_o ? '0 : seen_o;
  end
endmodule
`default_nettype wire
"""


def wrapper(program: Program, ports: Ports) -> str:
    """Its source."""
    bits, low, lines = program.output_format.bits, 0, []
    for at, (name, width) in enumerate(ports.widths.items()):
        lines.append(f"    .{name}(given_i[{low} +: {width}]), .{name}{VALID}(valid_i[{at}])")
        low += width
    for at, name in enumerate(ports.outputs):
        lines.append(f"    .{name}(now[{at * bits} +: {bits}]), .{name}{VALID}(valid[{at}])")
    return SOURCE.format(
        top=TOP,
        wrapper=WRAPPER,
        given=low,
        inputs=len(ports.widths),
        outputs=len(ports.outputs),
        bits=bits,
        ports=",\n".join(lines),
    )
