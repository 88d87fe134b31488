// Simulation only: the link with the stand-in core; its streams are ports, or lie behind the UART bridge with `define UART.
`default_nettype none
module link_top #(
  parameter logic [31:0] EngineId = 32'h0,
  parameter int ClkHz = 24_000_000
) (
  input  wire        clk_i,
  input  wire        rst_i,
`ifdef UART
  input  wire        rx_i,
  output wire        tx_o
`else
  input  wire  [7:0] s_axis_tdata,
  input  wire        s_axis_tvalid,
  output wire        s_axis_tready,
  input  wire        s_axis_tlast,
  output wire  [7:0] m_axis_tdata,
  output wire        m_axis_tvalid,
  input  wire        m_axis_tready,
  output wire        m_axis_tlast
`endif
);
`ifdef UART
  wire [7:0] s_axis_tdata, m_axis_tdata;
  wire       s_axis_tvalid, s_axis_tready, s_axis_tlast, m_axis_tvalid, m_axis_tready, m_axis_tlast;
  edt_bridge_uart #(.ClkHz(ClkHz), .Baud(3_000_000)) u_bridge (
    .clk_i(clk_i), .rst_i(rst_i), .rx_i(rx_i), .tx_o(tx_o),
    .m_axis_tdata(s_axis_tdata), .m_axis_tvalid(s_axis_tvalid), .m_axis_tready(s_axis_tready),
    .m_axis_tlast(s_axis_tlast), .s_axis_tdata(m_axis_tdata), .s_axis_tvalid(m_axis_tvalid),
    .s_axis_tready(m_axis_tready), .s_axis_tlast(m_axis_tlast));
`endif
  wire        load_en, trial_reset, count_en, start, busy, done, refuse;
  wire [3:0]  load_mem;
  wire [23:0] load_addr;
  wire [39:0] load_data;
  wire [7:0]  count_addr, count_data, out_addr;
  wire [15:0] out_data, unused_bin;
  wire [31:0] cycles;
  wire        unused_ready;

  edt_link #(.EngineId(EngineId)) u_link (
    .clk_i(clk_i), .rst_i(rst_i),
    .s_axis_tdata(s_axis_tdata), .s_axis_tvalid(s_axis_tvalid), .s_axis_tready(s_axis_tready),
    .s_axis_tlast(s_axis_tlast), .m_axis_tdata(m_axis_tdata), .m_axis_tvalid(m_axis_tvalid),
    .m_axis_tready(m_axis_tready), .m_axis_tlast(m_axis_tlast),
    .load_en_o(load_en), .load_mem_o(load_mem), .load_addr_o(load_addr), .load_data_o(load_data),
    .trial_reset_o(trial_reset), .count_en_o(count_en), .count_addr_o(count_addr), .count_data_o(count_data),
    .start_o(start), .busy_i(busy), .done_i(done), .refuse_i(refuse), .out_addr_o(out_addr), .out_data_i(out_data),
    .cycles_i(cycles), .ready_o(unused_ready));

  edt_core u_core (
    .clk_i(clk_i), .rst_i(rst_i),
    .load_en_i(load_en), .load_mem_i(load_mem), .load_addr_i(load_addr), .load_data_i(load_data),
    .trial_reset_i(trial_reset), .count_en_i(count_en), .count_addr_i(count_addr), .count_data_i(count_data),
    .start_i(start), .busy_o(busy), .done_o(done), .refuse_o(refuse), .out_addr_i(out_addr), .out_data_o(out_data),
    .cycles_o(cycles), .bin_o(unused_bin));
endmodule
`default_nettype wire
