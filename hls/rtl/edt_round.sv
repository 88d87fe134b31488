// Shift right, ties to even (or floor), saturate: one value per cycle, latency 4. Reference: edgendt/fixed.py.
// shift_i and floor_i belong to a_i; hi_i and lo_i are looked at two cycles later.
`default_nettype none
module edt_round
  import edt_pkg::*;
#(
  parameter int InBits = 41
) (
  input  wire                       clk_i,
  input  wire  signed [InBits-1:0]  a_i,
  input  wire         [5:0]         shift_i,
  input  wire                       floor_i,
  input  wire  signed [OutW-1:0]    hi_i,
  input  wire  signed [OutW-1:0]    lo_i,
  output logic signed [OutW-1:0]    y_o
);
  localparam int W = InBits + 2;  // two places below the point: the tie bit and the rest

  // 1: by multiples of eight; what is dropped only matters as "anything".
  logic signed [W-1:0] wide, coarse_q;
  logic                any_d, any_q, floor_q;
  logic [2:0]          fine_q;
  assign wide = {a_i, 2'b00};
  always_comb begin
    any_d = 1'b0;
    for (int b = 0; b < W; b++) if (b < 8 * int'(shift_i[5:3])) any_d |= wide[b];
  end
  always_ff @(posedge clk_i) begin
    coarse_q <= wide >>> {shift_i[5:3], 3'b000};
    any_q    <= any_d;
    fine_q   <= shift_i[2:0];
    floor_q  <= floor_i;
  end

  // 2: the remaining 0..7.
  logic signed [W-1:0] fine_d;
  logic                rest;
  logic [6:0]          lost;
  assign fine_d = coarse_q >>> fine_q;
  assign lost   = coarse_q[6:0] & ~(7'h7f << fine_q);
  assign rest   = any_q | (|lost) | fine_d[0];
  logic signed [OutW-1:0] low_q;
  logic                   up_q, over_q, under_q;
  always_ff @(posedge clk_i) begin
    low_q   <= fine_d[2+:OutW];
    up_q    <= !floor_q && fine_d[1] && (rest || fine_d[2]);
    over_q  <= !fine_d[W-1] && (|fine_d[W-1:OutW+1]);
    under_q <= fine_d[W-1] && !(&fine_d[W-1:OutW+1]);
  end

  // 3: one increment. 4: saturate.
  logic signed [OutW:0] sum_q;
  logic                 over2_q, under2_q;
  logic signed [OutW-1:0] hi_q, lo_q;
  always_ff @(posedge clk_i) begin
    sum_q    <= (OutW+1)'(low_q) + (OutW+1)'($signed({1'b0, up_q}));
    over2_q  <= over_q;
    under2_q <= under_q;
    hi_q     <= hi_i;
    lo_q     <= lo_i;
    if (over2_q || (!under2_q && sum_q > (OutW+1)'(hi_q))) y_o <= hi_q;
    else if (under2_q || sum_q < (OutW+1)'(lo_q)) y_o <= lo_q;
    else y_o <= sum_q[OutW-1:0];
  end
endmodule
`default_nettype wire
