// edt_narrow = saturate(saturate(rne(acc + bias, shift)) + addend), for every accumulator, bias, shift -16..47, addend
// and formats, each taken in its own cycle, whatever is before and behind it.
`default_nettype none
module narrow
  import edt_pkg::*, semantics::*;
#(
  parameter int AccBits = 28
) (
  input wire                      clk_i,
  input wire signed [AccBits-1:0] acc_i,
  input wire        [5:0]         shift_i,
  input wire signed [AccBits-1:0] bias_i,
  input wire        [4:0]         y1_i,
  input wire signed [15:0]        addend_i,
  input wire        [4:0]         y2_i
);
  wire signed [OutW-1:0] y;
  edt_narrow #(.AccBits(AccBits)) dut (
    .clk_i(clk_i), .acc_i(acc_i), .bias_i({shift_i, 28'(bias_i)}), .y1_i(y1_i), .addend_i(addend_i), .y2_i(y2_i),
    .y_o(y));

  // A format is {signed, bits - 1}.
  function automatic wide_t clip(input wide_t a, input logic [4:0] format);
    automatic wide_t half = wide_t'(1) <<< format[3:0];
    return format[4] ? saturate(a, -half, half - wide_t'(1)) : saturate(a, wide_t'(0), (half <<< 1) - wide_t'(1));
  endfunction

  // As in round.sv each cycle is asked for one shift. What the first saturation gives is asked before: twice as quick.
  wide_t      y1;
  logic [6:0] cycle = '0;
  always_ff @(posedge clk_i) begin
    automatic wide_t total = wide_t'($past(acc_i, 6)) + wide_t'($past(bias_i, 5));
    automatic wide_t first = clip(rne(total, int'($past(shift_i, 5)) - 16), $past(y1_i, 2));
    cycle <= cycle + 7'd1;
    y1    <= first;
    if (cycle >= 7'd6 && $past(shift_i, 5) == 6'(cycle - 7'd6)) assert (wide_t'(dut.y1) == first);
    if (cycle >= 7'd8 && $past(shift_i, 7) == 6'(cycle - 7'd8))
      assert (wide_t'(y) == clip($past(y1) + wide_t'($past(addend_i, 2)), $past(y2_i, 2)));
  end
endmodule
`default_nettype wire
