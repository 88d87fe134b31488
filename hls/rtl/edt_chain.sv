// The drain chain between the lanes: what every drain register takes at a shift, and the word that leaves.
// Unsplit, the low registers move one word towards word 0 per shift and the high ones follow behind the last of them.
// Split into R groups of Words / R words, each group is such a chain of its own, and what leaves is the sum over groups:
// after `Stages` cycles of a registered tree (0 for R <= 2). Combinational otherwise.
`default_nettype none
module edt_chain #(
  parameter int Words   = 8,
  parameter int Pipes   = 4,
  parameter int AccBits = 24,
  parameter int Packed  = 0,
  parameter int Splits  = 1
) (
  input  wire                            clk_i,
  input  wire  [Words*2-1:0]             chain_split_i,  // log2 R of the words that are shifted, for each word
  input  wire  [Words*Pipes*AccBits-1:0] low_i,          // drain registers of all lanes
  input  wire  [Words*Pipes*AccBits-1:0] high_i,
  output wire  [Words*Pipes*AccBits-1:0] low_o,          // what they take next
  output wire  [Words*Pipes*AccBits-1:0] high_o,
  input  wire  [1:0]                     head_split_i,   // log2 R of the word that leaves now
  output wire  [Pipes*AccBits-1:0]       head_o
);
  localparam int WordBits = Pipes * AccBits;
  localparam int Levels   = $clog2(Splits);

  assign high_o = {{WordBits{1'b0}}, high_i[Words*WordBits-1:WordBits]};
  for (genvar w = 0; w < Words; w++) begin : g_word
    logic [WordBits-1:0] next;
    always_comb begin
      next = w + 1 < Words ? low_i[((w+1)%Words)*WordBits+:WordBits] : '0;
      // The last word of a group takes the group's first high word.
      for (int s = 0; s <= Levels; s++)
        if (Packed != 0 && chain_split_i[w*2+:2] == 2'(s) && (w + 1) % (Words >> s) == 0)
          next = high_i[(w+1-(Words>>s))*WordBits+:WordBits];
    end
    assign low_o[w*WordBits+:WordBits] = next;
  end

  // One adder tree per pipe over the groups' first words; its last level is left to the register of the narrowing pipe.
  logic [Splits-1:0] taps;
  always_comb begin
    taps = Splits'(1);
    for (int s = 1; s <= Levels; s++)
      for (int g = 1; g < Splits; g++) if (head_split_i == 2'(s) && g % (Splits >> s) == 0) taps[g] = 1'b1;
  end
  for (genvar p = 0; p < Pipes; p++) begin : g_pipe
    logic [AccBits-1:0] leaf [Splits];
    always_comb
      for (int g = 0; g < Splits; g++)
        leaf[g] = taps[g] ? low_i[(g*(Words/Splits)*Pipes+p)*AccBits+:AccBits] : '0;
    if (Splits == 1) begin : g_plain
      assign head_o[p*AccBits+:AccBits] = leaf[0];
    end else if (Splits == 2) begin : g_two
      assign head_o[p*AccBits+:AccBits] = leaf[0] + leaf[1];
    end else begin : g_tree
      logic [AccBits-1:0] sum_q [1:Levels-1][Splits/2];
      always_ff @(posedge clk_i) begin
        for (int g = 0; g < Splits / 2; g++) sum_q[1][g] <= leaf[2*g] + leaf[2*g+1];
        for (int l = 2; l < Levels; l++)
          for (int g = 0; g < (Splits >> l); g++) sum_q[l][g] <= sum_q[l-1][2*g] + sum_q[l-1][2*g+1];
      end
      assign head_o[p*AccBits+:AccBits] = sum_q[Levels-1][0] + sum_q[Levels-1][1];
    end
  end
  wire unused = &{1'b0, clk_i, chain_split_i, head_split_i, high_i};
endmodule
`default_nettype wire
