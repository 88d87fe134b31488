// A segment: Lanes lanes with their weight and KV memories, one broadcast byte, own control registers.
// An element issued in cycle 0 (address, flags) with its activation word in cycle 2 is accumulated at the end of cycle 5;
// the pass's last one copies the accumulators at the end of cycle 6.
`default_nettype none
(* keep_hierarchy *)
module edt_segment
  import edt_pkg::*;
#(
  parameter int Index    = 0,
  parameter int Segments = 8,
  parameter int Lanes    = 8,
  parameter int Pipes    = 4,
  parameter int Sfus     = 1,
  parameter int AccBits  = 24,
  parameter int WgtDepth = 2048,
  parameter int KvDepth  = 512,
  parameter int Packed   = 0,
  parameter int Splits   = 1,
  parameter int Windows  = 0,
  parameter int Ultra    = 0  // 1: one memory for all weights and the cache
) (
  input  wire                              clk_i,
  input  wire                              rst_i,
  // configuration
  input  wire  [3:0]                       gshift_i,
  // one element
  input  wire                              go_i,
  input  wire                              first_i,
  input  wire                              last_i,
  input  wire                              kv_i,
  input  wire  [19:0]                      addr_i,
  input  wire                              grouped_i,
  input  wire                              xsigned_i,
  input  wire                              paired_i,
  input  wire  [1:0]                       split_i,
  input  wire                              kv_unsigned_i,
  input  wire  [$clog2(Pipes)-1:0]         byte_i,
  input  wire  [Pipes*8-1:0]               word_i,      // activation word, two cycles after go_i
  // weight load: four lanes per word
  input  wire                              load_en_i,
  input  wire  [23:0]                      load_addr_i,
  input  wire  [35:0]                      load_data_i,
  // KV write: a row (one word of P bytes to P neighbouring lanes) or a column (a byte per group to one lane)
  input  wire                              row_en_i,
  input  wire  [8:0]                       row_i,
  input  wire                              col_en_i,
  input  wire  [10:0]                      col_seg_i,   // segment within the group
  input  wire  [10:0]                      col_lane_i,  // lane within the segment
  input  wire  [17:0]                      kvw_addr_i,
  input  wire  [Pipes*8-1:0]               row_data_i,
  input  wire  [Pipes*8-1:0]               col_data_i,
  // drain chain
  input  wire                              shift_i,
  input  wire  [1:0]                       chain_split_i,
  output logic [1:0]                       chain_split_o,  // beside the shift, so that each segment has its own
  input  wire  [Lanes*AccBits-1:0]         low_i,
  input  wire  [Lanes*AccBits-1:0]         high_i,
  output logic [Lanes*AccBits-1:0]         low_o,
  output logic [Lanes*AccBits-1:0]         high_o
);
  localparam int PipeBits = $clog2(Pipes);
  localparam int WAddr    = $clog2(WgtDepth);
  localparam int KAddr    = $clog2(KvDepth);
  localparam int Quads    = (Lanes + 3) / 4;

  // Head group of this segment, for every log2 of the groups that share a reduction, and its place in the unshared group;
  // settled long before a bin starts.
  localparam int Levels = $clog2(Splits);
  logic [10:0] group_q [Levels+1], place_q;
  always_ff @(posedge clk_i) begin
    for (int s = 0; s <= Levels; s++) group_q[s] <= 11'(Index % (Segments >> s)) >> (gshift_i - 4'(s));
    place_q <= 11'(Index) & ~(11'h7ff << gshift_i);
  end

  // Element pipeline: cycle 1 holds the address, cycle 3 the operands.
  logic [19:0]         addr1_q;
  logic [2:1]          kv_q;
  logic [5:1]          valid_q, first_q, paired_q;
  logic [6:1]          last_q;
  logic                grouped1_q, xsigned1_q, xsigned2_q;
  logic [1:0]          split1_q;
  logic [PipeBits-1:0] byte1_q, share, group, pick2_q;
  logic [7:0]          x2;
  logic signed [8:0]   x3_q;
  always_comb begin
    share = '0;
    group = group_q[0][PipeBits-1:0];
    for (int s = 1; s <= Levels; s++)
      if (split1_q == 2'(s)) begin
        share = PipeBits'(Index >> ($clog2(Segments) - s));
        if (kv_q[1]) share = share << $clog2(Pipes / Sfus);
        group = group_q[s][PipeBits-1:0];
      end
  end
  assign x2 = word_i[pick2_q*8+:8];
  always_ff @(posedge clk_i) begin
    addr1_q                  <= addr_i;
    kv_q                     <= {kv_q[1], kv_i};
    grouped1_q               <= grouped_i;
    {xsigned2_q, xsigned1_q} <= {xsigned1_q, xsigned_i};
    split1_q                 <= split_i;
    paired_q                 <= {paired_q[4:1], paired_i};
    byte1_q                  <= byte_i;
    pick2_q                  <= byte1_q | share | (grouped1_q ? group : '0);
    x3_q                     <= {xsigned2_q & x2[7], x2};
    first_q                  <= {first_q[4:1], first_i};
    valid_q                  <= {valid_q[4:1], go_i};
    last_q                   <= {last_q[5:1], go_i & last_i};
    if (rst_i) begin
      valid_q <= '0;
      last_q  <= '0;
    end
  end

  // Write side of the memories: one register stage, two for the weights, whose write enables are decoded between them.
  logic        load_q, shift_q, row_en_q, col_en_q;
  logic [23:0] load_addr_q;
  logic [35:0] load_data_q;
  logic [8:0]  row_q;
  logic [10:0] col_lane_q;
  logic [17:0] kvw_addr_q;
  logic [Pipes*8-1:0] row_data_q;  // rows and columns meet behind these registers: a bus across the part leaves no time
  logic [7:0]         col_data_q;  // for a choice in front of them
  always_ff @(posedge clk_i) begin
    load_q      <= load_en_i;
    load_addr_q <= load_addr_i;
    load_data_q <= load_data_i;
    shift_q     <= shift_i;
    chain_split_o <= chain_split_i;
    row_en_q    <= row_en_i;
    row_q       <= row_i;
    col_en_q    <= col_en_i && (place_q == col_seg_i);
    col_lane_q  <= col_lane_i;
    kvw_addr_q  <= kvw_addr_i;
    row_data_q  <= row_data_i;
    col_data_q  <= col_data_i[group_q[0][PipeBits-1:0]*8+:8];
  end

  localparam int First = Index * Lanes / 4;
  localparam int Loads = ((Index + 1) * Lanes - 1) / 4 - First + 1;  // load words that hold lanes of this segment
  logic [Loads-1:0] weight_we_q;
  logic [WAddr-1:0] weight_addr_q;
  logic [35:0]      weight_data_q;
  always_ff @(posedge clk_i) begin
    for (int w = 0; w < Loads; w++) weight_we_q[w] <= load_q && (load_addr_q >> WAddr) == 24'(First + w);
    weight_addr_q <= load_addr_q[WAddr-1:0];
    weight_data_q <= load_data_q;
  end

  logic kv_signed;
  if (Windows != 0) begin : g_signs
    logic [3:1] unsigned_q;
    always_ff @(posedge clk_i) unsigned_q <= {unsigned_q[2:1], kv_unsigned_i};
    assign kv_signed = !unsigned_q[3];
  end else begin : g_signed
    assign kv_signed = 1'b1;
  end

  logic [Quads*4*8-1:0] kv_write;
  logic [Quads*4-1:0]   kv_we;
  for (genvar l = Lanes; l < Quads * 4; l++) begin : g_no_lane
    assign kv_we[l]         = 1'b0;
    assign kv_write[l*8+:8] = 8'd0;
  end

  logic [Lanes*9-1:0] weight, cached;  // of every lane, one of which it takes
  if (Ultra != 0) begin : g_joined  // the cache lies behind the weights: no cycle reads or writes both
    localparam int Depth = WgtDepth + KvDepth;
    localparam int Addr  = $clog2(Depth);
    logic [Lanes-1:0]   we;
    logic [Lanes*9-1:0] written, word;
    logic               kv_written;
    assign kv_written = row_en_q || col_en_q;
    for (genvar l = 0; l < Lanes; l++) begin : g_word
      assign we[l]            = kv_we[l] || weight_we_q[l/4];
      assign written[l*9+:9]  = kv_written ? {kv_write[l*8+7], kv_write[l*8+:8]} : weight_data_q[l%4*9+:9];
      assign weight[l*9+:9]   = word[l*9+:9];
      assign cached[l*9+:9]   = {word[l*9+8] && kv_signed, word[l*9+:8]};
    end
    edt_ram #(.Width(Lanes * 9), .Depth(Depth), .Enables(Lanes), .Style("ultra")) i_ram (
      .clk_i, .we_i(we), .wdata_i(written), .rdata_o(word),
      .waddr_i(kv_written ? Addr'(WgtDepth) + Addr'(kvw_addr_q[KAddr-1:0]) : Addr'(weight_addr_q)),
      .raddr_i(kv_q[1] ? Addr'(WgtDepth) + Addr'(addr1_q[KAddr-1:0]) : Addr'(addr1_q[WAddr-1:0]))
    );
`ifndef SYNTHESIS
    always_ff @(posedge clk_i)
      assert (!(kv_written && weight_we_q != '0)) else $error("weights are loaded while a bin runs");
`endif
  end else begin : g_apart
    logic [Loads*36-1:0]  weights;
    logic [Quads*4*8-1:0] kv_read;
    for (genvar w = 0; w < Loads; w++) begin : g_weight
      edt_ram #(.Width(36), .Depth(WgtDepth)) i_weight (
        .clk_i, .we_i(weight_we_q[w]), .waddr_i(weight_addr_q), .wdata_i(weight_data_q),
        .raddr_i(addr1_q[WAddr-1:0]), .rdata_o(weights[w*36+:36])
      );
    end
    for (genvar q = 0; q < Quads; q++) begin : g_kv
      edt_ram #(.Width(32), .Depth(KvDepth), .Enables(4)) i_kv (
        .clk_i, .we_i(kv_we[q*4+:4]), .waddr_i(kvw_addr_q[KAddr-1:0]), .wdata_i(kv_write[q*32+:32]),
        .raddr_i(addr1_q[KAddr-1:0]), .rdata_o(kv_read[q*32+:32])
      );
    end
    for (genvar l = 0; l < Lanes; l++) begin : g_word
      assign weight[l*9+:9] = weights[(Index*Lanes+l-4*First)*9+:9];
      assign cached[l*9+:9] = {kv_read[l*8+7] && kv_signed, kv_read[l*8+:8]};
    end
    wire unused = &{1'b0, kv_read, weights};
  end

  for (genvar l = 0; l < Lanes; l++) begin : g_lane
    localparam int Lane = Index * Lanes + l;
    assign kv_write[l*8+:8] = col_en_q ? col_data_q : row_data_q[(Lane%Pipes)*8+:8];
    assign kv_we[l] = (col_en_q && col_lane_q == 11'(l)) || (row_en_q && row_q == 9'(Lane / Pipes));

    edt_lane #(.AccBits(AccBits), .Packed(Packed)) i_lane (
      .clk_i,
      .next_kv_i    (kv_q[2]),
      .next_paired_i(paired_q[2]),
      .weight_i (weight[l*9+:9]),
      .kv_i     (cached[l*9+:9]),
      .x_i      (x3_q),
      .valid_i  (valid_q[5]),
      .first_i  (first_q[5]),
      .paired2_i(paired_q[5]),
      .copy_i   (last_q[6]),
      .shift_i  (shift_q),
      .low_i    (low_i[l*AccBits+:AccBits]),
      .high_i   (high_i[l*AccBits+:AccBits]),
      .low_o    (low_o[l*AccBits+:AccBits]),
      .high_o   (high_o[l*AccBits+:AccBits])
    );
  end

  wire unused = &{1'b0, kv_unsigned_i, addr1_q, kvw_addr_q, group_q[0], load_addr_q, split1_q, paired_q};
endmodule
`default_nettype wire
