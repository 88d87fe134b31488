// Softmax denominators: sums of exponentials per head group, then their reciprocals through the table.
// Reference: edgendt/ops/attention.py. fin_i in cycle 0 -> group g known in cycle 9 + g; ok_o early enough that a beat
// issued then finds its group's reciprocal. The first beat comes behind clear_i.
`default_nettype none
module edt_recip #(
  parameter int Sfus = 1,
  parameter int SumBits = 16  // of the longest sum of exponentials
) (
  input  wire               clk_i,
  input  wire               rst_i,
  input  wire               clear_i,
  input  wire  [3:0]        groups_i,
  input  wire               valid_i,     // exponentials of one beat
  input  wire  [2:0]        group_i,
  input  wire  [Sfus-1:0]   keys_i,      // which of them are keys
  input  wire  [Sfus*8-1:0] exps_i,
  input  wire               fin_i,       // with the last valid_i
  output wire               reading_o,   // the table is ours
  output wire  [9:0]        index_o,
  input  wire  [14:0]       table_i,     // two cycles later
  output logic              ok_o,
  input  wire  [2:0]        recip_group_i,
  output wire  [14:0]       recip_o,
  input  wire  [2:0]        length_group_i,
  output wire  [4:0]        length_o,
  input  wire  [2:0]        share_group_i,  // the same for a share of the weights between channels
  output wire  [4:0]        share_length_o
);
  // A beat's own sum first: four additions in a row in front of sum_q were the longest path of a full part.
  localparam int Levels = $clog2(Sfus);
  localparam int TopBits = $clog2(SumBits);
  logic [SumBits-1:0] sum_q [8];
  logic [15:0] part [2*Sfus];  // a tree: part[1] is the sum, part[Sfus+n] the exponential n
  logic [7+Levels:0] beat_q;
  logic        beat_valid_q, beat_fin_q, clear_q;
  logic [2:0]  beat_group_q;
  for (genvar n = 0; n < Sfus; n++) begin : g_leaf
    assign part[Sfus+n] = keys_i[n] ? 16'(exps_i[n*8+:8]) : 16'd0;
  end
  for (genvar n = 1; n < Sfus; n++) begin : g_node
    assign part[n] = part[2*n] + part[2*n+1];
  end
  assign part[0] = '0;

  // One group per cycle once all sums are final.
  logic        run_q;
  logic [2:0]  g_q, g1_q, g2_q, g3_q, g4_q, g5_q;
  logic [5:1]  valid_q;
  logic [SumBits-1:0] d1_q, d2_q;
  logic [TopBits-1:0] top_d, top2_q, top3_q, top4_q, top5_q;
  logic [9:0]  index_q;
  logic [SumBits-1:0] up;
  logic        none2_q, none3_q, none4_q, none5_q, last;
  logic [14:0] recip_q [8];
  logic [4:0]  length_q [8];
  assign last = 4'(g_q) == groups_i - 4'd1;
  always_comb begin
    top_d = '0;
    for (int i = 0; i < SumBits; i++) if (d1_q[i]) top_d = TopBits'(i);
  end
  assign up = d2_q << (TopBits'(SumBits - 1) - top2_q);

  always_ff @(posedge clk_i) begin
    clear_q <= clear_i;
    if (clear_q) for (int g = 0; g < 8; g++) sum_q[g] <= '0;
    else if (beat_valid_q) sum_q[beat_group_q] <= sum_q[beat_group_q] + SumBits'(beat_q);
    beat_q       <= part[1][7+Levels:0];
    beat_group_q <= group_i;
    beat_valid_q <= valid_i;
    beat_fin_q   <= fin_i;

    if (beat_valid_q && beat_fin_q) begin
      run_q <= 1'b1;
      g_q   <= '0;
    end else if (run_q) begin
      g_q <= g_q + 3'd1;
      if (last) run_q <= 1'b0;
    end
    valid_q <= {valid_q[4:1], run_q};
    {g1_q, g2_q, g3_q, g4_q, g5_q} <= {g_q, g1_q, g2_q, g3_q, g4_q};
    d1_q    <= sum_q[g_q];
    d2_q    <= d1_q;
    top2_q  <= top_d;
    none2_q <= d1_q == '0;
    index_q <= up[SumBits-1-:10];
    {top3_q, top4_q, top5_q}    <= {top2_q, top3_q, top4_q};
    {none3_q, none4_q, none5_q} <= {none2_q, none3_q, none4_q};
    if (valid_q[5]) begin
      recip_q[g5_q]  <= none5_q ? '0 : table_i;
      length_q[g5_q] <= 5'(top5_q) + 5'd1;
    end
    if (clear_i) ok_o <= 1'b0;
    else if (run_q && last) ok_o <= 1'b1;
    if (rst_i) begin
      beat_valid_q <= 1'b0;
      run_q        <= 1'b0;
      valid_q      <= '0;
      ok_o         <= 1'b0;
    end
  end
  assign index_o   = index_q;
  assign reading_o = valid_q[3];
  assign recip_o   = recip_q[recip_group_i];
  assign length_o  = length_q[length_group_i];
  assign share_length_o = length_q[share_group_i];
  wire unused = &{1'b0, up[SumBits-11:0], part[0], part[1][15:8]};
endmodule
`default_nettype wire
