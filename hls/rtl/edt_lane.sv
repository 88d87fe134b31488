// One lane: stationary x broadcast into an accumulator, and the drain register that lets the next pass run.
// The operands in cycle 0 -> accumulator updated at the end of cycle 2; valid_i, first_i belong to cycle 2. Whether the
// stationary one is a weight or of the cache, and what a weight holds, comes a cycle ahead: each lane has registers of
// its own for that, since the multipliers of a segment lie far apart in a full part.
// Packed: a word may hold two 4-bit weights {wb - (wa < 0), wa}; wa + wb * 2^12 is one factor, and both products are cut
// out of the one product exactly, each into an accumulator of its own.
`default_nettype none
module edt_lane #(
  parameter int AccBits = 24,
  parameter int Packed  = 0
) (
  input  wire                       clk_i,
  input  wire                       next_kv_i,      // for cycle 0, in the cycle before: the operand is kv_i
  input  wire                       next_paired_i,  // it holds two weights
  input  wire  signed [8:0]         weight_i,
  input  wire  signed [8:0]         kv_i,
  input  wire  signed [8:0]         x_i,
  input  wire                       valid_i,
  input  wire                       first_i,
  input  wire                       paired2_i,  // cycle 2: the product is of two weights
  input  wire                       copy_i,     // accumulator -> drain register
  input  wire                       shift_i,    // drain register <- neighbour
  input  wire  signed [AccBits-1:0] low_i,
  input  wire  signed [AccBits-1:0] high_i,
  output logic signed [AccBits-1:0] low_o,
  output logic signed [AccBits-1:0] high_o
);
  localparam int ABits = Packed != 0 ? 17 : 9;
  logic signed [ABits-1:0]   factor;
  logic signed [ABits+8:0]   product;
  logic signed [AccBits-1:0] low, acc_q;
  logic                      kv_q, paired_q;
  logic signed [8:0]         stat;
  edt_reg #(.Width(2)) i_choice (.clk_i, .d_i({next_kv_i, next_paired_i}), .q_o({kv_q, paired_q}));
  assign stat = kv_q ? kv_i : weight_i;
  edt_mul #(.ABits(ABits), .BBits(9)) i_mul (.clk_i, .a_i(factor), .b_i(x_i), .p_o(product));

  if (Packed != 0) begin : g_packed
    logic signed [AccBits:0]   high;  // with the low product's sign below the point: a carry in
    logic signed [AccBits-1:0] high_q;
    assign factor = paired_q ? {stat[8:4], {8{stat[3]}}, stat[3:0]} : 17'(stat);
    assign low    = AccBits'(signed'({paired2_i ? {6{product[11]}} : product[17:12], product[11:0]}));
    assign high   = (AccBits+1)'(signed'({product[24:12], product[11]})) + {first_i ? '0 : high_q, 1'b1};
    always_ff @(posedge clk_i) begin
      if (valid_i) high_q <= high[AccBits:1];
      if (copy_i) high_o <= high_q;
      else if (shift_i) high_o <= high_i;
    end
    wire unused = &{1'b0, high[0], product[25]};
  end else begin : g_single
    assign factor = stat;
    assign low    = AccBits'(product);
    assign high_o = '0;
    wire unused = &{1'b0, paired_q, paired2_i, high_i};
  end

  always_ff @(posedge clk_i) begin
    if (valid_i) acc_q <= low + (first_i ? '0 : acc_q);
    if (copy_i) low_o <= acc_q;
    else if (shift_i) low_o <= low_i;
  end
endmodule
`default_nettype wire
