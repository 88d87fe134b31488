// edt_round equals the plain definition, for every input, shift 0..63 and limits: quotient, remainder, ties to even, clamp.
`default_nettype none
module round
  import edt_pkg::*;
#(
  parameter int InBits = 20
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

  localparam int B = 66;  // a remainder below 2^63, doubled
  logic signed [B-1:0] a, quotient, rest, rounded, hi, lo, clamped;
  logic                up;
  always_comb begin
    a        = B'(a_i);
    quotient = a >>> shift_i;
    rest     = (a - (quotient << shift_i)) << 1;
    up       = !floor_i && (rest > (B'(1) << shift_i) || (rest == (B'(1) << shift_i) && quotient[0]));
    rounded  = up ? quotient + B'(1) : quotient;
    hi       = B'(hi_i);
    lo       = B'(lo_i);
    clamped  = rounded > hi ? hi : rounded < lo ? lo : rounded;
  end

  // One input, held for as long as the pipeline takes: it has no memory beyond, so one result stands for all.
  logic [2:0]               cycle = '0;
  logic [InBits+2*OutW+6:0] first;
  wire  [InBits+2*OutW+6:0] now = {a_i, shift_i, floor_i, hi_i, lo_i};
  always_ff @(posedge clk_i) begin
    if (cycle == 3'd0) first <= now;
    if (cycle != 3'd5) cycle <= cycle + 3'd1;
    assume (lo_i <= hi_i && (cycle == 3'd0 || now == first));
    if (cycle == 3'd4) assert (y == clamped[OutW-1:0]);
  end
endmodule
`default_nettype wire
