// A board with a UART: oscillator, PLL, reset button, UART pins, LEDs around the engine. Boards differ in parameters and
// pins alone: boards/*.toml and the pin files beside them.
`default_nettype none
module edt_top_uart #(
  parameter int ClkHz  = 60_000_000,  // oscillator * FbDiv / RefDiv
  parameter int RefDiv = 5,           // 0: no PLL, the oscillator is the clock
  parameter int FbDiv  = 12,
  parameter int OutDiv = 10,
  parameter int Baud   = 3_000_000,
  parameter int Leds   = 9,           // the first of: loaded, busy, sends, receives, three dark, runs, always on
  parameter bit LedLow = 1'b0,        // a low pin lights the LED
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
  input  wire            osc_i,
  input  wire            button_n_i,  // reset while pressed
  input  wire            rx_i,        // from the host
  output wire            tx_o,        // to the host
  output wire [Leds-1:0] led_o
);
  wire clk, locked;
  if (RefDiv == 0) begin : g_direct
    assign clk    = osc_i;
    assign locked = 1'b1;
  end else begin : g_pll
    edt_pll_ecp5 #(.RefDiv(RefDiv), .FbDiv(FbDiv), .OutDiv(OutDiv)) u_pll (
      .clk_i(osc_i), .clk_o(clk), .locked_o(locked));
  end

  logic [1:0] go_q;
  logic       rst_q;
  always_ff @(posedge clk) begin
    go_q  <= {go_q[0], locked && button_n_i};
    rst_q <= !go_q[1];
  end

  wire ready, busy;
  edt_uart_engine #(
    .ClkHz(ClkHz), .Baud(Baud), .EngineId(EngineId), .Segments(Segments), .Lanes(Lanes), .Pipes(Pipes), .Sfus(Sfus),
    .AccBits(AccBits), .WgtDepth(WgtDepth), .KvDepth(KvDepth), .BiasDepth(BiasDepth), .ActDepth(ActDepth),
    .ResDepth(ResDepth), .PosDepth(PosDepth), .ScoreDepth(ScoreDepth), .GammaDepth(GammaDepth), .ProgDepth(ProgDepth),
    .Packed(Packed), .Splits(Splits), .Serial(Serial), .Rotary(Rotary), .Windows(Windows), .Tokens(Tokens), .KeySize(KeySize), .Ultra(Ultra)
  ) u_engine (
    .clk_i(clk), .rst_i(rst_q), .rx_i(rx_i), .tx_o(tx_o), .ready_o(ready), .busy_o(busy));

  wire [8:0] status = {1'b1, !rst_q, 3'b000, !rx_i, !tx_o, busy, ready};
  assign led_o = Leds'(LedLow ? ~status : status);
endmodule
`default_nettype wire
