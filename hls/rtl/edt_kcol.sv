// Moves the new key from its row memory into one lane column of the KV memory: per cycle one channel, one byte per group.
// Starts when the row's last word is written; done_o comes when a pass issued now reads the new key, begun_o when one that
// reads it channel by channel stays behind.
`default_nettype none
module edt_kcol
  import edt_pkg::*;
#(
  parameter int Pipes = 4,
  parameter int Depth = 64,  // words of P bytes: the widest key
  parameter int Rotary = 0   // 1: a word may come byte by byte
) (
  input  wire                      clk_i,
  input  wire                      rst_i,
  input  wire  cfg_t               cfg_i,
  input  wire  [17:0]              tile_off_i,  // key tile of this bin * head_dim
  input  wire  [Rotary*(Pipes-1):0] we_i,
  input  wire  [$clog2(Depth)-1:0] waddr_i,
  input  wire  [Pipes*8-1:0]       wdata_i,
  input  wire                      start_i,     // with the last we_i
  input  wire  [17:0]              base_i,
  input  wire  [2:0]               tag_i,
  output logic                     en_o,
  output logic [17:0]              addr_o,
  output logic [Pipes*8-1:0]       data_o,      // byte g belongs to group g
  output wire                      begun_o,
  output wire                      done_o,
  output logic [2:0]               tag_o,
  output wire                      idle_o
);
  localparam int PipeBits = $clog2(Pipes);
  localparam int AddrBits = $clog2(Depth);

  logic        busy_q;
  logic [8:0]  channel_q;
  logic [3:0]  set_q;
  logic [12:0] index_q, first_q;
  logic [17:0] addr_q, column_q;
  logic        end_set, last;
  assign end_set = channel_q == 9'(cfg_i.head_dim - 10'd1);
  assign last    = end_set && set_q == cfg_i.head_sets - 4'd1;

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      busy_q    <= 1'b1;
      tag_o     <= tag_i;
      channel_q <= '0;
      set_q     <= '0;
      index_q   <= '0;
      first_q   <= '0;
      addr_q    <= base_i + tile_off_i;
      column_q  <= base_i + tile_off_i;
    end else if (busy_q) begin
      if (end_set) begin
        channel_q <= '0;
        set_q     <= set_q + 4'd1;
        first_q   <= first_q + 13'(cfg_i.groups);
        index_q   <= first_q + 13'(cfg_i.groups);
        column_q  <= column_q + cfg_i.set_stride;
        addr_q    <= column_q + cfg_i.set_stride;
      end else begin
        channel_q <= channel_q + 9'd1;
        index_q   <= index_q + 13'(cfg_i.heads);
        addr_q    <= addr_q + 18'd1;
      end
      if (last) busy_q <= 1'b0;
    end
    if (rst_i) busy_q <= 1'b0;
  end

  logic [Pipes*8-1:0] row;
  edt_ram #(.Width(Pipes * 8), .Depth(Depth), .Enables(Rotary != 0 ? Pipes : 1)) i_row (
    .clk_i,
    .we_i   (we_i),
    .waddr_i(waddr_i),
    .wdata_i(wdata_i),
    .raddr_i(index_q[PipeBits+:AddrBits]),
    .rdata_o(row)
  );

  logic                en1_q, en2_q, last1_q, last2_q;
  logic [PipeBits-1:0] byte1_q, byte2_q;
  logic [17:0]         addr1_q, addr2_q;
  always_ff @(posedge clk_i) begin
    {en2_q, en1_q}     <= {en1_q, busy_q};
    {last2_q, last1_q} <= {last1_q, busy_q && last};
    {byte2_q, byte1_q} <= {byte1_q, index_q[PipeBits-1:0]};
    {addr2_q, addr1_q} <= {addr1_q, addr_q};
    en_o               <= en2_q;
    addr_o             <= addr2_q;
    data_o             <= row >> {byte2_q, 3'b000};
    if (rst_i) begin
      en1_q   <= 1'b0;
      en2_q   <= 1'b0;
      en_o    <= 1'b0;
      last1_q <= 1'b0;
      last2_q <= 1'b0;
    end
  end
  assign begun_o = en1_q && !en2_q;
  assign done_o  = last2_q;
  assign idle_o  = !busy_q && !en1_q && !en2_q && !en_o;
  wire unused = &{1'b0, cfg_i, index_q};
endmodule
`default_nettype wire
