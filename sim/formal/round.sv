// edt_round = saturate(rne(a, shift)), or floor: every input, shift 0..63 and limits, whatever is before or behind.
`default_nettype none
module round
  import edt_pkg::*, semantics::*;
#(
  parameter int InBits = 44
) (
  input wire                     clk_i,
  input wire signed [InBits-1:0] a_i,
  input wire        [5:0]        shift_i,
  input wire                     floor_i,
  input wire signed [OutW-1:0]   hi_i,
  input wire signed [OutW-1:0]   lo_i
);
  wire signed [OutW-1:0] y;
  edt_round #(.InBits(InBits)) dut (
    .clk_i(clk_i), .a_i(a_i), .shift_i(shift_i), .floor_i(floor_i), .hi_i(hi_i), .lo_i(lo_i), .y_o(y));

  // No register has a first value, so one cycle stands for all: each is asked for one shift, which the solver needs.
  logic [6:0] cycle = '0;
  always_ff @(posedge clk_i) begin
    automatic wide_t      a     = wide_t'($past(a_i, 4));
    automatic logic [5:0] shift = $past(shift_i, 4);
    automatic wide_t      whole = $past(floor_i, 4) ? a >>> shift : rne(a, int'(shift));
    cycle <= cycle + 7'd1;
    assume (lo_i <= hi_i);
    if (cycle >= 7'd4 && shift == 6'(cycle - 7'd4))
      assert (wide_t'(y) == saturate(whole, wide_t'($past(lo_i, 2)), wide_t'($past(hi_i, 2))));
  end
endmodule
`default_nettype wire
