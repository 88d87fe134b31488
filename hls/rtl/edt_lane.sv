// One lane: stationary x broadcast into an accumulator, and the drain register that lets the next pass run.
// stat_i/x_i in cycle 0 -> accumulator updated at the end of cycle 2; valid_i, first_i belong to cycle 2.
`default_nettype none
module edt_lane #(
  parameter int AccBits = 24
) (
  input  wire                       clk_i,
  input  wire  signed [8:0]         stat_i,
  input  wire  signed [8:0]         x_i,
  input  wire                       valid_i,
  input  wire                       first_i,
  input  wire                       copy_i,   // accumulator -> drain register
  input  wire                       shift_i,  // drain register <- neighbour
  input  wire  signed [AccBits-1:0] shift_in_i,
  output logic signed [AccBits-1:0] drain_o
);
  logic signed [17:0] product;
  edt_mul #(.ABits(9), .BBits(9)) i_mul (.clk_i, .a_i(stat_i), .b_i(x_i), .p_o(product));

  logic signed [AccBits-1:0] acc_q;
  always_ff @(posedge clk_i) begin
    if (valid_i) acc_q <= AccBits'(product) + (first_i ? '0 : acc_q);
    if (copy_i) drain_o <= acc_q;
    else if (shift_i) drain_o <= shift_in_i;
  end
endmodule
`default_nettype wire
