// Simple dual-port memory, one clock: write port, read port with address and output registers (latency 2).
// A read of the address being written returns anything: parts differ there, and logic that hides it costs more than the
// memory. Simulation returns the old word inverted, so a result that relied on it would be wrong. Maps to block RAM.
`default_nettype none
module edt_ram #(
  parameter int Width   = 36,
  parameter int Depth   = 512,
  parameter int Enables = 1,  // write enables, each for Width/Enables bits
  /* verilator lint_off UNUSEDPARAM */  // a simulator reads no attributes
  parameter Style = "auto"   // of the part's memory: "ultra" is UltraRAM
  /* verilator lint_on UNUSEDPARAM */
) (
  input  wire                                       clk_i,
  input  wire  [Enables-1:0]                        we_i,
  input  wire  [(Depth > 1 ? $clog2(Depth) : 1)-1:0] waddr_i,
  input  wire  [Width-1:0]                          wdata_i,
  input  wire  [(Depth > 1 ? $clog2(Depth) : 1)-1:0] raddr_i,
  output logic [Width-1:0]                          rdata_o
);
  localparam int Part = Width / Enables;
  (* no_rw_check, ram_style = Style *)
  logic [Width-1:0] mem [Depth];
  logic [Width-1:0] read_q;

  always_ff @(posedge clk_i) begin
    for (int e = 0; e < Enables; e++) if (we_i[e]) mem[waddr_i][e*Part+:Part] <= wdata_i[e*Part+:Part];
    read_q  <= mem[raddr_i];
`ifndef SYNTHESIS
    if (we_i != '0 && raddr_i == waddr_i)
      for (int e = 0; e < Enables; e++) if (we_i[e]) read_q[e*Part+:Part] <= ~mem[raddr_i][e*Part+:Part];
`endif
    rdata_o <= read_q;
  end
endmodule
`default_nettype wire
