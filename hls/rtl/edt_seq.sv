// Fetches the microprogram, hands passes to the issue unit and SFU ops to theirs, keeps configuration and the bin's
// registers (bin, cache slot, keys in use), and measures the cycles of a start. An instruction follows its predecessor
// after three cycles at the earliest, with Windows after four. With Windows the program of a whole window is a sequence
// of phases, each repeated for every bin; a bin of a stream may hold phases that are repeated for every channel.
`default_nettype none
module edt_seq
  import edt_pkg::*;
#(
  parameter int SegLanes  = 8,
  parameter int ProgDepth = 256,
  parameter int Sfus      = 1,
  parameter int Rotary    = 0,
  parameter int Windows   = 0,
  parameter int Pipes     = 4,
  parameter int Tokens    = 0,
  parameter int KeyBits   = 9,
  parameter int XBits     = 15,  // of a byte's address in the activation memory: 15 or 17
  parameter int HeadBits  = 9    // of the channels of a key
) (
  input  wire          clk_i,
  input  wire          rst_i,
  input  wire          load_en_i,
  input  wire  [3:0]   load_mem_i,
  input  wire  [23:0]  load_addr_i,
  input  wire  [39:0]  load_data_i,
  input  wire          trial_reset_i,
  input  wire          count_en_i,
  input  wire  [7:0]   count_addr_i,
  input  wire  [7:0]   count_data_i,
  input  wire          start_i,
  output wire          busy_o,
  output logic         done_o,
  output wire          refuse_o,
  output logic [31:0]  cycles_o,
  output logic [15:0]  bin_o,
  output cfg_t         cfg_o,
  // this bin
  output logic [KeyBits-1:0] slot_o,
  output logic [10:0]  slot_lane_o,
  output logic [10:0]  slot_seg_o,
  output logic [17:0]  slot_off_o,   // key tile of the slot * head_dim
  output logic [8:0]   oldest_o,     // key with which aged passes begin: those of the newest key's beat come last
  output logic [KeyBits-1:0] n_keys_o,
  output logic [8:0]   key_tiles_o,
  output wire  [KeyBits-1:0] first_o,  // of them the row's scores see those from the one up to the other
  output wire  [KeyBits-1:0] stop_o,
  output logic [12:0]  pos_off_o,
  output wire  [12:0]  res_stride_o,  // words from a bin's residual row to the next one's
  output wire  [15:0]  time_o,        // of this token or query
  output wire          timed_o,       // angles of this row are needed
  output wire          timed_row_o,   // those of a constant row's own time
  output wire          by_slot_o,     // rows are a window's bins, whose time is their slot
  output wire          again_o,       // the next of them begins
  output wire  [8:0]   older_o,       // rows behind a stream's newest one, to the end of its ring
  output wire          blank_o,       // of which none is written yet
  // dispatch
  output wire instr_t  ins_o,
  output wire  [XBits-1:0] xbase_o,  // its xbase, all of it
  output wire  [9:0]   pc_o,
  output wire          mac_valid_o,
  input  wire          mac_take_i,
  output wire          sfu_valid_o,
  input  wire          sfu_take_i,
  input  wire  [7:0]   done_i,
  input  wire          quiet_i       // every unit idle
);
  localparam int ChunkBits = 36;
  localparam int Chunks    = (InstrBits + ChunkBits - 1) / ChunkBits;
  localparam int ProgBits  = $clog2(ProgDepth);
  localparam logic [1:0] Wait = Windows != 0 ? 2'd3 : 2'd2;

  logic ready, consume, finish, pause, wraps, again;
  logic shape;  // an instruction that changes the configuration
  logic enter, leave;  // a bin's loops over channels begin, and end
  localparam int PlaceBits = 2 * KeyBits + 62;
  logic [PlaceBits-1:0] place, aside;  // what the bin goes on with behind them
  assign place = {slot_o, slot_lane_o, slot_seg_o, slot_off_o, n_keys_o, key_tiles_o, pos_off_o};
  logic of_tokens, of_queries, token_last;  // the phase's rows come from the host, each with a start
  logic [KeyBits-1:0] read_keys;
  logic [8:0]         read_tiles;
  logic [12:0]        add_row, kind_row;    // words from the first row of a table to the one that is looked up

  // Configuration, one register per address.
  cfg_t cfg_q;
  assign cfg_o = cfg_q;
  always_ff @(posedge clk_i) begin
    if (load_en_i && load_mem_i == MemCfg && (Windows == 0 || !load_addr_i[4])) begin
      case (load_addr_i[3:0])
        4'd0:  cfg_q.count_max   <= load_data_i[7:0];
        4'd1:  cfg_q.max_bins    <= load_data_i[15:0];
        4'd2:  cfg_q.window      <= load_data_i[8:0];
        4'd3:  cfg_q.gshift      <= load_data_i[3:0];
        4'd4:  cfg_q.groups      <= load_data_i[3:0];
        4'd5:  cfg_q.group_words <= load_data_i[8:0];
        4'd6:  cfg_q.key_words   <= load_data_i[8:0];
        4'd7:  cfg_q.head_dim    <= 10'(HeadBits'(load_data_i));
        4'd8:  cfg_q.head_sets   <= load_data_i[3:0];
        4'd9:  cfg_q.heads       <= load_data_i[3:0];
        4'd10: cfg_q.key_tiles   <= load_data_i[8:0];
        4'd11: cfg_q.set_stride  <= load_data_i[17:0];
        4'd12: cfg_q.pos_stride  <= load_data_i[12:0];
        4'd13: cfg_q.group_segs  <= load_data_i[10:0];
        4'd14: cfg_q.value_split <= load_data_i[1:0];
        4'd15: cfg_q.value_rows  <= 11'(load_data_i[8:0]);
      endcase
    end
    if (shape) begin
      cfg_q.window      <= ins_o.n_tiles;
      cfg_q.gshift      <= ins_o.bias_base[7:4];
      cfg_q.groups      <= ins_o.bias_base[3:0];
      cfg_q.group_words <= ins_o.steps;
      cfg_q.key_words   <= ins_o.words;
      cfg_q.head_dim    <= 10'(HeadBits'(ins_o.n_red));
      cfg_q.head_sets   <= ins_o.dst_base[3:0];
      cfg_q.heads       <= ins_o.dst_base[7:4];
      cfg_q.key_tiles   <= ins_o.sbase[8:0];
      cfg_q.set_stride  <= ins_o.kv_base;
      cfg_q.group_segs  <= ins_o.sstride;
      cfg_q.value_split <= ins_o.split;
      cfg_q.value_rows  <= Tokens != 0 ? ins_o.xbase[10:0] : 11'(ins_o.xbase[8:0]);
    end
    if (rst_i) cfg_q <= '0;
  end

  // Microprogram.
  logic [ProgBits-1:0]         pc_q;
  logic [Chunks*ChunkBits-1:0] word;
  for (genvar c = 0; c < Chunks; c++) begin : g_chunk
    edt_ram #(.Width(ChunkBits), .Depth(ProgDepth)) i_prog (
      .clk_i,
      .we_i   (load_en_i && load_mem_i == MemProg && load_addr_i[2:0] == 3'(c)),
      .waddr_i(load_addr_i[3+:ProgBits]),
      .wdata_i(load_data_i[ChunkBits-1:0]),
      .raddr_i(pc_q),
      .rdata_o(word[c*ChunkBits+:ChunkBits])
    );
  end
  assign pc_o = 10'(pc_q);

  // Dispatch.
  logic       busy_q, next_q;
  logic [1:0] wait_q;
  logic [ProgBits-1:0] resume;  // where the program goes on behind END
  logic       quiet_q;
  assign ready       = busy_q && wait_q == 2'd0;
  assign mac_valid_o = ready && ins_o.op == OpMac;
  assign sfu_valid_o = ready && (ins_o.op == OpNorm || ins_o.op == OpExp || (Rotary != 0 && ins_o.op == OpTurn)
                                 || (Windows != 0 && ins_o.op == OpShare));
  assign consume     = mac_take_i || sfu_take_i || (ready && ins_o.op == OpSync && done_i[ins_o.bar_tag]) || shape;
  assign finish      = ready && ins_o.op == OpEnd && quiet_q && (!ins_o.bar_use || done_i[ins_o.bar_tag]);
  assign busy_o      = busy_q;
  assign refuse_o    = cfg_q.max_bins != '0 && bin_o >= cfg_q.max_bins;  // 0: no bin is the last

  logic [31:0] count_q;
  logic [8:0]  behind;
  logic        last_seg, last_slot_q;  // the latter a cycle behind slot and configuration, which stand by the next use
  assign last_seg = slot_seg_o == cfg_q.group_segs - 11'd1;
  assign behind = (9'(slot_o) | 9'(Sfus - 1)) + 9'd1;
  assign wraps = of_tokens ? token_last : last_slot_q && !of_queries;
  always_ff @(posedge clk_i) begin
    done_o  <= pause;
    count_q <= count_q + 32'd1;
    quiet_q <= quiet_i;
    last_slot_q <= slot_o == KeyBits'(cfg_q.window - 9'd1);
    oldest_o <= n_keys_o == KeyBits'(cfg_q.window) && behind < cfg_q.window ? behind : 9'd0;
    if (start_i && !busy_q && !refuse_o) begin
      busy_q  <= 1'b1;
      wait_q  <= Wait;
      count_q <= 32'd1;
    end else if (busy_q && wait_q != 2'd0) wait_q <= wait_q - 2'd1;
    if (consume) begin
      pc_q   <= pc_q + 1'b1;
      wait_q <= Wait;
    end
    if (finish) pc_q <= resume;
    if (Windows != 0 && finish) wait_q <= Wait;
    if (pause) begin
      busy_q   <= 1'b0;
      cycles_o <= count_q + 32'd1;
    end

    // The next bin's registers: its number at once, which may refuse it, the others a cycle later.
    next_q <= finish && !enter && !trial_reset_i;
    if (pause) bin_o <= bin_o + 16'd1;
    if (next_q) begin
      pos_off_o <= again ? '0 : pos_off_o + cfg_q.pos_stride;
      if (n_keys_o != KeyBits'(cfg_q.window)) n_keys_o <= n_keys_o + 1'b1;
      if (wraps) begin
        slot_o      <= '0;
        slot_lane_o <= '0;
        slot_seg_o  <= '0;
        slot_off_o  <= '0;
      end else begin
        slot_o      <= slot_o + 1'b1;
        slot_lane_o <= slot_lane_o + 11'd1;
        if (slot_lane_o == 11'(SegLanes - 1)) begin
          slot_lane_o <= '0;
          slot_seg_o  <= slot_seg_o + 11'd1;
          if (last_seg) begin
            slot_seg_o <= '0;
            slot_off_o <= slot_off_o + 18'(cfg_q.head_dim);
            if (key_tiles_o != cfg_q.key_tiles) key_tiles_o <= key_tiles_o + 9'd1;
          end
        end
      end
    end
    if (Windows != 0 && trial_reset_i) pc_q <= '0;
    if (shape) begin  // another attention begins, with the keys of a whole phase
      n_keys_o    <= read_keys;
      key_tiles_o <= read_tiles;
    end
    if (leave) {slot_o, slot_lane_o, slot_seg_o, slot_off_o, n_keys_o, key_tiles_o, pos_off_o} <= aside;
    if (rst_i || trial_reset_i || enter) begin
      pos_off_o   <= '0;
      n_keys_o    <= KeyBits'(1);
      key_tiles_o <= 9'd1;
      slot_o      <= '0;
      slot_lane_o <= '0;
      slot_seg_o  <= '0;
      slot_off_o  <= '0;
    end
    if (rst_i || trial_reset_i) bin_o <= '0;
    if (rst_i) begin
      busy_q   <= 1'b0;
      next_q   <= 1'b0;
      wait_q   <= '0;
      pc_q     <= '0;
      done_o   <= 1'b0;
      quiet_q  <= 1'b0;
      cycles_o <= '0;
    end
  end

  if (Windows != 0) begin : g_windows
    localparam int PipeBits = $clog2(Pipes);
    instr_t              raw, ins_q;
    rows_t               rows, rows_q;
    logic [16:0]         xbase;
    logic [1:0]          xtop_q;
    logic                loop_q, given_q;  // times come with the rows, or are constant
    logic                slots_q;  // a row's time is its slot; a loop over channels keeps the bin's
    logic [ProgBits-1:0] phase_q;  // where the phase at work begins
    logic [12:0]         act_stride_q, res_stride_q, act_row_q, res_row_q;
    logic                turns;  // the next row is the first one
    assign {rows, raw} = word[RowsBits+InstrBits-1:0];
    assign xbase       = {rows.xtop, raw.xbase} + (rows.x ? 17'(act_row_q) << PipeBits : 17'd0);
    assign ins_o       = ins_q;
    assign xbase_o     = XBits'({xtop_q, ins_q.xbase});
    // While channels are looped over, the residual's row stands at the oldest one of the stream's ring.
    logic                 inside_q, blank_q;
    logic [PlaceBits-1:0] aside_q;
    logic [12:0]          aside_row_q;
    logic [8:0]           older_q;
    assign aside       = aside_q;
    assign older_o     = older_q;
    assign blank_o     = blank_q;
    assign enter       = finish && ins_q.tag_clear;
    assign leave       = shape && ins_q.tag_fin;
    assign turns       = wraps || of_tokens || of_queries;
    assign pause       = finish && !enter && (!rows_q.loop || (wraps ? rows_q.pause_last : rows_q.pause_each));
    assign again        = loop_q && turns;
    assign shape        = ready && ins_q.op == OpShape;
    assign res_stride_o = res_stride_q;
    assign by_slot_o    = slots_q && !given_q;
    assign again_o      = finish && rows_q.loop && !inside_q;
    // A pass of scores says what its row sees, where that is not every key. It is handed out long after the row's slot
    // is known and long before its first word drains, and the exponentials behind it are of the same row.
    logic [8:0]         back_q, ahead_q;  // how far, and itself; 0 for all
    logic [KeyBits-1:0] first_q, stop_q, reach;
    assign reach   = slot_o + KeyBits'(ahead_q);
    assign first_o = first_q;
    assign stop_o  = stop_q;
    always_ff @(posedge clk_i) begin
      if (mac_take_i && ins_q.mode == ModeScore) {back_q, ahead_q} <= ins_q.kv_base;
      first_q <= back_q == '0 || slot_o < KeyBits'(back_q) ? '0 : slot_o - KeyBits'(back_q) + 1'b1;
      stop_q  <= ahead_q == '0 || reach > n_keys_o ? n_keys_o : reach;
    end
    if (Tokens != 0) begin : g_tokens
      // A token or a query: bytes 0 and 1 its row, the last token's marked; 2 and 3 its kind; 4 and 5 its time.
      logic [15:0]        row_q, kind_q, time_q;
      logic               of_tokens_q, of_queries_q;
      logic [KeyBits-1:0] tokens_q;
      logic [8:0]         tile_q, tiles_q;
      assign of_tokens   = of_tokens_q;
      assign of_queries  = of_queries_q;
      assign token_last  = row_q[15];
      assign time_o      = time_q;
      assign timed_o     = shape && ins_q.kv;
      assign timed_row_o = ins_q.xsigned;
      assign read_keys   = !ins_q.kv ? KeyBits'(ins_q.n_tiles) : ins_q.red_keys ? tokens_q : KeyBits'(ins_q.add_base);
      assign read_tiles  = !ins_q.kv ? ins_q.sbase[8:0] : ins_q.red_keys ? tiles_q : ins_q.kv_base[8:0];
      assign add_row     = raw.add_pos ? row_q[12:0] : res_row_q;
      assign kind_row    = rows.add && raw.add_pos ? kind_q[12:0] : 13'd0;
      always_ff @(posedge clk_i) begin
        if (count_en_i && count_addr_i < 8'd6)
          unique case (count_addr_i[2:0])
            3'd0:    row_q[7:0]   <= count_data_i;
            3'd1:    row_q[15:8]  <= count_data_i;
            3'd2:    kind_q[7:0]  <= count_data_i;
            3'd3:    kind_q[15:8] <= count_data_i;
            3'd4:    time_q[7:0]  <= count_data_i;
            default: time_q[15:8] <= count_data_i;
          endcase
        if (shape) begin
          given_q      <= ins_q.kv;
          of_tokens_q  <= ins_q.kv && ins_q.tiles_keys;
          of_queries_q <= ins_q.kv && ins_q.grouped;
        end
        if (next_q && of_tokens_q) begin
          tokens_q <= slot_o + 1'b1;
          tiles_q  <= tile_q + 9'd1;
          if (slot_lane_o == 11'(SegLanes - 1) && last_seg) tile_q <= tile_q + 9'd1;
        end
        if (rst_i || trial_reset_i) begin
          given_q      <= 1'b0;
          of_tokens_q  <= 1'b0;
          of_queries_q <= 1'b0;
          tile_q       <= '0;
        end
      end
      wire unused_kind = &{1'b0, kind_q[15:13], row_q[14:13]};
    end else begin : g_no_tokens
      assign given_q     = 1'b0;
      assign of_tokens   = 1'b0;
      assign of_queries  = 1'b0;
      assign token_last  = 1'b0;
      assign time_o      = '0;
      assign timed_o     = 1'b0;
      assign timed_row_o = 1'b0;
      assign read_keys   = KeyBits'(ins_q.n_tiles);
      assign read_tiles  = ins_q.sbase[8:0];
      assign add_row     = res_row_q;
      assign kind_row    = '0;
    end
    assign resume      = enter ? pc_q + 1'b1 : !rows_q.loop ? '0 : wraps ? pc_q + 1'b1 : phase_q;
    always_ff @(posedge clk_i) begin
      if (load_en_i && load_mem_i == MemCfg && load_addr_i[4]) begin
        if (load_addr_i[0]) res_stride_q <= load_data_i[12:0];
        else act_stride_q <= load_data_i[12:0];
      end
      rows_q         <= rows;
      ins_q          <= raw;
      ins_q.xbase    <= xbase[14:0];
      xtop_q         <= xbase[16:15];
      ins_q.dst_base <= raw.dst_base + (!rows.dst ? 13'd0 : raw.dst.res ? res_row_q : act_row_q);
      ins_q.add_base <= raw.add_base + (rows.add ? add_row : 13'd0);
      ins_q.bias_base <= raw.bias_base + kind_row;
      if (finish) begin
        loop_q  <= rows_q.loop;
        slots_q <= again_o;
        phase_q <= resume;
      end
      if (shape && inside_q) phase_q <= pc_q + 1'b1;  // a SHAPE in front of a loop over channels is not repeated
      if (next_q) act_row_q <= turns ? '0 : act_row_q + act_stride_q;
      if (next_q && !inside_q || enter) res_row_q <= turns ? '0 : res_row_q + res_stride_q;
      if (enter) begin
        inside_q    <= 1'b1;
        aside_q     <= place;
        aside_row_q <= res_row_q;
        act_row_q   <= '0;
        older_q     <= 9'(cfg_q.window - 9'd1) - 9'(slot_o);
        blank_q     <= n_keys_o != KeyBits'(cfg_q.window);
      end
      if (leave) begin
        inside_q  <= 1'b0;
        res_row_q <= aside_row_q;
      end
      if (rst_i || trial_reset_i) begin
        phase_q   <= '0;
        act_row_q <= '0;
        res_row_q <= '0;
        inside_q  <= 1'b0;
        older_q   <= '0;
        blank_q   <= 1'b0;
      end
    end
  end else begin : g_bins
    assign ins_o  = word[InstrBits-1:0];
    assign xbase_o = XBits'(ins_o.xbase);
    assign pause  = finish;
    assign again  = 1'b0;
    assign shape  = 1'b0;
    assign by_slot_o = 1'b0;
    assign again_o   = 1'b0;
    assign enter     = 1'b0;
    assign leave     = 1'b0;
    assign aside     = '0;
    assign older_o   = '0;
    assign blank_o   = 1'b0;
    assign res_stride_o = '0;
    assign resume = '0;
    assign of_tokens   = 1'b0;
    assign of_queries  = 1'b0;
    assign token_last  = 1'b0;
    assign time_o      = '0;
    assign timed_o     = 1'b0;
    assign timed_row_o = 1'b0;
    assign read_keys   = '0;
    assign read_tiles  = '0;
    assign add_row     = '0;
    assign kind_row    = '0;
    assign first_o     = '0;
    assign stop_o      = n_keys_o;
  end
  wire unused = &{1'b0, load_addr_i, load_data_i, word, count_en_i, count_addr_i, count_data_i, read_keys, read_tiles,
                   add_row, kind_row, token_last, place};
endmodule
`default_nettype wire
