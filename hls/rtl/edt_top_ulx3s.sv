// ULX3S: 25 MHz oscillator, PLL, reset button, FTDI UART, LEDs around the engine. Pins: boards/ulx3s.lpf.
`default_nettype none
module edt_top_ulx3s #(
  parameter int ClkHz  = 60_000_000,  // 25 MHz * FbDiv / RefDiv
  parameter int RefDiv = 5,
  parameter int FbDiv  = 12,
  parameter int OutDiv = 10,
  parameter int Baud   = 3_000_000,
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
  parameter int Splits     = 1
) (
  input  wire       clk_25mhz,
  input  wire       btn_pwr_n,   // reset while pressed
  input  wire       ftdi_txd,    // from the host
  output wire       ftdi_rxd,    // to the host
  output wire [7:0] led,
  output wire       wifi_gpio0   // high keeps the board's ESP32 from rebooting it
);
  wire clk, locked;
  edt_pll_ecp5 #(.RefDiv(RefDiv), .FbDiv(FbDiv), .OutDiv(OutDiv)) u_pll (
    .clk_i(clk_25mhz), .clk_o(clk), .locked_o(locked));

  logic [1:0] go_q;
  logic       rst_q;
  always_ff @(posedge clk) begin
    go_q  <= {go_q[0], locked && btn_pwr_n};
    rst_q <= !go_q[1];
  end

  wire ready, busy;
  edt_uart_engine #(
    .ClkHz(ClkHz), .Baud(Baud), .EngineId(EngineId), .Segments(Segments), .Lanes(Lanes), .Pipes(Pipes), .Sfus(Sfus),
    .AccBits(AccBits), .WgtDepth(WgtDepth), .KvDepth(KvDepth), .BiasDepth(BiasDepth), .ActDepth(ActDepth),
    .ResDepth(ResDepth), .PosDepth(PosDepth), .ScoreDepth(ScoreDepth), .GammaDepth(GammaDepth), .ProgDepth(ProgDepth),
    .Packed(Packed), .Splits(Splits)
  ) u_engine (
    .clk_i(clk), .rst_i(rst_q), .rx_i(ftdi_txd), .tx_o(ftdi_rxd), .ready_o(ready), .busy_o(busy));

  assign led        = {!rst_q, 3'b000, !ftdi_txd, !ftdi_rxd, busy, ready};
  assign wifi_gpio0 = 1'b1;
endmodule
`default_nettype wire
