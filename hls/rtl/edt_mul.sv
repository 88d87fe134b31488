// Signed multiplier with input and output registers (latency 2), at most 18 x 18: one DSP block.
// EDT_ECP5 chooses the part's own block with its own registers, which synthesis would not find.
`default_nettype none
module edt_mul #(
  parameter int ABits = 9,
  parameter int BBits = 9
) (
  input  wire                            clk_i,
  input  wire  signed [ABits-1:0]        a_i,
  input  wire  signed [BBits-1:0]        b_i,
  output logic signed [ABits+BBits-1:0]  p_o
);
`ifdef EDT_ECP5
  logic signed [35:0] product;
  edt_mul18_ecp5 i_mul (.clk_i, .a_i(18'(a_i)), .b_i(18'(b_i)), .p_o(product));
  assign p_o = product[ABits+BBits-1:0];
  wire unused = &{1'b0, product};
`else
  logic signed [ABits-1:0] a_q;
  logic signed [BBits-1:0] b_q;
  always_ff @(posedge clk_i) begin
    a_q <= a_i;
    b_q <= b_i;
    p_o <= a_q * b_q;
  end
`endif
endmodule
`default_nettype wire
