// A UART and the engine's two streams: SLIP frames on the wire, tlast on the streams. Format: docs/protocol.md.
// Received bytes wait in a FIFO while the link is busy; one that finds it full is lost, and its packet's CRC tells.
`default_nettype none
module edt_bridge_uart #(
  parameter int ClkHz = 60_000_000,
  parameter int Baud  = 3_000_000
) (
  input  wire       clk_i,
  input  wire       rst_i,
  input  wire       rx_i,
  output wire       tx_o,
  output wire [7:0] m_axis_tdata,
  output wire       m_axis_tvalid,
  input  wire       m_axis_tready,
  output wire       m_axis_tlast,
  input  wire [7:0] s_axis_tdata,
  input  wire       s_axis_tvalid,
  output wire       s_axis_tready,
  input  wire       s_axis_tlast
);
  logic [7:0] rx_data, frame_data, tx_data;
  logic       rx_valid, frame_valid, frame_last, tx_valid, tx_ready, unused_ready;

  edt_uart_rx #(.ClkHz(ClkHz), .Baud(Baud)) u_rx (
    .clk_i(clk_i), .rst_i(rst_i), .rx_i(rx_i), .data_o(rx_data), .valid_o(rx_valid));

  edt_slip_rx u_unslip (
    .clk_i(clk_i), .rst_i(rst_i), .data_i(rx_data), .valid_i(rx_valid),
    .m_axis_tdata(frame_data), .m_axis_tvalid(frame_valid), .m_axis_tlast(frame_last));

  edt_fifo #(.Width(9), .LogDepth(11)) u_fifo (
    .clk_i(clk_i), .rst_i(rst_i), .data_i({frame_last, frame_data}), .valid_i(frame_valid), .ready_o(unused_ready),
    .data_o({m_axis_tlast, m_axis_tdata}), .valid_o(m_axis_tvalid), .ready_i(m_axis_tready));

  edt_slip_tx u_slip (
    .clk_i(clk_i), .rst_i(rst_i), .s_axis_tdata(s_axis_tdata), .s_axis_tvalid(s_axis_tvalid),
    .s_axis_tready(s_axis_tready), .s_axis_tlast(s_axis_tlast), .data_o(tx_data), .valid_o(tx_valid),
    .ready_i(tx_ready));

  edt_uart_tx #(.ClkHz(ClkHz), .Baud(Baud)) u_tx (
    .clk_i(clk_i), .rst_i(rst_i), .data_i(tx_data), .valid_i(tx_valid), .ready_o(tx_ready), .tx_o(tx_o));
endmodule
`default_nettype wire
