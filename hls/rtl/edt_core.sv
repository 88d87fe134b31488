// The engine's core: one MAC array shared by all ops of the loaded network, one time bin per start; of a whole window the
// last bin's start computes all bins but for their last phase, which further starts do, one for each answer.
// Reference: edgendt/program.py; cycles: edgendt/engine/timeline.py; instruction and memory map: docs/engine.md.
`default_nettype none
module edt_core
  import edt_pkg::*;
#(
  parameter int Segments   = 4,
  parameter int Lanes      = 8,     // per segment
  parameter int Pipes      = 4,     // narrowing pipes, a power of two
  parameter int Sfus       = 1,     // special-function units, a power of two, at most Pipes
  parameter int AccBits    = 24,
  parameter int WgtDepth   = 4096,  // words per lane
  parameter int KvDepth    = 512,   // bytes per lane
  parameter int BiasDepth  = 512,   // words of Pipes outputs
  parameter int ActDepth   = 1024,  // words of Pipes bytes
  parameter int ResDepth   = 128,   // words of Pipes codes
  parameter int PosDepth   = 2048,  // words of Pipes codes
  parameter int ScoreDepth = 128,   // words of Pipes scores
  parameter int GammaDepth = 512,   // words of Sfus channels
  parameter int ProgDepth  = 128,
  parameter int Packed     = 0,     // 1: lanes take two 4-bit weights at once
  parameter int Splits     = 1,     // most groups of segments that share a reduction: 1, 2, 4, 8
  parameter int Rotary     = 0,     // 1: turns queries and keys by time
  parameter int Windows    = 0,     // 1: runs networks of whole windows
  parameter int Tokens     = 0,     // 1: and of windows of tokens
  parameter int KeySize    = 256,   // most channels of a key: 256 or 512
  parameter int Ultra      = 0      // 1: a segment's weights and cache are one memory, for parts with UltraRAM
) (
  input  wire         clk_i,
  input  wire         rst_i,
  // load bus: one write per cycle, only while idle
  input  wire         load_en_i,
  input  wire  [3:0]  load_mem_i,
  input  wire  [23:0] load_addr_i,
  input  wire  [39:0] load_data_i,
  // a trial, a bin
  input  wire         trial_reset_i,
  input  wire         count_en_i,
  input  wire  [7:0]  count_addr_i,
  input  wire  [7:0]  count_data_i,
  input  wire         start_i,
  output wire         busy_o,
  output wire         done_o,
  output wire         refuse_o,
  input  wire  [7:0]  out_addr_i,
  output wire  [15:0] out_data_o,
  output wire  [31:0] cycles_o,
  output wire  [15:0] bin_o
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
  localparam int PipeBits  = $clog2(Pipes);
  localparam int LaneCount = Segments * Lanes;
  localparam int Stages    = Splits > 2 ? $clog2(Splits) - 1 : 0;  // of the adder tree over a split's groups
  localparam int Folds     = Packed != 0 || Splits > 1 || Rotary != 0 ? 1 : 0;  // tiles that are not the array, keys by age
  localparam int ActAddr   = $clog2(ActDepth);
  localparam int OutWords  = 256 / Pipes;
  localparam int KeyBits   = Tokens != 0 ? 11 : 9;
  localparam int KrowDepth = KeySize / Pipes;
  localparam int KrowBits  = $clog2(KrowDepth);
  localparam int XBits     = Windows != 0 && ActDepth * Pipes > 32768 ? 17 : 15;  // of a byte's address

  // ---- control ----
  cfg_t        cfg;
  instr_t      ins, sfu_ins;
  logic [XBits-1:0] xbase, x_index;
  logic [9:0]  pc;
  logic [KeyBits-1:0] slot, n_keys, first_key, stop_key;
  logic [8:0]  key_tiles, oldest;
  logic [10:0] slot_lane, slot_seg;
  logic [17:0] slot_off;
  logic [12:0] pos_off, res_stride;
  logic [15:0] row_time;
  logic        timed, timed_row, by_slot, another, blank;
  logic [8:0]  older;
  logic        mac_valid, mac_take, sfu_valid, sfu_take, quiet;
  logic [7:0]  begins, begun, done, fin;
  logic [8*13-1:0] count;

  edt_seq #(
    .SegLanes(Lanes), .ProgDepth(ProgDepth), .Sfus(Sfus), .Rotary(Rotary), .Windows(Windows), .Pipes(Pipes),
    .Tokens(Tokens), .KeyBits(KeyBits), .XBits(XBits), .HeadBits($clog2(KeySize) + 1)
  ) i_seq (
    .clk_i, .rst_i, .load_en_i, .load_mem_i, .load_addr_i, .load_data_i, .trial_reset_i, .count_en_i,
    .count_addr_i, .count_data_i, .start_i, .busy_o, .done_o,
    .refuse_o, .cycles_o, .bin_o, .cfg_o(cfg), .slot_o(slot), .slot_lane_o(slot_lane), .slot_seg_o(slot_seg),
    .slot_off_o(slot_off), .oldest_o(oldest), .n_keys_o(n_keys), .key_tiles_o(key_tiles),
    .first_o(first_key), .stop_o(stop_key), .pos_off_o(pos_off),
    .res_stride_o(res_stride), .time_o(row_time), .timed_o(timed), .timed_row_o(timed_row), .by_slot_o(by_slot), .again_o(another),
    .older_o(older), .blank_o(blank), .ins_o(ins), .xbase_o(xbase), .pc_o(pc),
    .mac_valid_o(mac_valid), .mac_take_i(mac_take), .sfu_valid_o(sfu_valid), .sfu_take_i(sfu_take), .done_i(done),
    .quiet_i(quiet)
  );

  logic word_mac, word_sfu;
  logic [2:0] word_mac_tag, word_sfu_tag;
  edt_tags i_tags (
    .clk_i, .rst_i,
    .clear_mac_i(mac_take && ins.tag_clear), .clear_mac_tag_i(ins.dst_tag), .clear_mac_base_i(ins.dst_base),
    .clear_sfu_i(sfu_take && ins.tag_clear), .clear_sfu_tag_i(ins.dst_tag), .clear_sfu_base_i(ins.dst_base),
    .word_mac_i(word_mac), .word_mac_tag_i(word_mac_tag), .word_sfu_i(word_sfu), .word_sfu_tag_i(word_sfu_tag),
    .begin_i(begins), .fin_i(fin), .count_o(count), .begun_o(begun), .done_o(done)
  );

  // ---- issue and array ----
  logic        go, first, last, from_kv, grouped, xsigned, paired, pend, issue_idle;
  logic [1:0]  split, drain_split;
  logic        kv_unsigned;
  logic        share, sharing;  // the units add up weights between channels, and read the exponentials
  logic [12:0] sfu_raddr;
  logic [19:0] stat_addr;
  desc_t       desc;
  edt_issue #(.Pipes(Pipes), .Sfus(Sfus), .Folds(Folds), .KeyBits(KeyBits), .XBits(XBits)) i_issue (
    .clk_i, .rst_i, .valid_i(mac_valid), .ins_i(ins), .xbase_i(xbase), .pc_i(pc), .take_o(mac_take), .idle_o(issue_idle),
    .n_keys_i(n_keys), .key_tiles_i(key_tiles), .oldest_i(oldest), .count_i(count), .begun_i(begun), .done_i(done), .pend_i(pend), .go_o(go),
    .first_o(first), .last_o(last), .x_o(x_index), .stat_o(stat_addr), .kv_o(from_kv), .grouped_o(grouped),
    .xsigned_o(xsigned), .paired_o(paired), .split_o(split), .kv_unsigned_o(kv_unsigned), .desc_o(desc)
  );

  logic [Pipes*8-1:0]           act_word, act_wdata, col_data, row_data, row_word;
  logic [Pipes-1:0]             act_we;
  logic [ActAddr-1:0]           act_waddr;
  logic                         shift, row_en, col_en;
  logic [8:0]                   row_flat;
  logic [17:0]                  kv_waddr, row_addr, col_addr;
  logic [LaneCount*AccBits-1:0] low, low_next, high, high_next;
  nctl_t                        early_q [0:Stages];  // narrowing step until the tree has its sum
  logic [Pipes*AccBits-1:0]     head, drained;  // summed over a split, and as it lies
  logic [Segments*2-1:0]        segment_split;
  logic [LaneCount/Pipes*2-1:0] chain_split;
  for (genvar w = 0; w < LaneCount / Pipes; w++) begin : g_chain_split
    assign chain_split[w*2+:2] = segment_split[(w*Pipes/Lanes)*2+:2];
  end
  assign drained = low[Pipes*AccBits-1:0];
  edt_chain #(
    .Words(LaneCount / Pipes), .Pipes(Pipes), .AccBits(AccBits), .Packed(Packed), .Splits(Splits)
  ) i_chain (
    .clk_i, .chain_split_i(chain_split), .low_i(low), .high_i(high), .low_o(low_next), .high_o(high_next),
    .head_split_i(early_q[0].split), .head_o(head)
  );

  edt_ram #(.Width(Pipes * 8), .Depth(ActDepth), .Enables(Pipes)) i_act (
    .clk_i, .we_i(act_we), .waddr_i(act_waddr), .wdata_i(act_wdata),
    .raddr_i(sharing ? sfu_raddr[ActAddr-1:0] : x_index[PipeBits+:ActAddr]),
    .rdata_o(act_word)
  );
  // A load word has a byte for each of four lanes: a weight, or two of a pair, {b, a}, stored as {b - (a < 0), a}.
  logic [35:0] weight_load;
  always_comb
    for (int l = 0; l < 4; l++)
      weight_load[l*9+:9] = load_mem_i != MemPair ? {load_data_i[l*8+7], load_data_i[l*8+:8]}
          : {{load_data_i[l*8+7], load_data_i[l*8+4+:4]} - 5'(load_data_i[l*8+3]), load_data_i[l*8+:4]};
  for (genvar s = 0; s < Segments; s++) begin : g_segment
    edt_segment #(
      .Index(s), .Segments(Segments), .Lanes(Lanes), .Pipes(Pipes), .Sfus(Sfus), .AccBits(AccBits),
      .WgtDepth(WgtDepth), .KvDepth(KvDepth), .Packed(Packed), .Splits(Splits), .Windows(Windows), .Ultra(Ultra)
    ) i_segment (
      .clk_i, .rst_i, .gshift_i(cfg.gshift), .go_i(go), .first_i(first), .last_i(last), .kv_i(from_kv),
      .addr_i(stat_addr), .grouped_i(grouped), .xsigned_i(xsigned), .paired_i(paired), .split_i(split),
      .kv_unsigned_i(kv_unsigned),
      .byte_i(x_index[PipeBits-1:0]), .word_i(act_word),
      .load_en_i(load_en_i && (load_mem_i == MemWeight || load_mem_i == MemPair)), .load_addr_i,
      .load_data_i(weight_load),
      .row_en_i(row_en), .row_i(row_flat), .col_en_i(col_en), .col_seg_i(slot_seg), .col_lane_i(slot_lane),
      .kvw_addr_i(kv_waddr), .row_data_i(row_word), .col_data_i(col_data), .shift_i(shift),
      .chain_split_i(drain_split), .chain_split_o(segment_split[s*2+:2]),
      .low_i(low_next[s*Lanes*AccBits+:Lanes*AccBits]), .high_i(high_next[s*Lanes*AccBits+:Lanes*AccBits]),
      .low_o(low[s*Lanes*AccBits+:Lanes*AccBits]), .high_o(high[s*Lanes*AccBits+:Lanes*AccBits])
    );
  end

  // ---- drain ----
  logic        drain_idle, score_step, score_fin, score_start, value_ok, value_busy;
  logic [12:0] score_waddr;
  logic [12:0] bias_addr [0:Stages];
  logic [2:0]  score_group, drain_tag;
  logic [8:0]  score_word, row_last, row_off;
  nctl_t       n_q [1:9];
  sctl_t       value_beat, norm_beat;
  sctl_t       late_q [0:Stages];  // value beats of a split until the tree has its sum
  edt_drain #(
    .Words(LaneCount / Pipes), .Pipes(Pipes), .Sfus(Sfus), .Packed(Packed), .Splits(Splits), .Windows(Windows), .Folds(Folds),
    .Tokens(Tokens), .KeyBits(KeyBits)
  ) i_drain (
    .clk_i, .rst_i, .cfg_i(cfg), .slot_i(slot), .pos_off_i(pos_off), .res_stride_i(res_stride),
    .older_i(older), .blank_i(blank), .end_i(go && last), .desc_i(desc), .pend_o(pend),
    .idle_o(drain_idle), .row_last_o(row_last), .row_off_o(row_off), .shift_o(shift), .split_o(drain_split), .bias_addr_o(bias_addr[0]), .narrow_o(early_q[0]),
    .score_o(score_step),
    .score_addr_o(score_waddr), .score_group_o(score_group), .score_word_o(score_word), .score_fin_o(score_fin),
    .score_start_o(score_start), .tag_o(drain_tag), .value_ok_i(value_ok), .value_busy_o(value_busy),
    .value_o(value_beat)
  );

  // ---- narrowing pipes: step f in cycle 0, write in cycle 9 + Stages ----
  logic [Pipes*34-1:0]   bias;
  logic [Pipes*16-1:0]   res_word, pos_word, addend, y16;
  logic [Pipes*OutW-1:0] y;
  logic [12:0]           res_raddr;
  logic                  norm_reads;
  for (genvar i = 2; i <= 9; i++) begin : g_stage
    always_ff @(posedge clk_i) begin
      n_q[i] <= n_q[i-1];
      if (rst_i) n_q[i].valid <= 1'b0;
    end
  end
  for (genvar i = 1; i <= Stages; i++) begin : g_early
    always_ff @(posedge clk_i) begin
      early_q[i]   <= early_q[i-1];
      bias_addr[i] <= bias_addr[i-1];
      if (rst_i) early_q[i].valid <= 1'b0;
    end
  end
  assign n_q[1] = early_q[Stages];
  assign addend = n_q[7].add_res ? res_word : n_q[7].add_pos ? pos_word : '0;

  for (genvar p = 0; p < Pipes; p++) begin : g_pipe
    edt_ram #(.Width(34), .Depth(BiasDepth)) i_bias (
      .clk_i,
      .we_i   (load_en_i && load_mem_i == MemBias && load_addr_i[PipeBits-1:0] == PipeBits'(p)),
      .waddr_i(load_addr_i[PipeBits+:$clog2(BiasDepth)]),
      .wdata_i(load_data_i[33:0]),
      .raddr_i(bias_addr[Stages][$clog2(BiasDepth)-1:0]),
      .rdata_o(bias[p*34+:34])
    );
    edt_ram #(.Width(16), .Depth(PosDepth)) i_pos (
      .clk_i,
      .we_i   (load_en_i && load_mem_i == MemPos && load_addr_i[PipeBits-1:0] == PipeBits'(p)),
      .waddr_i(load_addr_i[PipeBits+:$clog2(PosDepth)]),
      .wdata_i(load_data_i[15:0]),
      .raddr_i(n_q[5].add_addr[$clog2(PosDepth)-1:0]),
      .rdata_o(pos_word[p*16+:16])
    );
    edt_narrow #(.AccBits(AccBits)) i_narrow (
      .clk_i, .acc_i(head[p*AccBits+:AccBits]), .bias_i(bias[p*34+:34]), .y1_i(n_q[5].y1),
      .addend_i(addend[p*16+:16]), .y2_i(n_q[7].y2), .y_o(y[p*OutW+:OutW])
    );
    assign y16[p*16+:16]    = y[p*OutW+:16];
    assign row_data[p*8+:8] = y[p*OutW+:8];
  end

  sctl_t              s0;
  sctl_t              s_q [1:20];   // beats of the special-function units
  logic [Pipes-1:0]   sfu_we;       // and the bytes that they write
  logic [Pipes*8-1:0] sfu_data;

  // A pass that gathers writes once the codes of a word are there.
  logic                written;
  logic [Pipes*16-1:0] res_data;
  if (Windows != 0) begin : g_gather
    logic [Pipes*16-1:0] gather_q;
    always_comb begin
      res_data = n_q[9].gather ? gather_q : y16;
      if (n_q[9].gather) res_data[n_q[9].put[PipeBits-1:0]*16+:16] = y16[n_q[9].pick[PipeBits-1:0]*16+:16];
    end
    always_ff @(posedge clk_i) if (n_q[9].valid) gather_q <= res_data;
    assign written = n_q[9].valid && (!n_q[9].gather || n_q[9].last || n_q[9].put[PipeBits-1:0] == '1);
  end else begin : g_words
    assign res_data = y16;
    assign written  = n_q[9].valid;
  end
  // Of windows of tokens weighted values may come code by code from the special-function units.
  localparam int ResEnables = Tokens != 0 ? Pipes : 1;
  logic [ResEnables-1:0]       res_we;
  logic [$clog2(ResDepth)-1:0] res_waddr;
  logic [Pipes*16-1:0]         res_wdata;
  if (Tokens != 0) begin : g_res_codes
    always_comb begin
      res_we    = {Pipes{written && n_q[9].dst.res}};
      res_waddr = n_q[9].dst_addr[$clog2(ResDepth)-1:0];
      res_wdata = res_data;
      if (s_q[20].valid && s_q[20].res) begin
        res_we    = sfu_we;
        res_waddr = s_q[20].dst_addr[$clog2(ResDepth)-1:0];
        for (int b = 0; b < Pipes; b++) res_wdata[b*16+:16] = 16'($signed(sfu_data[b*8+:8]));
      end
    end
  end else begin : g_res_words
    assign res_we    = written && n_q[9].dst.res;
    assign res_waddr = n_q[9].dst_addr[$clog2(ResDepth)-1:0];
    assign res_wdata = res_data;
  end
  edt_ram #(.Width(Pipes * 16), .Depth(ResDepth), .Enables(ResEnables)) i_res (
    .clk_i, .we_i(res_we), .waddr_i(res_waddr), .wdata_i(res_wdata),
    .raddr_i(res_raddr[$clog2(ResDepth)-1:0]), .rdata_o(res_word)
  );

  // Outputs: a word of P codes is read in one cycle, the code picked behind the register.
  logic [Pipes*16-1:0]  out_mem [OutWords];
  logic [Pipes*16-1:0]  out_word_q;
  logic [PipeBits-1:0]  out_pick_q;
  always_ff @(posedge clk_i) begin
    if (n_q[9].valid && n_q[9].dst.out) out_mem[n_q[9].dst_addr[7-PipeBits:0]] <= y16;
    out_word_q <= out_mem[out_addr_i[7:PipeBits]];
    out_pick_q <= out_addr_i[PipeBits-1:0];
  end
  assign out_data_o = out_word_q[out_pick_q*16+:16];

  // ---- keys and values ----
  logic       kcol_begun, kcol_done, kcol_idle;
  logic [2:0] kcol_tag;
  logic                       key_row, key_turned;  // a word of the new key, as it is or byte by byte from the units
  logic [Rotary*(Pipes-1):0]  key_we;
  edt_kcol #(.Pipes(Pipes), .Depth(KrowDepth), .Rotary(Rotary)) i_kcol (
    .clk_i, .rst_i, .cfg_i(cfg), .tile_off_i(slot_off), .we_i(key_we),
    .waddr_i(key_turned ? s_q[20].dst_addr[KrowBits-1:0] : n_q[9].row[KrowBits-1:0]),
    .wdata_i(key_turned ? sfu_data : row_data),
    .start_i(key_turned ? s_q[20].fin : key_row && n_q[9].last),
    .base_i(key_turned ? sfu_ins.kv_base : n_q[9].kv_base), .tag_i(key_turned ? s_q[20].tag : n_q[9].tag),
    .en_o(col_en), .addr_o(col_addr), .data_o(col_data), .begun_o(kcol_begun), .done_o(kcol_done), .tag_o(kcol_tag), .idle_o(kcol_idle)
  );
  assign key_row    = n_q[9].valid && n_q[9].dst.kcol;
  assign key_turned = Rotary != 0 && s_q[20].valid && s_q[20].op == SfuTurn && sfu_ins.dst.kcol;
  if (Rotary != 0) begin : g_key_bytes
    assign key_we = key_turned ? sfu_we : {Pipes{key_row}};
  end else begin : g_key_word
    assign key_we = key_row;
  end
  // Turned values: the units' bytes are gathered to words, which go the way that the narrowing pipes' rows go.
  logic               turned_row;
  if (Tokens != 0) begin : g_turned_rows
    logic               en_q;
    logic [8:0]         flat_q;
    logic [17:0]        addr_q;
    logic [Pipes*8-1:0] word_q;
    always_ff @(posedge clk_i) begin
      en_q <= s_q[20].valid && s_q[20].kv && s_q[20].word_end && !rst_i;
      for (int b = 0; b < Pipes; b++) if (sfu_we[b]) word_q[b*8+:8] <= sfu_data[b*8+:8];
      if (s_q[20].valid && s_q[20].kv && s_q[20].word_end) begin
        flat_q <= flat_q == row_last ? 9'd0 : flat_q + 9'd1;
        if (flat_q == row_last) addr_q <= addr_q + 18'(cfg.value_rows);
        if (s_q[20].dst_addr == 13'd0) begin
          flat_q <= 9'd0;
          addr_q <= sfu_ins.kv_base + 18'(slot >> (Splits > 1 ? cfg.value_split : 2'd0));
        end
      end
    end
    assign turned_row = en_q;
    assign row_en     = en_q || (n_q[9].valid && n_q[9].dst.kv);
    assign row_flat   = en_q ? flat_q + row_off : n_q[9].flat;
    assign row_addr   = en_q ? addr_q : n_q[9].kv_addr;
    assign row_word   = en_q ? word_q : row_data;
  end else begin : g_rows
    assign turned_row = 1'b0;
    assign row_en   = n_q[9].valid && n_q[9].dst.kv;
    assign row_flat = n_q[9].flat;
    assign row_addr = n_q[9].kv_addr;
    assign row_word = row_data;
  end
  assign kv_waddr = col_en ? col_addr : row_addr;

  // ---- special-function units: beat in cycle 0, write in cycle 20 ----
  logic        sfu_idle, sfu_running, stats_start, exp_clear, stats_ok, recip_ok, angles_ok;
  edt_sfu_seq #(
    .Pipes(Pipes), .Sfus(Sfus), .Folds(Folds), .Rotary(Rotary), .Windows(Windows), .Tokens(Tokens), .KeyBits(KeyBits)
  ) i_sfu_seq (
    .clk_i, .rst_i, .cfg_i(cfg), .valid_i(sfu_valid), .ins_i(ins), .pc_i(pc), .take_o(sfu_take), .idle_o(sfu_idle),
    .n_keys_i(n_keys), .oldest_i(oldest), .done_i(done), .stats_ok_i(stats_ok), .angles_ok_i(angles_ok), .recip_ok_i(recip_ok),
    .value_busy_i(value_busy), .stats_start_o(stats_start),
    .exp_clear_o(exp_clear), .ins_o(sfu_ins), .running_o(sfu_running), .read_addr_o(sfu_raddr), .beat_o(norm_beat)
  );
  assign value_ok   = recip_ok && !sfu_running;
  assign late_q[0] = '0;
  if (Stages > 0) begin : g_summed
    for (genvar i = 1; i <= Stages; i++) begin : g_late
      always_ff @(posedge clk_i) begin
        late_q[i] <= i == 1 ? value_beat : late_q[i-1];
        if (i == 1) late_q[i].valid <= value_beat.valid && drain_split != 2'd0;
        if (rst_i) late_q[i].valid <= 1'b0;
      end
    end
    always_comb
      if (late_q[Stages].valid) s0 = late_q[Stages];
      else if (sfu_running) s0 = norm_beat;
      else begin
        s0       = value_beat;
        s0.valid = value_beat.valid && drain_split == 2'd0;
      end
  end else begin : g_direct
    assign s0 = sfu_running ? norm_beat : value_beat;  // values wait while the units run
  end
  assign norm_reads = sfu_running && (sfu_ins.op == OpNorm || (Rotary != 0 && sfu_ins.op == OpTurn));
  assign res_raddr  = norm_reads ? sfu_raddr : n_q[5].add_addr;
  for (genvar i = 1; i <= 20; i++) begin : g_beat
    always_ff @(posedge clk_i) begin
      if (i == 1) s_q[i] <= s0;
      else s_q[i] <= s_q[i-1];
      if (rst_i) s_q[i].valid <= 1'b0;
    end
  end

  logic [Pipes*AccBits-1:0]   score_word_out, value_word_q;
  logic                       late1_q;
  logic signed [AccBits-1:0]  max4, max5_q;
  edt_scores #(.Pipes(Pipes), .AccBits(AccBits), .Depth(ScoreDepth), .KeyBits(KeyBits)) i_scores (
    .clk_i, .start_i(score_start), .step_i(score_step), .waddr_i(score_waddr[$clog2(ScoreDepth)-1:0]),
    .group_i(score_group), .word_i(score_word), .first_i(first_key), .stop_i(stop_key), .acc_i(drained),
    .raddr_i(sfu_raddr[$clog2(ScoreDepth)-1:0]), .rdata_o(score_word_out), .max_group_i(s_q[4].group), .max_o(max4)
  );

  logic signed [24:0] stat_sum;
  logic [14:0]        root, table_entry, recip5, factor6_q, factor6;
  logic [5:0]         root_shift, shift9_q;
  logic [9:0]         root_index, recip_index;
  logic               recip_reads;
  logic [4:0]         length8, length5;
  logic [3:0]         shift5;
  logic [Sfus*8-1:0]  exps17;
  logic [Sfus-1:0]    keys_q;  // in cycle 17, exponentials of keys: others are not summed, and written as zero
  if (Windows != 0) begin : g_sees  // keys that the row sees; a stream's by age, all that there are
    for (genvar n = 0; n < Sfus; n++) begin : g_key
      logic [KeyBits-1:0] key;
      assign key = KeyBits'(s_q[16].gb_addr) << $clog2(Sfus) | KeyBits'(n);
      always_ff @(posedge clk_i) keys_q[n] <= key >= first_key && key < stop_key;
    end
  end else begin : g_counts
    always_ff @(posedge clk_i) for (int n = 0; n < Sfus; n++) keys_q[n] <= 5'(n) < s_q[16].count;
  end
  edt_stats #(.Pipes(Pipes)) i_stats (
    .clk_i, .rst_i, .clear_i(mac_take && ins.stats), .valid_i(written && n_q[9].stats), .first_i(n_q[9].first),
    .last_i(n_q[9].last), .last_mask_i(n_q[9].last_mask), .word_i(res_data), .ok_o(stats_ok), .sum_o(stat_sum),
    .start_i(stats_start), .size_i(sfu_ins.n_red[8:0]), .eps_i({sfu_ins.kv_base, sfu_ins.sbase}),
    .index_o(root_index), .table_i(table_entry), .root_o(root), .shift_o(root_shift)
  );
  edt_recip #(.Sfus(Sfus), .SumBits(Tokens != 0 ? 19 : 16)) i_recip (
    .clk_i, .rst_i, .clear_i(exp_clear), .groups_i(cfg.groups), .valid_i(s_q[17].valid && s_q[17].op == SfuExp),
    .group_i(s_q[17].group), .keys_i(keys_q), .exps_i(exps17), .fin_i(s_q[17].fin), .reading_o(recip_reads),
    .index_o(recip_index), .table_i(table_entry), .ok_o(recip_ok), .recip_group_i(s_q[5].group), .recip_o(recip5),
    .length_group_i(s_q[8].group), .length_o(length8), .share_group_i(s_q[5].group), .share_length_o(length5)
  );
  logic [15:0] table_word;
  edt_ram #(.Width(16), .Depth(2048)) i_table (
    .clk_i, .we_i(load_en_i && load_mem_i == MemTable), .waddr_i(load_addr_i[10:0]), .wdata_i(load_data_i[15:0]),
    .raddr_i(recip_reads ? {1'b1, recip_index} : {1'b0, root_index}), .rdata_o(table_word)
  );
  assign table_entry = table_word[14:0];

  assign sharing = Windows != 0 && sfu_running && sfu_ins.op == OpShare;
  assign share   = Windows != 0 && sfu_ins.op == OpShare;
  assign shift5  = 4'(sfu_ins.words[4:0] - length5);
  logic turn2, turn8, gate;
  assign gate  = Tokens != 0 && sfu_ins.op == OpTurn && sfu_ins.grouped;
  assign turn2 = Rotary != 0 && s_q[2].op == SfuTurn;
  assign turn8 = Rotary != 0 && s_q[8].op == SfuTurn;
  always_ff @(posedge clk_i) begin
    late1_q      <= late_q[Stages].valid;
    value_word_q <= Stages == 0 || late1_q ? head : drained;
    max5_q       <= max4;
    factor6_q    <= s_q[5].op == SfuExp ? sfu_ins.sbase[14:0] : recip5;
    unique case (turn8 || share ? SfuExp : s_q[8].op)  // a turn's shift lies where an exponential's does
      SfuNorm: shift9_q <= root_shift;
      SfuExp:  shift9_q <= sfu_ins.xstride;
      default: shift9_q <= s_q[8].gb_addr[5:0] + 6'(length8);
    endcase
  end
  assign factor6 = s_q[6].op == SfuNorm ? root : factor6_q;

  logic signed [OutW-1:0] hi11, lo11;
  always_comb begin
    unique case (s_q[11].op)
      SfuNorm: {hi11, lo11} = {18'sh1ffff, 18'sh20000};
      SfuExp:  {hi11, lo11} = {18'sd4096, 18'sd0};
      default: {hi11, lo11} = {fmt_hi(s_q[11].y), fmt_lo(s_q[11].y)};
    endcase
  end

  logic [Sfus*24-1:0] angles6;
  if (Rotary != 0) begin : g_rotary
    logic [15:0] angle_time, given_time;
    assign angle_time = Windows != 0 && by_slot ? 16'(slot) : given_time;
    if (Tokens != 0) begin : g_times  // a constant row's own, or what came with a token or a query
      logic [15:0] own, time_q;
      edt_ram #(.Width(16), .Depth(256)) i_time (
        .clk_i, .we_i(load_en_i && load_mem_i == MemTime), .waddr_i(load_addr_i[7:0]), .wdata_i(load_data_i[15:0]),
        .raddr_i(slot[7:0]), .rdata_o(own)
      );
      always_ff @(posedge clk_i)
        if (timed) time_q <= timed_row ? own : row_time;
        else if (start_i) time_q <= bin_o;
      assign given_time = time_q;
    end else begin : g_bins
      assign given_time = bin_o;
    end
    edt_angle #(.Sfus(Sfus), .Windows(Windows), .Tables(Tokens != 0 ? 2 : 1)) i_angle (
      .clk_i, .rst_i, .load_en_i, .load_mem_i, .load_addr_i(load_addr_i[9:0]), .load_data_i(load_data_i[17:0]),
      .start_i((start_i && !busy_o && !refuse_o) || timed || another), .time_i(angle_time), .ok_o(angles_ok),
      .raddr_i(s_q[4].gb_addr[7-$clog2(Sfus):0]), .angle_o(angles6)
    );
  end else begin : g_plain
    assign angles_ok = 1'b0;
    assign angles6   = '0;
  end

  logic [Sfus*8-1:0] norm20, other19;
  for (genvar n = 0; n < Sfus; n++) begin : g_sfu
    logic [$clog2(Pipes)-1:0] pick2, partner2;
    logic [AccBits-1:0]       x2;
    logic [31:0]              gb13;
    logic signed [OutW-1:0]   norm20_full;
    assign pick2 = turn2 && gate ? PipeBits'(2 * (int'(s_q[2].sub) * Sfus + n)) : PipeBits'(s_q[2].sub * 5'(Sfus) + 5'(n));
    assign partner2 = pick2 ^ PipeBits'(sfu_ins.xbase);
    always_comb begin
      unique case (turn2 ? SfuNorm : s_q[2].op)  // turns read the residual too
        SfuNorm: x2 = {{(AccBits - 16) {res_word[pick2*16+15]}}, res_word[pick2*16+:16]};
        SfuExp:  x2 = score_word_out[pick2*AccBits+:AccBits];
        default: x2 = share ? AccBits'(act_word[(n*(Pipes/Sfus)+int'(s_q[2].group))%Pipes*8+:8])
                      : value_word_q[pick2*AccBits+:AccBits];
      endcase
    end
    edt_ram #(.Width(32), .Depth(GammaDepth)) i_gamma (
      .clk_i,
      .we_i   (load_en_i && load_mem_i == MemGamma && (load_addr_i & 24'(Sfus - 1)) == 24'(n)),
      .waddr_i(load_addr_i[$clog2(Sfus)+:$clog2(GammaDepth)]),
      .wdata_i(load_data_i[31:0]),
      .raddr_i(s_q[11].gb_addr[$clog2(GammaDepth)-1:0]),
      .rdata_o(gb13)
    );
    edt_sfu #(.AccBits(AccBits), .Rotary(Rotary), .Windows(Windows), .Tokens(Tokens)) i_sfu (
      .clk_i, .x2_i(x2), .size_i(sfu_ins.n_red[8:0]), .op5_i(s_q[5].op), .sum5_i(stat_sum), .max5_i(max5_q),
      .factor6_i(factor6), .shift9_i(shift9_q), .floor9_i(s_q[9].op == SfuExp), .hi11_i(hi11), .lo11_i(lo11),
      .gb13_i(gb13), .shift16_i(sfu_ins.xstride), .op17_i(s_q[17].op), .key17_i(keys_q[n]), .y18_i(s_q[18].y),
      .turn6_i(s_q[6].op == SfuTurn), .turn8_i(turn8), .partner2_i(res_word[partner2*16+:11]),
      .angle6_i(angles6[n*24+:24]), .share_i(share), .shift5_i(shift5), .first8_i(s_q[8].group == 3'd0),
      .negate_i(sfu_ins.xsigned), .gate_i(gate), .table_i(sfu_ins.split),
      .gelu_en_i(load_en_i && load_mem_i == MemGelu), .gelu_addr_i(load_addr_i[9:0]),
      .load_en_i(load_en_i && load_mem_i == MemExp), .load_addr_i(load_addr_i[7:0]), .load_data_i(load_data_i[15:0]),
      .exp17_o(exps17[n*8+:8]), .norm20_o(norm20_full), .other19_o(other19[n*8+:8])
    );
    assign norm20[n*8+:8] = norm20_full[7:0];
    wire unused_norm = &{1'b0, norm20_full[OutW-1:8]};
  end

  // ---- activation write port: counts, narrowed words, special-function results ----
  // Who writes, which bytes and where is known a cycle ahead, and so is all but what the rounding units end with: one
  // choice of three stands in front of the wires to the memory.
  logic               exps19, elsewhere19, row_q, norm_q;
  logic [Pipes*8-1:0] other_q;
  logic [Pipes-1:0]   units19;  // the bytes that the units write
  for (genvar b = 0; b < Pipes; b++) begin : g_units
    assign units19[b] = s_q[19].valid && (exps19 ? b % (Pipes / Sfus) == int'(s_q[19].group) : b / Sfus == int'(s_q[19].sub));
  end
  assign exps19      = s_q[19].op == SfuExp;
  assign elsewhere19 = (Rotary != 0 && s_q[19].op == SfuTurn && sfu_ins.dst.kcol) || s_q[19].res || s_q[19].kv;
  always_ff @(posedge clk_i) begin
    sfu_we    <= units19;
    row_q     <= !count_en_i && !(s_q[19].valid && !elsewhere19);
    norm_q    <= !count_en_i && s_q[19].op == SfuNorm;
    act_waddr <= count_en_i ? ActAddr'(count_addr_i[7:PipeBits])
                 : s_q[19].valid && !elsewhere19 ? s_q[19].dst_addr[ActAddr-1:0] : n_q[8].dst_addr[ActAddr-1:0];
    for (int b = 0; b < Pipes; b++) begin
      act_we[b] <= count_en_i ? count_addr_i[PipeBits-1:0] == PipeBits'(b)
                   : s_q[19].valid && !elsewhere19 ? units19[b] : n_q[8].valid && n_q[8].dst.act;
      other_q[b*8+:8] <= count_en_i ? (count_data_i > cfg.count_max ? cfg.count_max : count_data_i)
                         : exps19 ? other19[(b/(Pipes/Sfus))*8+:8] : other19[(b%Sfus)*8+:8];
    end
    if (rst_i) begin
      sfu_we <= '0;
      act_we <= '0;
    end
  end
  for (genvar b = 0; b < Pipes; b++) begin : g_write
    assign sfu_data[b*8+:8]  = norm_q ? norm20[(b%Sfus)*8+:8] : other_q[b*8+:8];
    assign act_wdata[b*8+:8] = row_q ? row_data[b*8+:8] : sfu_data[b*8+:8];
  end

  // ---- announcements ----
  logic [3:1] score_fin_q;
  logic [2:0] score_tag_q [1:3];
  logic       busy_pipes;
  always_ff @(posedge clk_i) begin
    score_fin_q <= {score_fin_q[2:1], score_fin};
    score_tag_q[1] <= drain_tag;
    score_tag_q[2] <= score_tag_q[1];
    score_tag_q[3] <= score_tag_q[2];
    if (rst_i) score_fin_q <= '0;
  end
  assign word_mac     = n_q[7].valid && n_q[7].dst.act;
  assign word_mac_tag = n_q[7].tag;
  assign word_sfu     = s_q[18].valid && s_q[18].word_end;
  assign word_sfu_tag = s_q[18].tag;
  always_comb begin
    begins = '0;
    begins[kcol_tag] = kcol_begun;
    fin = '0;
    if (n_q[7].valid && n_q[7].fin && !n_q[7].dst.kcol) fin[n_q[7].tag] = 1'b1;
    if (s_q[18].valid && s_q[18].fin && !(Rotary != 0 && s_q[18].op == SfuTurn && sfu_ins.dst.kcol)) fin[s_q[18].tag] = 1'b1;
    if (score_fin_q[3]) fin[score_tag_q[3]] = 1'b1;
    if (kcol_done) fin[kcol_tag] = 1'b1;
    busy_pipes = 1'b0;
    for (int i = 1; i <= 9; i++) busy_pipes |= n_q[i].valid;
    for (int i = 0; i <= Stages; i++) busy_pipes |= early_q[i].valid | (i > 0 && late_q[i].valid);
    for (int i = 1; i <= 20; i++) busy_pipes |= s_q[i].valid;
    busy_pipes |= turned_row;
  end
  assign quiet = issue_idle && drain_idle && kcol_idle && sfu_idle && !busy_pipes;

`ifdef EDT_TAP
  assign tap_narrow_o      = written;
  assign tap_narrow_pc_o   = n_q[9].pc;
  assign tap_narrow_addr_o = (n_q[9].dst.kv || n_q[9].dst.kcol) ? n_q[9].row : n_q[9].dst_addr;
  for (genvar p = 0; p < Pipes; p++) begin : g_tap
    assign tap_narrow_data_o[p*OutW+:OutW] = Windows != 0 && n_q[9].gather ? OutW'($signed(res_data[p*16+:16]))
                                             : y[p*OutW+:OutW];
  end
  assign tap_sfu_o         = s_q[20].op == SfuExp ? '0 : sfu_we;
  assign tap_sfu_pc_o      = s_q[20].pc;
  assign tap_sfu_addr_o    = s_q[20].dst_addr;
  assign tap_sfu_data_o    = sfu_data;

  // What the schedule promises: one writer per port and cycle, one reader of the residual.
  always_ff @(posedge clk_i)
    if (!rst_i) begin
      assert (!(s_q[20].valid && n_q[9].valid && n_q[9].dst.act && !s_q[20].res && !s_q[20].kv)) else $error("two writers of the activation memory");
      assert (!(norm_reads && n_q[5].valid && n_q[5].add_res)) else $error("two readers of the residual memory");
      assert (!(s_q[20].valid && s_q[20].res && written && n_q[9].dst.res)) else $error("two writers of the residual memory");
      assert (!(turned_row && n_q[9].valid && n_q[9].dst.kv)) else $error("two rows of the KV memory");
      assert (!(row_en && col_en)) else $error("two writers of the KV memory");
      assert (!((value_beat.valid || (Stages > 0 && late_q[Stages].valid)) && norm_beat.valid)) else $error("two users of the special-function units");
      // What whoever drives the core promises: nothing in it is ready to begin a trial while a bin runs.
      assert (!(trial_reset_i && busy_o)) else $error("a trial is reset while a bin runs");
    end
`endif
  wire unused = &{1'b0, n_q[9], early_q[0], s_q[20], sfu_we, sfu_ins, table_word, y, load_data_i, x_index, bias_addr[Stages],
                   score_waddr, res_raddr, sfu_raddr, row_last, row_off, row_time, timed, timed_row, turned_row, by_slot, another};
endmodule
`default_nettype wire
