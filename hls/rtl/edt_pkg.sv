// The engine's instruction, configuration and pipeline records. Layout mirrored by edgendt/engine/layout.py.
`default_nettype none
/* verilator lint_off UNUSEDPARAM */  // a package serves every module; none uses all of its names
package edt_pkg;
  localparam int InstrBits = 200;
  localparam int RowsBits = 8;  // above them in a loaded word: rows_t
  localparam int OutW = 18;  // width of a narrowed value inside the pipelines: any 16-bit format, signed or not

  localparam logic [2:0] OpEnd = 3'd0, OpMac = 3'd1, OpNorm = 3'd2, OpExp = 3'd3, OpSync = 3'd4,
                         OpTurn = 3'd5, OpShape = 3'd6, OpShare = 3'd7;
  localparam logic [1:0] ModeNarrow = 2'd0, ModeScore = 2'd1, ModeValue = 2'd2, ModeGather = 2'd3;
  localparam logic [3:0] MemWeight = 4'd0, MemBias = 4'd1, MemPos = 4'd2, MemGamma = 4'd3, MemTable = 4'd4,
                         MemExp = 4'd5, MemProg = 4'd6, MemCfg = 4'd7, MemPair = 4'd8, MemStep = 4'd9,
                         MemCos = 4'd10, MemTime = 4'd11, MemGelu = 4'd12;

  typedef struct packed {
    logic       is_signed;
    logic [3:0] bits;       // bits - 1
  } fmt_t;

  typedef struct packed {
    logic act;
    logic res;
    logic kv;
    logic kcol;
    logic out;
  } dst_t;

  // One pass: all tiles of a Linear, of the scores or of the weighted values; or one SFU op.
  typedef struct packed {
    logic [2:0]  op;
    logic        kv;          // stationary operand from the KV memory instead of the weights
    logic        grouped;     // segments work in head groups, each with its own byte of the activation word
    logic        xsigned;
    logic        red_keys;    // length of the reduction is n_keys instead of n_red
    logic        tiles_keys;  // number of tiles is the key tiles in use instead of n_tiles
    logic        src_use;     // chained: an element is read once the words written under src_tag cover it
    logic [2:0]  src_tag;
    logic        bar_use;     // nothing starts before everything under bar_tag is written
    logic [2:0]  bar_tag;
    logic [2:0]  dst_tag;
    logic        tag_clear;
    logic        tag_fin;
    logic [1:0]  mode;
    dst_t        dst;
    logic        add_res;
    logic        add_pos;
    logic        stats;
    fmt_t        y1;
    fmt_t        y2;
    logic [19:0] sbase;
    logic [10:0] sstride;
    logic [10:0] n_red;
    logic [8:0]  n_tiles;
    logic [14:0] xbase;
    logic [5:0]  xstride;
    logic [8:0]  steps;       // drain steps of the last tile
    logic [8:0]  words;       // words of each group that are kept in the last tile
    logic [12:0] bias_base;
    logic [12:0] dst_base;
    logic [12:0] add_base;
    logic [17:0] kv_base;     // of scores: how far a row sees back and ahead, 9 bits each, and itself; 0 for all
    logic [4:0]  last_mask;   // outputs in the last word, for the statistics
    logic        paired;      // two 4-bit weights per word: a tile has twice the outputs, first all low ones
    logic [1:0]  split;       // log2 of the groups of segments that share a reduction, each its own inputs or keys
    logic        bar_late;    // the barrier holds the last element of each tile instead of the first
    logic        aged;        // keys from the oldest to the newest: exponentials, weighted values
    logic        bar_begun;   // the barrier falls when the key's column is begun: scores read it as it is written
    logic        kv_unsigned; // bytes of the KV memory are not signed: weights between channels
  } instr_t;

  // What the sequencer does itself in an engine for whole windows: it repeats a phase for every bin, and adds the bin's
  // row to the addresses of codes that are kept for every bin of a window.
  typedef struct packed {
    logic [1:0] xtop;  // of xbase, in front of its 15 bits: an activation memory of more than 2^15 bytes
    logic loop;        // END of a phase: it is repeated for the window's next bin, or behind the last one the next follows
    logic pause_each;  // and waits for a start before that bin
    logic pause_last;  // and before that phase
    logic x;           // kept: what is read as activation
    logic dst;         // what is written
    logic add;         // what is read from the residual memory
  } rows_t;

  typedef struct packed {
    logic [7:0]  count_max;
    logic [15:0] max_bins;
    logic [8:0]  window;
    logic [3:0]  gshift;       // log2(segments per head group)
    logic [3:0]  groups;       // head groups working at once
    logic [8:0]  group_words;  // accumulator words per group
    logic [8:0]  key_words;    // of those, words that hold keys
    logic [9:0]  head_dim;
    logic [3:0]  head_sets;    // heads / groups
    logic [3:0]  heads;
    logic [8:0]  key_tiles;
    logic [17:0] set_stride;   // KV words between head sets
    logic [12:0] pos_stride;
    logic [10:0] group_segs;   // segments per head group
    logic [1:0]  value_split;  // log2 of the groups of segments that share the keys of the weighted values
    logic [10:0] value_rows;   // keys of such a group
  } cfg_t;

  // What the drain needs to know of a pass, taken when its last element is issued.
  typedef struct packed {
    instr_t     ins;
    logic [9:0] pc;
    logic       tile_first;
    logic       tile_last;
  } desc_t;

  // One accumulator word on its way through the narrowing pipes.
  typedef struct packed {
    logic        valid;
    dst_t        dst;
    logic        add_res;
    logic        add_pos;
    logic        stats;
    logic        first;
    logic        last;
    fmt_t        y1;
    fmt_t        y2;
    logic [12:0] dst_addr;
    logic [12:0] add_addr;
    logic [17:0] kv_addr;
    logic [17:0] kv_base;
    logic [8:0]  flat;
    logic [12:0] row;
    logic [1:0]  split;
    logic        gather;     // one code of the residual word: the one at `pick` goes to `put`
    logic [3:0]  pick;
    logic [3:0]  put;
    logic [2:0]  tag;
    logic        fin;
    logic [4:0]  last_mask;
    logic [9:0]  pc;
  } nctl_t;

  // One beat of the special-function units.
  localparam logic [1:0] SfuNorm = 2'd0, SfuExp = 2'd1, SfuValue = 2'd2, SfuTurn = 2'd3;
  typedef struct packed {
    logic        valid;
    logic [1:0]  op;
    logic [2:0]  group;
    logic [4:0]  sub;        // which N elements of the word
    logic [4:0]  count;      // exponentials: elements that are keys (0..N)
    logic [12:0] dst_addr;
    logic [12:0] gb_addr;
    logic [2:0]  tag;
    logic        word_end;   // last beat of a destination word
    logic        fin;
    logic        res;        // written as residual words, or as rows of the KV memory: windows of tokens
    logic        kv;
    fmt_t        y;
    logic [9:0]  pc;
  } sctl_t;

  function automatic logic signed [OutW-1:0] fmt_hi(input fmt_t f);
    return f.is_signed ? (OutW'(1) <<< f.bits) - OutW'(1) : (OutW'(2) <<< f.bits) - OutW'(1);
  endfunction
  function automatic logic signed [OutW-1:0] fmt_lo(input fmt_t f);
    return f.is_signed ? -(OutW'(1) <<< f.bits) : '0;
  endfunction
endpackage
/* verilator lint_on UNUSEDPARAM */
`default_nettype wire
