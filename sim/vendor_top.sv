// RTL that an HLS tool made of the firmware behind AXI4-Streams, under the names that the benches drive. No latency.
`default_nettype none
module vendor_top (
  input  wire         clk_i,
  input  wire         rst_i,
  input  wire  [31:0] s_axis_tdata,
  input  wire         s_axis_tvalid,
  output wire         s_axis_tready,
  input  wire         s_axis_tlast,
  output wire  [31:0] m_axis_tdata,
  output wire         m_axis_tvalid,
  input  wire         m_axis_tready,
  output wire         m_axis_tlast
);
  wire [3:0] keep, strb;
  edgendt_axis u_firmware (
    .ap_clk(clk_i), .ap_rst_n(!rst_i),
    .packets_TDATA(s_axis_tdata), .packets_TVALID(s_axis_tvalid), .packets_TREADY(s_axis_tready),
    .packets_TKEEP(4'hF), .packets_TSTRB(4'hF), .packets_TLAST(s_axis_tlast),
    .answers_TDATA(m_axis_tdata), .answers_TVALID(m_axis_tvalid), .answers_TREADY(m_axis_tready),
    .answers_TKEEP(keep), .answers_TSTRB(strb), .answers_TLAST(m_axis_tlast));
  wire unused = &{1'b0, keep, strb};
endmodule
`default_nettype wire
