// The engine behind a UART: all of a UART board but its clock and pins, and what an emulated board simulates.
`default_nettype none
module edt_uart_engine #(
  parameter int ClkHz = 60_000_000,
  parameter int Baud  = 3_000_000,
  parameter logic [31:0] EngineId = 32'h0,
  parameter int Segments   = 4,
  parameter int Lanes      = 8,
  parameter int Pipes      = 4,
  parameter int Sfus       = 1,
  parameter int AccBits    = 24,
  parameter int WgtDepth   = 4096,
  parameter int KvDepth    = 512,
  parameter int BiasDepth  = 512,
  parameter int ActDepth   = 1024,
  parameter int ResDepth   = 128,
  parameter int PosDepth   = 2048,
  parameter int ScoreDepth = 128,
  parameter int GammaDepth = 512,
  parameter int ProgDepth  = 256,
  parameter int Packed     = 0,
  parameter int Splits     = 1,
  parameter int Serial     = 0,
  parameter int Rotary     = 0,
  parameter int Windows    = 0,
  parameter int Tokens     = 0,
  parameter int KeySize    = 256,
  parameter int Ultra      = 0
) (
  input  wire clk_i,
  input  wire rst_i,
  input  wire rx_i,
  output wire tx_o,
  output wire ready_o,
  output wire busy_o
);
  wire [7:0] request, answer;
  wire       request_valid, request_ready, request_last, answer_valid, answer_ready, answer_last;

  edt_bridge_uart #(.ClkHz(ClkHz), .Baud(Baud)) u_bridge (
    .clk_i(clk_i), .rst_i(rst_i), .rx_i(rx_i), .tx_o(tx_o),
    .m_axis_tdata(request), .m_axis_tvalid(request_valid), .m_axis_tready(request_ready), .m_axis_tlast(request_last),
    .s_axis_tdata(answer), .s_axis_tvalid(answer_valid), .s_axis_tready(answer_ready), .s_axis_tlast(answer_last));

  edt_engine #(
    .EngineId(EngineId), .Segments(Segments), .Lanes(Lanes), .Pipes(Pipes), .Sfus(Sfus), .AccBits(AccBits),
    .WgtDepth(WgtDepth), .KvDepth(KvDepth), .BiasDepth(BiasDepth), .ActDepth(ActDepth), .ResDepth(ResDepth),
    .PosDepth(PosDepth), .ScoreDepth(ScoreDepth), .GammaDepth(GammaDepth), .ProgDepth(ProgDepth), .Packed(Packed),
    .Splits(Splits), .Serial(Serial), .Rotary(Rotary), .Windows(Windows), .Tokens(Tokens), .KeySize(KeySize), .Ultra(Ultra)
  ) u_engine (
    .clk_i(clk_i), .rst_i(rst_i),
    .s_axis_tdata(request), .s_axis_tvalid(request_valid), .s_axis_tready(request_ready), .s_axis_tlast(request_last),
    .m_axis_tdata(answer), .m_axis_tvalid(answer_valid), .m_axis_tready(answer_ready), .m_axis_tlast(answer_last),
    .ready_o(ready_o), .busy_o(busy_o));
endmodule
`default_nettype wire
