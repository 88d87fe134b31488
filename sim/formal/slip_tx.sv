// A byte that edt_slip_tx offers stands until it is taken, when its input does as AXI4-Stream says.
`default_nettype none
module slip_tx (
  input wire       clk_i,
  input wire       rst_i,
  input wire [7:0] s_axis_tdata,
  input wire       s_axis_tvalid,
  input wire       s_axis_tlast,
  input wire       ready_i
);
  wire       s_axis_tready, valid;
  wire [7:0] data;
  edt_slip_tx dut (
    .clk_i(clk_i), .rst_i(rst_i), .s_axis_tdata(s_axis_tdata), .s_axis_tvalid(s_axis_tvalid),
    .s_axis_tready(s_axis_tready), .s_axis_tlast(s_axis_tlast), .data_o(data), .valid_o(valid), .ready_i(ready_i));

  logic       begun = 1'b0, waits = 1'b0, held = 1'b0;
  logic [7:0] offered;
  logic [8:0] given;
  always_ff @(posedge clk_i) begin
    begun   <= 1'b1;
    held    <= s_axis_tvalid && !s_axis_tready && !rst_i;
    given   <= {s_axis_tlast, s_axis_tdata};
    waits   <= valid && !ready_i && !rst_i;
    offered <= data;
    assume (begun || rst_i);
    if (begun && held) assume (s_axis_tvalid && {s_axis_tlast, s_axis_tdata} == given);
    if (begun && waits) assert (valid && data == offered);
  end
endmodule
`default_nettype wire
