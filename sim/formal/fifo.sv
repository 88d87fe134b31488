// What edt_fifo offers stands until it is taken.
`default_nettype none
module fifo (
  input wire       clk_i,
  input wire       rst_i,
  input wire [3:0] data_i,
  input wire       valid_i,
  input wire       ready_i
);
  wire       unused_ready, valid;
  wire [3:0] data;
  edt_fifo #(.Width(4), .LogDepth(2)) dut (
    .clk_i(clk_i), .rst_i(rst_i), .data_i(data_i), .valid_i(valid_i), .ready_o(unused_ready), .data_o(data),
    .valid_o(valid), .ready_i(ready_i));

  logic       begun = 1'b0, waits = 1'b0;
  logic [3:0] offered;
  always_ff @(posedge clk_i) begin
    begun   <= 1'b1;
    waits   <= valid && !ready_i && !rst_i;
    offered <= data;
    assume (begun || rst_i);
    if (begun && waits) assert (valid && data == offered);
  end
endmodule
`default_nettype wire
