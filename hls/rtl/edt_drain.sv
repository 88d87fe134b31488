// Empties the drain registers: one word of P accumulators per step, towards the narrowing pipes, the score memory or the
// special-function units, and owns every running address of a pass's results.
// With Windows a pass may gather: its steps take residual words a row apart, and of each the code of one channel. Rows of
// a stream lie in a ring.
// The last element of a tile issued in cycle 0 -> first step in cycle 6. A later tile may be issued up to its own last
// element while this one drains (pend_o), that is the double buffer.
`default_nettype none
module edt_drain
  import edt_pkg::*;
#(
  parameter int Words = 8,  // accumulator words: lanes / pipes
  parameter int Pipes = 4,
  parameter int Sfus  = 1,
  parameter int Packed = 0,
  parameter int Splits = 1,
  parameter int Windows = 0,
  parameter int Folds  = 0,  // 1: KV rows may start at any row of lanes, and turn around within a tile
  parameter int Tokens = 0,  // 1: weighted values may become residual words
  parameter int KeyBits = 9
) (
  input  wire          clk_i,
  input  wire          rst_i,
  input  wire  cfg_t   cfg_i,
  input  wire  [KeyBits-1:0] slot_i,
  input  wire  [12:0]  pos_off_i,
  input  wire  [12:0]  res_stride_i,
  input  wire  [8:0]   older_i,      // rows that a pass that gathers takes before it turns to its ring's first one
  input  wire          blank_i,      // and finds unwritten: their codes are zero
  input  wire          end_i,        // last element of a tile issued
  input  wire  desc_t  desc_i,
  output logic         pend_o,
  output wire          idle_o,
  output wire  [8:0]   row_last_o,   // of KV rows: the group's last row of lanes, and its first one
  output wire  [8:0]   row_off_o,
  output wire          shift_o,
  output wire  [1:0]   split_o,      // of the tile being drained
  output wire  [12:0]  bias_addr_o,
  output nctl_t        narrow_o,     // step for the narrowing pipes
  output wire          score_o,      // step for the score memory
  output wire  [12:0]  score_addr_o,
  output wire  [2:0]   score_group_o,
  output wire  [8:0]   score_word_o, // key / P of this word
  output wire          score_fin_o,
  output wire          score_start_o,
  output wire  [2:0]   tag_o,
  input  wire          value_ok_i,   // reciprocals known, units free
  output wire          value_busy_o,
  output sctl_t        value_o
);
  localparam int Subs = Pipes / Sfus;
  localparam int PipeBits = $clog2(Pipes);

  // The tile that ended last, then the one being drained.
  desc_t       next_q, cur_q;
  logic [5:1]  end_q;
  logic        active_q;
  logic [8:0]  left_q, word_q, flat_q, key_word_q;
  logic [3:0]  group_q;
  logic [4:0]  sub_q;
  logic [12:0] row_q, bias_q, dst_q, add_q;
  logic [17:0] kv_q;
  logic [8:0]  older_q;
  logic        blank_q;

  logic gather, grouped, kept, last_step, step, beat, wrap, turn;
  logic [8:0] full, row_words, row_last_q, row_off_q, group_last_q;
  logic [2:0] share;
  logic [1:0] mode;
  logic [12:0] channel;  // the word of a row that holds the gathered channel
  assign mode      = cur_q.ins.mode;
  assign channel   = 13'(slot_i >> PipeBits);
  assign grouped   = cur_q.ins.grouped;
  assign gather    = Windows != 0 && mode == ModeGather;
  assign kept      = !cur_q.tile_last || word_q < cur_q.ins.words;
  assign last_step = left_q == 9'd1;
  assign beat      = active_q && mode == ModeValue && kept && value_ok_i;
  assign step      = active_q && (mode != ModeValue || !kept || (beat && sub_q == 5'(Subs - 1)));
  assign wrap      = grouped && word_q == group_last_q;
  // KV rows: the row of lanes that a word goes to turns around; the next one lies a group's keys further. Keys go to the
  // groups that share them in turn.
  assign row_words = Splits > 1 ? 9'(Words) >> cfg_i.value_split : 9'(Words);
  assign turn      = Folds != 0 ? step && flat_q == row_last_q : end_q[5] && !next_q.tile_first;
  assign share = Splits > 1 ? slot_i[2:0] & ~(3'h7 << cfg_i.value_split) : 3'd0;
  always_comb begin
    full = 9'(Words);
    if (Packed != 0 && next_q.ins.paired) full = 9'(2 * Words);
    if (Splits > 1) full = full >> next_q.ins.split;
  end

  assign row_last_o   = row_last_q;
  assign row_off_o    = row_off_q;
  assign shift_o      = step;
  assign split_o      = cur_q.ins.split;
  assign idle_o       = !active_q && !pend_o;
  assign value_busy_o = active_q && mode == ModeValue;
  assign bias_addr_o  = bias_q;

  always_ff @(posedge clk_i) begin
    end_q <= {end_q[4:1], end_i};
    if (end_i) next_q <= desc_i;

    // Released by its own tile only: not by the one before, which may still be shifting.
    if (end_i) pend_o <= 1'b1;
    else if (end_q != '0) pend_o <= pend_o;
    else if (mode == ModeValue ? step && last_step : active_q && left_q <= 9'd7) pend_o <= 1'b0;

    if (step) begin
      left_q <= left_q - 9'd1;
      word_q <= wrap ? 9'd0 : word_q + 9'd1;
      if (wrap) group_q <= group_q + 4'd1;
      if (kept) begin
        row_q  <= row_q + 13'd1;
        if (!gather) bias_q <= bias_q + 13'd1;
        if (!gather || row_q[PipeBits-1:0] == '1) dst_q <= dst_q + 13'd1;
        add_q  <= add_q + (gather ? res_stride_i : 13'd1);
        older_q <= older_q - 9'd1;
        if (gather && older_q == 9'd1) begin
          add_q   <= 13'(cur_q.ins.kv_base) + channel;
          blank_q <= 1'b0;
        end
      end
      if (last_step) active_q <= 1'b0;
    end
    // Settled long before a bin starts; sums, since a product would take a multiplier.
    row_last_q <= row_words - 9'd1;
    row_off_q  <= (share[0] ? row_words : 9'd0) + (share[1] ? row_words << 1 : 9'd0) + (share[2] ? row_words << 2 : 9'd0);
    if (turn) kv_q <= kv_q + 18'(cfg_i.value_rows);
    if (turn) flat_q <= 9'd0;
    else if (step) flat_q <= flat_q + 9'd1;
    if (beat) sub_q <= sub_q == 5'(Subs - 1) ? 5'd0 : sub_q + 5'd1;

    if (end_q[5]) begin
      cur_q    <= next_q;
      group_last_q <= (cfg_i.group_words >> (Splits > 1 ? next_q.ins.split : 2'd0)) - 9'd1;
      active_q <= 1'b1;
      left_q   <= next_q.tile_last ? next_q.ins.steps : full;
      word_q   <= 9'd0;
      group_q  <= 4'd0;
      sub_q    <= 5'd0;
      if (next_q.tile_first) begin
        row_q      <= 13'd0;
        bias_q     <= next_q.ins.bias_base;
        dst_q      <= next_q.ins.dst_base;
        add_q      <= next_q.ins.add_base + (Windows != 0 && next_q.ins.mode == ModeGather ? channel
                      : next_q.ins.add_pos ? pos_off_i : 13'd0);
        kv_q       <= next_q.ins.kv_base + 18'(slot_i >> (Splits > 1 ? cfg_i.value_split : 2'd0));
        older_q    <= older_i;
        blank_q    <= blank_i && next_q.ins.mode == ModeGather;
        flat_q     <= Folds != 0 ? next_q.ins.dst_base[8:0] : 9'd0;
        key_word_q <= 9'd0;
      end else key_word_q <= key_word_q + cfg_i.group_words;
    end
    if (rst_i) begin
      end_q    <= '0;
      active_q <= 1'b0;
      pend_o   <= 1'b0;
    end
  end

  logic fin;
  assign fin   = cur_q.tile_last && last_step && cur_q.ins.tag_fin;
  assign tag_o = cur_q.ins.dst_tag;

  always_ff @(posedge clk_i) begin
    narrow_o <= '{
      valid: step && kept && (mode == ModeNarrow || gather) && !rst_i,
      dst: cur_q.ins.dst, add_res: cur_q.ins.add_res && !(Windows != 0 && blank_q), add_pos: cur_q.ins.add_pos, stats: cur_q.ins.stats,
      first: (gather ? row_q >> PipeBits : row_q) == 13'd0, last: cur_q.tile_last && last_step, y1: cur_q.ins.y1, y2: cur_q.ins.y2,
      dst_addr: dst_q, add_addr: add_q, kv_addr: kv_q, kv_base: cur_q.ins.kv_base, flat: flat_q + row_off_q, row: row_q,
      split: cur_q.ins.split, gather: gather,
      pick: Windows != 0 ? 4'(slot_i) & 4'(Pipes - 1) : 4'd0,
      put: Windows != 0 ? 4'(row_q) & 4'(Pipes - 1) : 4'd0, tag: cur_q.ins.dst_tag, fin: fin, last_mask: cur_q.ins.last_mask, pc: cur_q.pc
    };
  end

  assign score_o       = step && kept && mode == ModeScore;
  assign score_addr_o  = dst_q;
  assign score_group_o = group_q[2:0];
  assign score_word_o  = key_word_q + word_q;
  assign score_fin_o   = score_o && fin;
  assign score_start_o = end_q[5] && next_q.tile_first && next_q.ins.mode == ModeScore;

  assign value_o = '{
    valid: beat, op: SfuValue, group: group_q[2:0], sub: sub_q, count: 5'(Sfus), dst_addr: dst_q, gb_addr: cur_q.ins.add_base,
    tag: cur_q.ins.dst_tag, word_end: sub_q == 5'(Subs - 1), fin: fin && sub_q == 5'(Subs - 1),
    res: Tokens != 0 && cur_q.ins.dst.res, kv: 1'b0, y: cur_q.ins.y1, pc: cur_q.pc
  };
  wire unused = &{1'b0, cur_q, cfg_i};
endmodule
`default_nettype wire
