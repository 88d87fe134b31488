// A core that answers whatever the solver likes: the ports of hls/rtl/edt_core.sv, with outputs that nothing drives.
`default_nettype none
module edt_core #(
  parameter int Segments = 1, parameter int Lanes = 1, parameter int Pipes = 1, parameter int Sfus = 1,
  parameter int AccBits = 1, parameter int WgtDepth = 1, parameter int KvDepth = 1, parameter int BiasDepth = 1,
  parameter int ActDepth = 1, parameter int ResDepth = 1, parameter int PosDepth = 1, parameter int ScoreDepth = 1,
  parameter int GammaDepth = 1, parameter int ProgDepth = 1, parameter int Packed = 0, parameter int Splits = 1,
  parameter int Rotary = 0, parameter int Windows = 0, parameter int Tokens = 0,
  parameter int KeySize = 256, parameter int Ultra = 0
) (
  input  wire        clk_i,
  input  wire        rst_i,
  input  wire        load_en_i,
  input  wire [3:0]  load_mem_i,
  input  wire [23:0] load_addr_i,
  input  wire [39:0] load_data_i,
  input  wire        trial_reset_i,
  input  wire        count_en_i,
  input  wire [7:0]  count_addr_i,
  input  wire [7:0]  count_data_i,
  input  wire        start_i,
  output wire        busy_o,
  output wire        done_o,
  output wire        refuse_o,
  input  wire [7:0]  out_addr_i,
  output wire [15:0] out_data_o,
  output wire [31:0] cycles_o,
  output wire [15:0] bin_o
);
endmodule
`default_nettype wire
