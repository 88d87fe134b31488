// Simple dual-port memory, one clock: write port, read port with address and output registers (latency 2).
// A read of the address being written returns the old word. Maps to block RAM; swap this file for a vendor primitive.
`default_nettype none
module edt_ram #(
  parameter int Width   = 36,
  parameter int Depth   = 512,
  parameter int Enables = 1  // write enables, each for Width/Enables bits
) (
  input  wire                                       clk_i,
  input  wire  [Enables-1:0]                        we_i,
  input  wire  [(Depth > 1 ? $clog2(Depth) : 1)-1:0] waddr_i,
  input  wire  [Width-1:0]                          wdata_i,
  input  wire  [(Depth > 1 ? $clog2(Depth) : 1)-1:0] raddr_i,
  output logic [Width-1:0]                          rdata_o
);
  localparam int Part = Width / Enables;
  logic [Width-1:0] mem [Depth];
  logic [Width-1:0] read_q;

  always_ff @(posedge clk_i) begin
    for (int e = 0; e < Enables; e++) if (we_i[e]) mem[waddr_i][e*Part+:Part] <= wdata_i[e*Part+:Part];
    read_q  <= mem[raddr_i];
    rdata_o <= read_q;
  end
endmodule
`default_nettype wire
