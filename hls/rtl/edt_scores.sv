// Score memory, and per head group the maximum over the keys that count, kept while the words arrive.
// Word in cycle 1 (step in cycle 0) -> maximum up to date in cycle 4 + log2(P).
`default_nettype none
module edt_scores #(
  parameter int Pipes   = 4,
  parameter int AccBits = 24,
  parameter int Depth   = 64,
  parameter int KeyBits = 9
) (
  input  wire                        clk_i,
  input  wire                        start_i,   // forget the maxima, at the end of the next cycle
  input  wire                        step_i,
  input  wire  [$clog2(Depth)-1:0]   waddr_i,
  input  wire  [2:0]                 group_i,
  input  wire  [8:0]                 word_i,    // key / P
  input  wire  [KeyBits-1:0]         first_i,   // keys that count: from the one up to the other
  input  wire  [KeyBits-1:0]         stop_i,
  input  wire  [Pipes*AccBits-1:0]   acc_i,     // cycle 1
  input  wire  [$clog2(Depth)-1:0]   raddr_i,
  output wire  [Pipes*AccBits-1:0]   rdata_o,
  input  wire  [2:0]                 max_group_i,
  output wire  signed [AccBits-1:0]  max_o
);
  localparam int Levels = $clog2(Pipes);
  localparam logic signed [AccBits-1:0] Least = {1'b1, {(AccBits - 1) {1'b0}}};

  logic                      step1_q, step2_q;
  logic [$clog2(Depth)-1:0]  addr1_q, addr2_q;
  logic [2:0]                group1_q;
  logic [Pipes-1:0]          valid1_q, valid2_q;
  logic [Pipes*AccBits-1:0]  acc2_q;
  always_ff @(posedge clk_i) begin
    step1_q  <= step_i;
    step2_q  <= step1_q;
    addr1_q  <= waddr_i;
    addr2_q  <= addr1_q;
    group1_q <= group_i;
    acc2_q   <= acc_i;
    for (int p = 0; p < Pipes; p++)
      valid1_q[p] <= 14'({word_i, {Levels{1'b0}}}) + 14'(p) >= 14'(first_i)
                     && 14'({word_i, {Levels{1'b0}}}) + 14'(p) < 14'(stop_i);
    valid2_q <= valid1_q;
  end

  edt_ram #(.Width(Pipes * AccBits), .Depth(Depth)) i_ram (
    .clk_i,
    .we_i   (step2_q),
    .waddr_i(addr2_q),
    .wdata_i(acc2_q),
    .raddr_i(raddr_i),
    .rdata_o(rdata_o)
  );

  // Level 0 masks; each further level halves the candidates.
  logic signed [AccBits-1:0] tree_q [Levels][Pipes];
  logic signed [AccBits-1:0] most;  // of the last level
  logic [Levels-1:0]         ready_q;
  logic [2:0]                group_q [Levels+1];
  logic signed [AccBits-1:0] max_q [8];
  logic                      start_q;  // start_i comes out of logic from afar, and no word is here so soon
  always_ff @(posedge clk_i) begin
    start_q    <= start_i;
    ready_q    <= Levels'({ready_q, step2_q});
    group_q[0] <= group1_q;
    for (int l = 1; l < Levels + 1; l++) group_q[l] <= group_q[l-1];
    for (int p = 0; p < Pipes; p++) tree_q[0][p] <= valid2_q[p] ? acc2_q[p*AccBits+:AccBits] : Least;
    for (int l = 1; l < Levels; l++)
      for (int p = 0; p < (Pipes >> l); p++)
        tree_q[l][p] <= tree_q[l-1][2*p] > tree_q[l-1][2*p+1] ? tree_q[l-1][2*p] : tree_q[l-1][2*p+1];
  end
  assign most = tree_q[Levels-1][0] > tree_q[Levels-1][1] ? tree_q[Levels-1][0] : tree_q[Levels-1][1];

  // A comparator each: choosing the group's maximum first would put a multiplexer in front of the comparison. They lie
  // far apart in a full part, so each has the word in registers of its own.
  for (genvar g = 0; g < 8; g++) begin : g_group
    logic                      of_group;
    logic signed [AccBits-1:0] word;
    edt_reg #(.Width(AccBits + 1)) i_word (
      .clk_i, .d_i({ready_q[Levels-1] && group_q[Levels] == 3'(g), most}), .q_o({of_group, word})
    );
    always_ff @(posedge clk_i) begin
      if (start_q) max_q[g] <= Least;
      else if (of_group && word > max_q[g]) max_q[g] <= word;
    end
  end
  assign max_o = max_q[max_group_i];
endmodule
`default_nettype wire
