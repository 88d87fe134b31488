// Single-port memory of four bytes a word, read latency 1; the output stands while a byte is written. EDT_ICE40 takes that part's
// blocks of 16k x 16, which have one port.
`default_nettype none
module edt_spram #(
  parameter int Depth = 16384
) (
  input  wire                     clk_i,
  input  wire                     en_i,
  input  wire  [3:0]              we_i,     // bytes to write; none: read
  input  wire  [$clog2(Depth)-1:0] addr_i,
  input  wire  [31:0]             wdata_i,
  output logic [31:0]             rdata_o
);
`ifdef EDT_ICE40
  (* ram_style = "huge" *)
`else
  (* ram_style = "block" *)
`endif
  logic [31:0] mem [Depth];
  always_ff @(posedge clk_i)
    if (en_i) begin
      for (int b = 0; b < 4; b++) if (we_i[b]) mem[addr_i][b*8+:8] <= wdata_i[b*8+:8];
      if (we_i == '0) rdata_o <= mem[addr_i];
    end
endmodule
`default_nettype wire
