// One narrowing pipe: + bias, shift (either way) with ties to even, saturate, + residual or position, saturate.
// Reference: edgendt/ops/linear.py, add.py, position.py. Accumulator in cycle 0, result in cycle 8 (see the ports).
`default_nettype none
module edt_narrow
  import edt_pkg::*;
#(
  parameter int AccBits = 24
) (
  input  wire                      clk_i,
  input  wire  signed [AccBits-1:0] acc_i,     // cycle 0
  input  wire  [33:0]              bias_i,    // cycle 1: right shift + 16 (6 bits), bias (28 bits)
  input  wire  fmt_t               y1_i,      // cycle 4
  input  wire  signed [15:0]       addend_i,  // cycle 6, zero when nothing is added
  input  wire  fmt_t               y2_i,      // cycle 6
  output logic signed [OutW-1:0]   y_o        // cycle 8
);
  localparam int SumBits = AccBits + 1;
  logic signed [AccBits-1:0] acc_q;
  logic signed [SumBits-1:0] sum_q;
  logic [5:0]                shift_q;
  always_ff @(posedge clk_i) begin
    acc_q   <= acc_i;
    sum_q   <= SumBits'(acc_q) + SumBits'($signed(bias_i[AccBits-1:0]));
    shift_q <= bias_i[33:28];
  end

  logic signed [OutW-1:0] y1;
  edt_round #(.InBits(SumBits + 16)) i_round (
    .clk_i,
    .a_i    ({sum_q, 16'd0}),
    .shift_i(shift_q),
    .floor_i(1'b0),
    .hi_i   (fmt_hi(y1_i)),
    .lo_i   (fmt_lo(y1_i)),
    .y_o    (y1)
  );

  // The highest code of a format is ones below its sign, the lowest one its complement or 0: the bits above those ones
  // say whether a sum is outside. A comparison's carry chain would be the longest path in front of the memories.
  logic signed [OutW-1:0] total_q, hi_q, lo_q;
  logic over, under;
  assign over  = !total_q[OutW-1] && |(total_q & ~hi_q);
  assign under = total_q[OutW-1] && !(lo_q[OutW-1] && &(total_q | hi_q));
  always_ff @(posedge clk_i) begin
    total_q <= y1 + OutW'(addend_i);
    hi_q    <= fmt_hi(y2_i);
    lo_q    <= fmt_lo(y2_i);
    if (over) y_o <= hi_q;
    else if (under) y_o <= lo_q;
    else y_o <= total_q;
  end
  wire unused = &{1'b0, bias_i[27:AccBits-1]};
endmodule
`default_nettype wire
