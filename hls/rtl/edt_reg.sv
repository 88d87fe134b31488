// A register that synthesis keeps apart from equal ones, so that it can lie where it is read.
`default_nettype none
(* keep_hierarchy *)
module edt_reg #(
  parameter int Width = 1
) (
  input  wire              clk_i,
  input  wire  [Width-1:0] d_i,
  output logic [Width-1:0] q_o
);
  always_ff @(posedge clk_i) q_o <= d_i;
endmodule
`default_nettype wire
