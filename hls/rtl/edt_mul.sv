// Signed multiplier with input and output registers (latency 2). Maps to one DSP block up to 18 x 18.
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
  logic signed [ABits-1:0] a_q;
  logic signed [BBits-1:0] b_q;
  always_ff @(posedge clk_i) begin
    a_q <= a_i;
    b_q <= b_i;
    p_o <= a_q * b_q;
  end
endmodule
`default_nettype wire
