// Simple dual-port memory, one clock, read latency 1: of a core that works in order, which never reads what it is writing.
`default_nettype none
module edt_mem #(
  parameter int Width = 16,
  parameter int Depth = 256
) (
  input  wire                                       clk_i,
  input  wire                                       we_i,
  input  wire  [(Depth > 1 ? $clog2(Depth) : 1)-1:0] waddr_i,
  input  wire  [Width-1:0]                          wdata_i,
  input  wire  [(Depth > 1 ? $clog2(Depth) : 1)-1:0] raddr_i,
  output logic [Width-1:0]                          rdata_o
);
  (* no_rw_check *)
  logic [Width-1:0] mem [Depth];
  always_ff @(posedge clk_i) begin
    if (we_i) mem[waddr_i] <= wdata_i;
    rdata_o <= mem[raddr_i];
  end
endmodule
`default_nettype wire
