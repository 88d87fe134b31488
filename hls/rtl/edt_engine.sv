// The engine: link and core behind two byte-wide AXI4-Streams that carry packets. Format: docs/protocol.md.
// EngineId names the other parameters (edgendt.engine.image.engine_id): an image made for others is refused.
`default_nettype none
module edt_engine #(
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
  parameter int Serial     = 0,  // 1: the smallest core, one product at a time
  parameter int Rotary     = 0,  // 1: turns queries and keys by time
  parameter int Windows    = 0,  // 1: runs networks of whole windows
  parameter int Tokens     = 0,  // 1: and of windows of tokens
  parameter int KeySize    = 256,  // most channels of a key
  parameter int Ultra      = 0   // 1: for parts with UltraRAM
) (
  input  wire        clk_i,
  input  wire        rst_i,
  input  wire  [7:0] s_axis_tdata,
  input  wire        s_axis_tvalid,
  output wire        s_axis_tready,
  input  wire        s_axis_tlast,
  output wire  [7:0] m_axis_tdata,
  output wire        m_axis_tvalid,
  input  wire        m_axis_tready,
  output wire        m_axis_tlast,
  output wire        ready_o,  // a network is loaded
  output wire        busy_o    // a bin is being computed
`ifdef EDT_TAP
  , output wire               tap_narrow_o,
  output wire  [9:0]          tap_narrow_pc_o,
  output wire  [12:0]         tap_narrow_addr_o,
  output wire  [Pipes*18-1:0] tap_narrow_data_o,
  output wire  [Pipes-1:0]    tap_sfu_o,
  output wire  [9:0]          tap_sfu_pc_o,
  output wire  [12:0]         tap_sfu_addr_o,
  output wire  [Pipes*8-1:0]  tap_sfu_data_o
`endif
);
  wire        load_en, trial_reset, count_en, start, done, refuse;
  wire [3:0]  load_mem;
  wire [23:0] load_addr;
  wire [39:0] load_data;
  wire [7:0]  count_addr, count_data, out_addr;
  wire [15:0] out_data, unused_bin;
  wire [31:0] cycles;

  edt_link #(.EngineId(EngineId), .Schema(2)) u_link (
    .clk_i(clk_i), .rst_i(rst_i),
    .s_axis_tdata(s_axis_tdata), .s_axis_tvalid(s_axis_tvalid), .s_axis_tready(s_axis_tready),
    .s_axis_tlast(s_axis_tlast), .m_axis_tdata(m_axis_tdata), .m_axis_tvalid(m_axis_tvalid),
    .m_axis_tready(m_axis_tready), .m_axis_tlast(m_axis_tlast),
    .load_en_o(load_en), .load_mem_o(load_mem), .load_addr_o(load_addr), .load_data_o(load_data),
    .trial_reset_o(trial_reset), .count_en_o(count_en), .count_addr_o(count_addr), .count_data_o(count_data),
    .start_o(start), .busy_i(busy_o), .done_i(done), .refuse_i(refuse), .out_addr_o(out_addr),
    .out_data_i(out_data), .cycles_i(cycles), .ready_o(ready_o));

  if (Serial != 0) begin : g_serial
    edt_serial #(
      .Segments(Segments), .Lanes(Lanes), .Pipes(Pipes), .Sfus(Sfus), .AccBits(AccBits), .WgtDepth(WgtDepth),
      .KvDepth(KvDepth), .BiasDepth(BiasDepth), .ActDepth(ActDepth), .ResDepth(ResDepth), .PosDepth(PosDepth),
      .ScoreDepth(ScoreDepth), .GammaDepth(GammaDepth), .ProgDepth(ProgDepth), .Packed(Packed), .Splits(Splits)
    ) u_core (
      .clk_i(clk_i), .rst_i(rst_i),
      .load_en_i(load_en), .load_mem_i(load_mem), .load_addr_i(load_addr), .load_data_i(load_data),
      .trial_reset_i(trial_reset), .count_en_i(count_en), .count_addr_i(count_addr), .count_data_i(count_data),
      .start_i(start), .busy_o(busy_o), .done_o(done), .refuse_o(refuse), .out_addr_i(out_addr),
      .out_data_o(out_data), .cycles_o(cycles), .bin_o(unused_bin)
`ifdef EDT_TAP
      , .tap_narrow_o(tap_narrow_o), .tap_narrow_pc_o(tap_narrow_pc_o), .tap_narrow_addr_o(tap_narrow_addr_o),
      .tap_narrow_data_o(tap_narrow_data_o), .tap_sfu_o(tap_sfu_o), .tap_sfu_pc_o(tap_sfu_pc_o),
      .tap_sfu_addr_o(tap_sfu_addr_o), .tap_sfu_data_o(tap_sfu_data_o)
`endif
    );
  end else begin : g_core
    edt_core #(
      .Segments(Segments), .Lanes(Lanes), .Pipes(Pipes), .Sfus(Sfus), .AccBits(AccBits), .WgtDepth(WgtDepth),
      .KvDepth(KvDepth), .BiasDepth(BiasDepth), .ActDepth(ActDepth), .ResDepth(ResDepth), .PosDepth(PosDepth),
      .ScoreDepth(ScoreDepth), .GammaDepth(GammaDepth), .ProgDepth(ProgDepth), .Packed(Packed), .Splits(Splits),
      .Rotary(Rotary), .Windows(Windows), .Tokens(Tokens), .KeySize(KeySize), .Ultra(Ultra)
    ) u_core (
      .clk_i(clk_i), .rst_i(rst_i),
      .load_en_i(load_en), .load_mem_i(load_mem), .load_addr_i(load_addr), .load_data_i(load_data),
      .trial_reset_i(trial_reset), .count_en_i(count_en), .count_addr_i(count_addr), .count_data_i(count_data),
      .start_i(start), .busy_o(busy_o), .done_o(done), .refuse_o(refuse), .out_addr_i(out_addr),
      .out_data_o(out_data), .cycles_o(cycles), .bin_o(unused_bin)
`ifdef EDT_TAP
      , .tap_narrow_o(tap_narrow_o), .tap_narrow_pc_o(tap_narrow_pc_o), .tap_narrow_addr_o(tap_narrow_addr_o),
      .tap_narrow_data_o(tap_narrow_data_o), .tap_sfu_o(tap_sfu_o), .tap_sfu_pc_o(tap_sfu_pc_o),
      .tap_sfu_addr_o(tap_sfu_addr_o), .tap_sfu_data_o(tap_sfu_data_o)
`endif
    );
  end
endmodule
`default_nettype wire
