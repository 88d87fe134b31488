// The engine for AMD parts: its two streams for a DMA, and registers beside them. Vivado sees it through the module that
// edgendt/synth/vivado.py writes around it. While the engine is held in reset no byte is taken.
`default_nettype none
module edt_axi_engine #(
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
  input  wire        clk_i,
  input  wire        rst_i,
  input  wire [7:0]  s_axis_tdata,
  input  wire        s_axis_tvalid,
  output wire        s_axis_tready,
  input  wire        s_axis_tlast,
  output wire [7:0]  m_axis_tdata,
  output wire        m_axis_tvalid,
  input  wire        m_axis_tready,
  output wire        m_axis_tlast,
  input  wire [11:0] s_axi_awaddr,
  input  wire        s_axi_awvalid,
  output wire        s_axi_awready,
  input  wire [31:0] s_axi_wdata,
  input  wire [3:0]  s_axi_wstrb,
  input  wire        s_axi_wvalid,
  output wire        s_axi_wready,
  output wire [1:0]  s_axi_bresp,
  output wire        s_axi_bvalid,
  input  wire        s_axi_bready,
  input  wire [11:0] s_axi_araddr,
  input  wire        s_axi_arvalid,
  output wire        s_axi_arready,
  output wire [31:0] s_axi_rdata,
  output wire [1:0]  s_axi_rresp,
  output wire        s_axi_rvalid,
  input  wire        s_axi_rready
);
  wire rst, ready, busy, taken;
  assign s_axis_tready = taken && !rst;

  edt_axi_regs #(.EngineId(EngineId)) u_regs (
    .clk_i(clk_i), .rst_i(rst_i), .s_axi_awaddr(s_axi_awaddr), .s_axi_awvalid(s_axi_awvalid),
    .s_axi_awready(s_axi_awready), .s_axi_wdata(s_axi_wdata), .s_axi_wstrb(s_axi_wstrb), .s_axi_wvalid(s_axi_wvalid),
    .s_axi_wready(s_axi_wready), .s_axi_bresp(s_axi_bresp), .s_axi_bvalid(s_axi_bvalid), .s_axi_bready(s_axi_bready),
    .s_axi_araddr(s_axi_araddr), .s_axi_arvalid(s_axi_arvalid), .s_axi_arready(s_axi_arready),
    .s_axi_rdata(s_axi_rdata), .s_axi_rresp(s_axi_rresp), .s_axi_rvalid(s_axi_rvalid), .s_axi_rready(s_axi_rready),
    .rst_o(rst), .ready_i(ready), .busy_i(busy), .request_end_i(s_axis_tvalid && s_axis_tready && s_axis_tlast),
    .answer_i(m_axis_tvalid && m_axis_tready), .answer_data_i(m_axis_tdata), .answer_last_i(m_axis_tlast));

  edt_engine #(
    .EngineId(EngineId), .Segments(Segments), .Lanes(Lanes), .Pipes(Pipes), .Sfus(Sfus), .AccBits(AccBits),
    .WgtDepth(WgtDepth), .KvDepth(KvDepth), .BiasDepth(BiasDepth), .ActDepth(ActDepth), .ResDepth(ResDepth),
    .PosDepth(PosDepth), .ScoreDepth(ScoreDepth), .GammaDepth(GammaDepth), .ProgDepth(ProgDepth), .Packed(Packed),
    .Splits(Splits), .Serial(Serial), .Rotary(Rotary), .Windows(Windows), .Tokens(Tokens), .KeySize(KeySize), .Ultra(Ultra)
  ) u_engine (
    .clk_i(clk_i), .rst_i(rst),
    .s_axis_tdata(s_axis_tdata), .s_axis_tvalid(s_axis_tvalid && !rst), .s_axis_tready(taken),
    .s_axis_tlast(s_axis_tlast), .m_axis_tdata(m_axis_tdata), .m_axis_tvalid(m_axis_tvalid),
    .m_axis_tready(m_axis_tready), .m_axis_tlast(m_axis_tlast), .ready_o(ready), .busy_o(busy));
endmodule
`default_nettype wire
