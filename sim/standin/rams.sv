// One edt_ram of every width that an ECP5 block memory has, addressed alike: what sim/ram_bench.py drives.
`default_nettype none
module rams (
  input  wire         clk_i,
  input  wire  [3:0]  we_i,  // of all; a memory with one enable takes bit 0
  input  wire  [13:0] waddr_i,
  input  wire  [35:0] wdata_i,
  input  wire  [13:0] raddr_i,
  output wire  [35:0] quarter_o, whole_o, half_o,
  output wire  [17:0] pair_o,
  output wire  [8:0]  byte_o,
  output wire  [3:0]  nibble_o,
  output wire  [1:0]  two_o,
  output wire         one_o
);
  edt_ram #(.Width(36), .Depth(512), .Enables(4)) u_quarter (
    .clk_i(clk_i), .we_i(we_i), .waddr_i(waddr_i[8:0]), .wdata_i(wdata_i), .raddr_i(raddr_i[8:0]), .rdata_o(quarter_o));
  edt_ram #(.Width(36), .Depth(512)) u_whole (
    .clk_i(clk_i), .we_i(we_i[0]), .waddr_i(waddr_i[8:0]), .wdata_i(wdata_i), .raddr_i(raddr_i[8:0]), .rdata_o(whole_o));
  edt_ram #(.Width(36), .Depth(1024), .Enables(2)) u_half (
    .clk_i(clk_i), .we_i(we_i[1:0]), .waddr_i(waddr_i[9:0]), .wdata_i(wdata_i), .raddr_i(raddr_i[9:0]),
    .rdata_o(half_o));
  edt_ram #(.Width(18), .Depth(1024)) u_pair (
    .clk_i(clk_i), .we_i(we_i[0]), .waddr_i(waddr_i[9:0]), .wdata_i(wdata_i[17:0]), .raddr_i(raddr_i[9:0]),
    .rdata_o(pair_o));
  edt_ram #(.Width(9), .Depth(2048)) u_byte (
    .clk_i(clk_i), .we_i(we_i[0]), .waddr_i(waddr_i[10:0]), .wdata_i(wdata_i[8:0]), .raddr_i(raddr_i[10:0]),
    .rdata_o(byte_o));
  edt_ram #(.Width(4), .Depth(4096)) u_nibble (
    .clk_i(clk_i), .we_i(we_i[0]), .waddr_i(waddr_i[11:0]), .wdata_i(wdata_i[3:0]), .raddr_i(raddr_i[11:0]),
    .rdata_o(nibble_o));
  edt_ram #(.Width(2), .Depth(8192)) u_two (
    .clk_i(clk_i), .we_i(we_i[0]), .waddr_i(waddr_i[12:0]), .wdata_i(wdata_i[1:0]), .raddr_i(raddr_i[12:0]),
    .rdata_o(two_o));
  edt_ram #(.Width(1), .Depth(16384)) u_one (
    .clk_i(clk_i), .we_i(we_i[0]), .waddr_i(waddr_i), .wdata_i(wdata_i[0]), .raddr_i(raddr_i), .rdata_o(one_o));
endmodule
`default_nettype wire
