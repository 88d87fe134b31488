// An answer byte that edt_link offers stands until it is taken, whatever host and core do.
`default_nettype none
module link (
  input wire        clk_i,
  input wire        rst_i,
  input wire  [7:0] s_axis_tdata,
  input wire        s_axis_tvalid,
  input wire        s_axis_tlast,
  input wire        m_axis_tready,
  input wire        busy_i,
  input wire        done_i,
  input wire        refuse_i,
  input wire [15:0] out_data_i,
  input wire [31:0] cycles_i
);
  wire       valid, last;
  wire [7:0] data;
  edt_link dut (
    .clk_i(clk_i), .rst_i(rst_i), .s_axis_tdata(s_axis_tdata), .s_axis_tvalid(s_axis_tvalid), .s_axis_tready(),
    .s_axis_tlast(s_axis_tlast), .m_axis_tdata(data), .m_axis_tvalid(valid), .m_axis_tready(m_axis_tready),
    .m_axis_tlast(last), .load_en_o(), .load_mem_o(), .load_addr_o(), .load_data_o(), .trial_reset_o(), .count_en_o(),
    .count_addr_o(), .count_data_o(), .start_o(), .busy_i(busy_i), .done_i(done_i), .refuse_i(refuse_i),
    .out_addr_o(), .out_data_i(out_data_i), .cycles_i(cycles_i), .ready_o());

  logic       begun = 1'b0, waits = 1'b0;
  logic [8:0] offered;
  always_ff @(posedge clk_i) begin
    begun   <= 1'b1;
    waits   <= valid && !m_axis_tready && !rst_i;
    offered <= {last, data};
    assume (begun || rst_i);
    if (begun && waits) assert (valid && {last, data} == offered);
  end
endmodule
`default_nettype wire
