// Issues one element per cycle of the current pass: activation index, stationary address, first and last of a tile.
// Stalls while the source is not written (chaining), a barrier is up, or the drain could not take the accumulators.
`default_nettype none
module edt_issue
  import edt_pkg::*;
#(
  parameter int Pipes = 4,
  parameter int Sfus  = 1,
  parameter int Folds = 0, // 1: with barriers that hold the end of each tile only, and with keys by age
  parameter int KeyBits = 9,
  parameter int XBits = 15  // of a byte's address in the activation memory
) (
  input  wire             clk_i,
  input  wire             rst_i,
  // next instruction
  input  wire             valid_i,
  input  instr_t          ins_i,
  input  wire  [XBits-1:0] xbase_i,  // ins_i.xbase, all of it
  input  wire  [9:0]      pc_i,
  output wire             take_o,
  output wire             idle_o,
  // this bin
  input  wire  [KeyBits-1:0] n_keys_i,
  input  wire  [8:0]      key_tiles_i,
  input  wire  [8:0]      oldest_i,
  // scoreboard
  input  wire  [8*13-1:0] count_i,
  input  wire  [7:0]      begun_i,
  input  wire  [7:0]      done_i,
  input  wire             pend_i,     // an earlier tile still owns the drain
  // element
  output wire             go_o,
  output wire             first_o,
  output wire             last_o,
  output wire  [XBits-1:0] x_o,
  output wire  [19:0]     stat_o,
  output wire             kv_o,
  output wire             grouped_o,
  output wire             xsigned_o,
  output wire             paired_o,
  output wire  [1:0]      split_o,
  output wire             kv_unsigned_o,
  output desc_t           desc_o
);
  localparam int PipeBits = $clog2(Pipes);
  localparam int Stride   = $clog2(Pipes / Sfus);  // bytes from one key's exponentials to the next one's

  instr_t      cur_q;
  logic [9:0]  pc_q;
  logic        active_q, ok_q, fresh_q, late, first_q, last_q, near, near_q, tile_first_q, tile_last_q;
  logic [XBits-1:0] xbase_q, x_q, x_d;  // as if in order: what chaining compares
  logic [19:0] stat_q, tile_q;
  // By age: a tile begins with the oldest key, turns around behind the last slot and ends with the newest one, so only its
  // end waits for the newest value. Exponentials are written in the same order.
  logic [XBits-1:0] at_q, begin_q, from;  // the byte really read, and a tile's first one
  logic [19:0] base_q;                   // a tile's slot 0
  logic [8:0]  key_q, oldest_q, oldest;  // in elements, of 2^split keys each
  logic        aged, turn;
  logic [10:0] left_q, length_q, length, beat;
  logic [KeyBits-1:0] keys_q [4];       // elements for the keys in use, by the split; settled before a bin starts
  logic [8:0]  last_key_q;
  logic [8:0]  tiles_q, tiles;

  logic end_tile, end_pass;
  assign go_o     = active_q && ok_q && !(last_q && pend_i);
  assign end_tile = go_o && last_q;
  assign end_pass = end_tile && tile_last_q;
  assign take_o   = valid_i && (!active_q || end_pass);
  assign idle_o   = !active_q;
  assign length   = ins_i.red_keys ? 11'(keys_q[Folds != 0 ? ins_i.split : 2'd0]) : ins_i.n_red;
  assign oldest   = ins_i.aged ? oldest_i >> ins_i.split : 9'd0;
  assign from     = ins_i.aged ? XBits'(oldest_i) << Stride : '0;
  assign beat     = 11'(Sfus) >> cur_q.split;
  assign aged     = Folds != 0 && cur_q.aged;
  assign turn     = aged && key_q == last_key_q;
  assign tiles    = ins_i.tiles_keys ? key_tiles_i : ins_i.n_tiles;

  // Source readable? The scoreboard is looked at one cycle late, which is only ever too careful. Of both instructions it
  // is read at once: which one counts is known last.
  typedef struct packed {
    logic        done, bar;
    logic [12:0] count;
  } known_t;
  known_t      known_q;
  logic        readable;
  assign late     = Folds != 0 && cur_q.bar_late;
  assign x_d      = !go_o ? x_q : end_tile ? xbase_q : x_q + XBits'(cur_q.xstride);
  assign readable = known_q.done || 13'(x_d >> PipeBits) < known_q.count || !cur_q.src_use;

  function automatic known_t known(input logic [2:0] source, barrier, input logic begun);
    return '{done: done_i[source], bar: done_i[barrier] || (begun && begun_i[barrier]), count: count_i[source*13+:13]};
  endfunction

  // Does the next element belong to those at a tile's end, which wait for a barrier that holds them only?
  always_comb
    if (fresh_q) near = aged ? left_q <= beat : left_q == 11'd1;
    else if (go_o && last_q) near = aged ? length_q <= beat : length_q == 11'd1;
    else if (go_o) near = aged ? left_q <= beat + 11'd1 : left_q == 11'd2;
    else near = near_q;

  always_ff @(posedge clk_i) begin
    for (int s = 0; s < 4; s++) keys_q[s] <= KeyBits'(((KeyBits+1)'(n_keys_i) + (KeyBits+1)'((1 << s) - 1)) >> s);
    last_key_q <= 9'(length_q - 11'd1);
    known_q <= take_o ? known(ins_i.src_tag, ins_i.bar_tag, ins_i.bar_begun)
                      : known(cur_q.src_tag, cur_q.bar_tag, cur_q.bar_begun);
    ok_q    <= !take_o && readable && (known_q.bar || !cur_q.bar_use || (late && !near));
    near_q  <= near;
    if (take_o) begin
      cur_q        <= ins_i;
      pc_q         <= pc_i;
      active_q     <= 1'b1;
      xbase_q      <= xbase_i;
      x_q          <= xbase_i;
      stat_q       <= ins_i.sbase + (Folds != 0 ? 20'(oldest) : 20'd0);
      tile_q       <= ins_i.sbase + (Folds != 0 ? 20'(oldest) : 20'd0);
      base_q       <= ins_i.sbase;
      at_q         <= xbase_i + from;
      begin_q      <= xbase_i + from;
      key_q        <= oldest;
      oldest_q     <= oldest;
      length_q     <= length;
      left_q       <= length;
      tiles_q      <= tiles;
      first_q      <= 1'b1;
      last_q       <= length == 11'd1;
      tile_first_q <= 1'b1;
      tile_last_q  <= tiles == 9'd1;
      fresh_q      <= 1'b1;
    end else if (fresh_q) begin  // no element yet: its length is compared here, not on the way from the dispatch
      fresh_q <= 1'b0;
    end else if (go_o) begin
      x_q     <= x_d;
      first_q <= last_q;
      if (last_q) begin
        stat_q       <= tile_q + 20'(cur_q.sstride);
        tile_q       <= tile_q + 20'(cur_q.sstride);
        base_q       <= base_q + 20'(cur_q.sstride);
        at_q         <= begin_q;
        key_q        <= oldest_q;
        left_q       <= length_q;
        last_q       <= length_q == 11'd1;
        tiles_q      <= tiles_q - 9'd1;
        tile_first_q <= 1'b0;
        tile_last_q  <= tiles_q == 9'd2;
        active_q     <= !tile_last_q;
      end else begin
        stat_q <= turn ? base_q : stat_q + 20'd1;
        at_q   <= turn ? xbase_q : at_q + XBits'(cur_q.xstride);
        key_q  <= turn ? 9'd0 : key_q + 9'd1;
        left_q <= left_q - 11'd1;
        last_q <= left_q == 11'd2;
      end
    end
    if (rst_i) begin
      active_q <= 1'b0;
      ok_q     <= 1'b0;
      fresh_q  <= 1'b0;
    end
  end

  assign first_o   = first_q;
  assign last_o    = last_q;
  assign x_o       = Folds != 0 ? at_q : x_q;
  assign stat_o    = stat_q;
  assign kv_o      = cur_q.kv;
  assign grouped_o = cur_q.grouped;
  assign xsigned_o = cur_q.xsigned;
  assign paired_o  = cur_q.paired;
  assign split_o   = cur_q.split;
  assign kv_unsigned_o = cur_q.kv_unsigned;
  assign desc_o    = '{ins: cur_q, pc: pc_q, tile_first: tile_first_q, tile_last: tile_last_q};
endmodule
`default_nettype wire
