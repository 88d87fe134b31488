// The core of the smallest parts: the images of edt_core for 1 x 4 lanes, two pipes and one unit, on one multiplier, one
// accumulator that is also the shift register, and one saturation, one output after the other.
// Reference: edgendt/program.py; cycles: edgendt/engine/serial.py; instruction and memory map: docs/engine.md.
`default_nettype none
module edt_serial
  import edt_pkg::*;
#(
  /* verilator lint_off UNUSEDPARAM */  // one array only: the others are refused in edgendt/engine/config.py
  parameter int Segments   = 1,
  parameter int Lanes      = 4,
  parameter int Pipes      = 2,
  parameter int Sfus       = 1,
  parameter int Packed     = 0,
  parameter int Splits     = 1,
  /* verilator lint_on UNUSEDPARAM */
  parameter int AccBits    = 24,
  parameter int WgtDepth   = 16384,  // words of four weights
  parameter int KvDepth    = 8192,   // words of four bytes
  parameter int PosDepth   = 8192,   // words of two from here on; behind keys and values, in the same memory
  parameter int BiasDepth  = 128,
  parameter int ActDepth   = 256,
  parameter int ResDepth   = 128,
  parameter int ScoreDepth = 128,
  parameter int GammaDepth = 256,    // channels
  parameter int ProgDepth  = 32
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
  output logic        done_o,
  output wire         refuse_o,
  input  wire  [7:0]  out_addr_i,
  output wire  [15:0] out_data_o,
  output logic [31:0] cycles_o,
  output logic [15:0] bin_o
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
  localparam int WAddr = $clog2(WgtDepth), KAddr = $clog2(KvDepth), IAddr = $clog2(ProgDepth);
  localparam int BAddr = $clog2(BiasDepth) + 1, AAddr = $clog2(ActDepth) + 1, RAddr = $clog2(ResDepth) + 1;
  localparam int MAddr = $clog2(KvDepth + PosDepth), SAddr = $clog2(ScoreDepth) + 1, GAddr = $clog2(GammaDepth);
  localparam int StatAddr = WAddr > KAddr ? WAddr : KAddr;
  localparam int SumBits = 52;   // 28 x 16 bits, or the variance; two guard bits
  localparam int TopBit = 49;    // where the leading bit is brought to

  // One state per step. Form: a product of two operands is registered; Wait: the last one is still being added.
  typedef enum logic [4:0] {
    Idle, Fetch, Decode, Begin, Mac, TailA, TailB, TailC, Keep, Scale, ScaleWait, Round, Inc, Sat, AddA, AddB, AddWait,
    SatSum, Write, Var, Lead, TableA, TableB, First, Second, SecondWait, Third, ThirdWait, GainA, GainB, GainWait, Look
  } state_e;
  state_e state_q;

  // ---- configuration and the bin's registers ----
  logic [7:0]       max_count_q;
  logic [15:0]      max_bins_q;
  logic [8:0]       window_q, head_dim_q, n_keys_q, slot_q;
  logic [3:0]       heads_q;
  logic [KAddr-1:0] stride_q, slot_off_q;
  logic [MAddr-1:0] pos_stride_q, pos_off_q;
  always_ff @(posedge clk_i)
    if (load_en_i && load_mem_i == MemCfg)
      case (load_addr_i[3:0])
        4'd0:    max_count_q  <= load_data_i[7:0];
        4'd1:    max_bins_q   <= load_data_i[15:0];
        4'd2:    window_q     <= load_data_i[8:0];
        4'd7:    head_dim_q   <= load_data_i[8:0];
        4'd9:    heads_q      <= load_data_i[3:0];
        4'd11:   stride_q     <= load_data_i[KAddr-1:0];
        4'd12:   pos_stride_q <= load_data_i[MAddr-1:0];
        default: max_count_q  <= max_count_q;  // the rest follows from one group of four lanes
      endcase

  // ---- microprogram ----
  logic [IAddr-1:0] pc_q;
  logic [5:0]       step_q;    // within a state that takes several cycles
  logic [35:0]      chunk;
  logic [215:0]     word_q;
  instr_t           ins;
  edt_mem #(.Width(36), .Depth(8 * ProgDepth)) i_prog (
    .clk_i, .we_i(load_en_i && load_mem_i == MemProg), .waddr_i(load_addr_i[IAddr+2:0]), .wdata_i(load_data_i[35:0]),
    .raddr_i({pc_q, step_q[2:0]}), .rdata_o(chunk));
  always_ff @(posedge clk_i)
    for (int c = 0; c < 6; c++) if (state_q == Fetch && step_q[2:0] == 3'(c + 1)) word_q[c*36+:36] <= chunk;
  assign ins = word_q[InstrBits-1:0];

  logic is_mac, is_norm, is_score, is_value, added, keyed;
  assign is_mac   = ins.op == OpMac;
  assign is_norm  = ins.op == OpNorm;
  assign is_score = ins.mode == ModeScore;
  assign is_value = ins.mode == ModeValue;
  assign added    = ins.add_res || ins.add_pos;
  assign keyed    = is_mac ? is_score : !is_norm;  // one result per key in use

  // ---- where we are ----
  logic [9:0]          out_q;    // result within the instruction
  logic [1:0]          lane;
  logic [8:0]          tile_left_q;
  logic [10:0]         left_q;   // elements of this result
  logic [AAddr-1:0]    x_q;
  logic [StatAddr-1:0] stat_q, tile_q;
  logic [KAddr-1:0]    row_q, column_q;
  logic [3:0]          head_q;
  logic                last, turn, second_q;
  assign lane = out_q[1:0];
  assign turn = lane == 2'd3;
  assign last = keyed ? out_q == 10'(n_keys_q) - 10'd1 : is_norm ? out_q == 10'(ins.n_red) - 10'd1
                : tile_left_q == 9'd1 && lane == {ins.words[1], 1'b1};

  // ---- memories ----
  logic                 write, fin, beyond;
  logic signed [17:0]   y_q;
  logic [7:0]           x;
  logic [31:0]          weights, cached;
  logic [33:0]          bias;
  logic [15:0]          res, pos, entry;
  logic [MAddr-1:0]     cache_addr;
  logic                 load_pos;
  logic [31:0]          gain;
  logic [14:0]          table_word;
  logic [AccBits-1:0]   score;
  logic [9:0]           first_word;  // where results go: words of two
  logic [AAddr-1:0]     act_addr;
  logic [3:0]           kv_we;
  logic [SumBits-1:0]   sum_q;
  logic [10:0]          table_addr, load_table;
  assign write      = state_q == Write;
  assign first_word = 10'(ins.dst_base);
  assign act_addr   = is_mac || is_norm ? AAddr'({first_word, 1'b0}) + AAddr'(out_q)
                      : AAddr'({first_word + out_q, 1'b0});  // an exponential begins a word
  // A key of an odd size ends in half a word, whose other half would fall on another key.
  assign beyond     = last && lane[0] && heads_q[0] && head_dim_q[0];
  assign kv_we      = !write || !is_mac ? 4'd0 : ins.dst.kv ? 4'd1 << lane
                      : ins.dst.kcol && !beyond ? 4'd1 << slot_q[1:0] : 4'd0;
  edt_mem #(.Width(8), .Depth(2 * ActDepth)) i_act (
    .clk_i,
    .we_i   (count_en_i || (write && (!is_mac || ins.dst.act))),
    .waddr_i(count_en_i ? AAddr'(count_addr_i) : act_addr),
    .wdata_i(count_en_i ? (count_data_i > max_count_q ? max_count_q : count_data_i) : y_q[7:0]),
    .raddr_i(x_q), .rdata_o(x));
  edt_spram #(.Depth(WgtDepth)) i_weight (
    .clk_i, .en_i(1'b1), .we_i({4{load_en_i && load_mem_i == MemWeight && (load_addr_i >> WAddr) == '0}}),
    .addr_i(load_en_i ? load_addr_i[WAddr-1:0] : stat_q[WAddr-1:0]),
    .wdata_i(load_data_i[31:0]), .rdata_o(weights));
  assign load_pos = load_en_i && load_mem_i == MemPos;
  assign pos      = out_q[0] ? cached[31:16] : cached[15:0];
  always_comb begin
    if (load_pos) cache_addr = MAddr'(KvDepth) + MAddr'(load_addr_i >> 1);
    else if (state_q == AddA) cache_addr = MAddr'(KvDepth) + MAddr'(ins.add_base) + pos_off_q + MAddr'(out_q >> 1);
    else if (write) cache_addr = MAddr'(ins.dst.kv ? row_q : column_q);
    else cache_addr = MAddr'(stat_q[KAddr-1:0]);
  end
  edt_spram #(.Depth(KvDepth + PosDepth)) i_cache (
    .clk_i, .en_i(1'b1), .we_i(load_pos ? {{2{load_addr_i[0]}}, {2{!load_addr_i[0]}}} : kv_we), .addr_i(cache_addr),
    .wdata_i(load_pos ? {2{load_data_i[15:0]}} : {4{y_q[7:0]}}), .rdata_o(cached));
  edt_mem #(.Width(34), .Depth(2 * BiasDepth)) i_bias (
    .clk_i, .we_i(load_en_i && load_mem_i == MemBias), .waddr_i(load_addr_i[BAddr-1:0]), .wdata_i(load_data_i[33:0]),
    .raddr_i(BAddr'({ins.bias_base, 1'b0}) + BAddr'(out_q)), .rdata_o(bias));
  edt_mem #(.Width(16), .Depth(2 * ResDepth)) i_res (
    .clk_i, .we_i(write && is_mac && ins.dst.res), .waddr_i(RAddr'({first_word, 1'b0}) + RAddr'(out_q)),
    .wdata_i(y_q[15:0]), .raddr_i(RAddr'({ins.add_base, 1'b0}) + RAddr'(out_q)), .rdata_o(res));
  edt_mem #(.Width(AccBits), .Depth(2 * ScoreDepth)) i_score (
    .clk_i, .we_i(state_q == Keep), .waddr_i(out_q[SAddr-1:0]), .wdata_i(sum_q[AccBits-1:0]),
    .raddr_i(out_q[SAddr-1:0]), .rdata_o(score));
  edt_mem #(.Width(16), .Depth(256)) i_out (
    .clk_i, .we_i(write && is_mac && ins.dst.out), .waddr_i(8'({first_word, 1'b0}) + 8'(out_q)), .wdata_i(y_q[15:0]),
    .raddr_i(out_addr_i), .rdata_o(out_data_o));
  edt_mem #(.Width(32), .Depth(GammaDepth)) i_gain (
    .clk_i, .we_i(load_en_i && load_mem_i == MemGamma), .waddr_i(load_addr_i[GAddr-1:0]), .wdata_i(load_data_i[31:0]),
    .raddr_i(GAddr'(ins.bias_base) + GAddr'(out_q)), .rdata_o(gain));
  edt_mem #(.Width(16), .Depth(256)) i_exp (
    .clk_i, .we_i(load_en_i && load_mem_i == MemExp), .waddr_i(load_addr_i[7:0]), .wdata_i(load_data_i[15:0]),
    .raddr_i(sum_q[7:0]), .rdata_o(entry));

  // Of the reciprocal tables only what is addressed: roots 256..1023, and reciprocals 512..1023 in the places that are left.
  function automatic logic [10:0] folded(input logic [10:0] at);
    return !at[10] ? {1'b0, at[9:0]} : {at[8], 2'b00, at[7:0]};
  endfunction
  assign load_table = load_addr_i[10:0];
  assign table_addr = folded({!is_norm, sum_q[TopBit-:10]});
  edt_mem #(.Width(15), .Depth(1280)) i_table (
    .clk_i, .we_i(load_en_i && load_mem_i == MemTable && (load_table[10] ? load_table[9] : load_table[9:8] != '0)),
    .waddr_i(folded(load_table)), .wdata_i(load_data_i[14:0]), .raddr_i(table_addr), .rdata_o(table_word));

  // ---- operands of the multiplier ----
  logic signed [24:0]  s1_q;
  logic        [38:0]  s2_q;
  logic        [15:0]  den_q;
  logic        [14:0]  factor_q;
  logic signed [AccBits-1:0] most_q;
  logic signed [27:0]  a;
  logic signed [15:0]  b;
  logic                form, minus, up16;  // a product, to be subtracted, 16 places up
  logic signed [43:0]  p_q;
  logic                have_q, acc_q, minus_q, up16_q, square_q;
  logic        [7:0]   stat;
  assign stat = 8'((ins.kv ? cached : weights) >> {lane, 3'b000});
  always_comb begin
    a     = 28'($signed(stat));
    b     = 16'($signed({ins.xsigned & x[7], x}));
    form  = 1'b0;
    minus = 1'b0;
    up16  = 1'b0;
    case (state_q)
      Mac, TailA: begin
        form = have_q;
        up16 = !is_score && !is_value;
      end
      TailB: begin
        {a, b} = {28'($signed(bias[27:0])), 16'd1};
        form   = !is_score && !is_value;
        up16   = 1'b1;
      end
      Scale, Third: begin
        {a, b} = {sum_q[27:0], 1'b0, is_mac || is_norm ? factor_q : ins.sbase[14:0]};
        form   = 1'b1;
      end
      AddA: begin
        {a, b} = {28'(y_q), 16'd1};
        form   = 1'b1;
      end
      AddB: begin
        {a, b} = {28'($signed(ins.add_res ? res : pos)), 16'd1};
        form   = 1'b1;
      end
      Write: {a, b} = {28'($signed(y_q[15:0])), y_q[15:0]};
      Var: begin
        form = step_q[2:0] != 3'd6;
        case (step_q[2:0])
          3'd0:    {a, b} = {12'd0, s2_q[15:0], 16'(ins.n_red)};
          3'd1:    {a, b, up16} = {5'd0, s2_q[38:16], 16'(ins.n_red), 1'b1};
          3'd2:    {a, b} = {8'd0, ins.sbase, 16'd1};
          3'd3:    {a, b, up16} = {10'd0, ins.kv_base, 16'd16, 1'b1};
          3'd4:    {a, b, minus} = {28'(s1_q), s1_q[15:0], 1'b1};
          default: {a, b, minus, up16} = {28'(s1_q), 16'($signed(s1_q[24:16])) + 16'(s1_q[15]), 1'b1, 1'b1};
        endcase
        if (!is_norm) {a, b, up16, minus} = {12'd0, den_q, 16'd1, 1'b0, 1'b0};
      end
      First: begin
        {a, b} = is_norm ? {28'($signed(res)), 16'(ins.n_red)} : {28'(most_q), 16'd1};
        form   = 1'b1;
      end
      Second: begin
        {a, b} = {is_norm ? 28'(s1_q) : 28'($signed(score)), 16'd1};
        {form, minus} = 2'b11;
      end
      GainA: begin
        {a, b} = is_norm ? {28'(y_q), 16'($signed(gain[31:24]))} : {12'd0, entry, 16'd1};
        form   = 1'b1;
      end
      GainB: begin
        {a, b} = {28'($signed(gain[23:0])), 16'd1};
        form   = is_norm;
      end
      default: form = 1'b0;
    endcase
  end

  // ---- the sum: adds products, shifts right by 16, 4 or 1 (dropped bits are remembered) or left by 1 ----
  logic [SumBits-1:0] term;
  logic [5:0]         shift_q, shift, length_q;
  logic               half_q, rest_q, clear, up, move, found;
  logic [1:0]         digit;
  assign term  = (acc_q ? (up16_q ? SumBits'(p_q) << 16 : SumBits'(p_q)) : '0) ^ {SumBits{minus_q}};
  assign clear = state_q == Begin || (state_q == Decode && !is_mac) || state_q == Scale || state_q == Third
                 || state_q == Sat || state_q == Look;
  assign up    = half_q && (rest_q || sum_q[0]);
  assign digit = step_q[3:2] == 2'd0 ? shift_q[5:4] : step_q[3:2] == 2'd1 ? shift_q[3:2] : shift_q[1:0];
  assign move  = digit > step_q[1:0];
  assign found = sum_q[TopBit] || (is_norm && !length_q[0] && sum_q[TopBit-1]) || length_q == '0;
  always_ff @(posedge clk_i) begin
    p_q      <= a * b;
    have_q   <= state_q == Mac;
    acc_q    <= form;
    minus_q  <= minus;
    up16_q   <= up16;
    square_q <= write && is_mac && ins.stats;  // half a word beyond the last channel is zero
    if (clear) sum_q <= '0;
    else if (state_q == Round) begin
      if (move)
        case (step_q[3:2])
          2'd0: begin
            sum_q  <= SumBits'($signed(sum_q) >>> 16);
            half_q <= sum_q[15];
            rest_q <= rest_q || half_q || sum_q[14:0] != '0;
          end
          2'd1: begin
            sum_q  <= SumBits'($signed(sum_q) >>> 4);
            half_q <= sum_q[3];
            rest_q <= rest_q || half_q || sum_q[2:0] != '0;
          end
          default: begin
            sum_q  <= SumBits'($signed(sum_q) >>> 1);
            half_q <= sum_q[0];
            rest_q <= rest_q || half_q;
          end
        endcase
    end else if (state_q == Lead) begin
      if (!found) sum_q <= sum_q << 1;
    end else sum_q <= sum_q + term + SumBits'(minus_q || (state_q == Inc && up));
    if (state_q != Round) begin
      if (state_q != Inc) {half_q, rest_q} <= '0;
      shift_q <= shift;
    end
    if (state_q == TableB) length_q <= 6'd50;
    else if (state_q == Lead && !found) length_q <= length_q - 6'd1;
    if (state_q == Decode && !is_mac) length_q <= 6'd50;
  end

  // By how much the coming rounding shifts.
  logic [5:0] root_q, e_shift_q;
  logic       zero_q;
  always_comb begin
    if (is_mac) shift = is_value ? ins.add_base[5:0] + root_q : bias[33:28];
    else if (is_norm) shift = second_q ? ins.xstride : root_q;
    else shift = second_q ? e_shift_q : ins.xstride;
  end

  // ---- saturation ----
  fmt_t        form_y;
  logic [4:0]  keep;
  logic [17:0] above, fitted;
  logic        neg, low;
  always_comb begin
    form_y = state_q == SatSum ? ins.y2 : ins.y1;
    if (!is_mac && !is_norm) form_y = '{is_signed: 1'b0, bits: 4'd7};
    keep = 5'(form_y.bits) + 5'(!form_y.is_signed);
    low  = form_y.is_signed;
    if (is_norm && !second_q) {keep, low} = {5'd17, 1'b1};
    above  = 18'h3ffff << keep;
    neg    = sum_q[SumBits-1];
    fitted = sum_q[17:0];
    if (neg && !low) fitted = '0;
    else if (neg && !(&{sum_q[SumBits-1:18], sum_q[17:0] | ~above})) fitted = above;
    else if (!neg && |{sum_q[SumBits-1:18], sum_q[17:0] & above}) fitted = ~above;
  end

  // ---- control ----
  logic [31:0] count_q;
  assign busy_o   = state_q != Idle;
  assign refuse_o = max_bins_q != '0 && bin_o >= max_bins_q;  // 0: no bin is the last
  assign fin      = state_q == Decode && ins.op == OpEnd;
  always_ff @(posedge clk_i) begin
    done_o  <= fin;
    count_q <= count_q + 32'd1;
    step_q  <= '0;
    case (state_q)
      Idle: if (start_i && !refuse_o) begin
        state_q <= Fetch;
        pc_q    <= '0;
        count_q <= 32'd1;
      end
      Fetch: begin
        step_q <= step_q + 6'd1;
        if (step_q[2:0] == 3'd6) begin
          state_q <= Decode;
          step_q  <= '0;
        end
      end
      Decode: begin
        out_q       <= '0;
        second_q    <= 1'b0;
        head_q      <= '0;
        tile_left_q <= ins.n_tiles;
        tile_q      <= StatAddr'(ins.sbase);
        stat_q      <= StatAddr'(ins.sbase);
        row_q       <= KAddr'(ins.kv_base) + (ins.dst.kv ? KAddr'(slot_q) : slot_off_q);
        column_q    <= KAddr'(ins.kv_base) + slot_off_q;
        if (is_mac) state_q <= Begin;
        else if (is_norm) state_q <= Var;
        else if (ins.op == OpExp) state_q <= Begin;
        else state_q <= Fetch;
        if (!is_mac && !is_norm && ins.op != OpExp) pc_q <= pc_q + 1'b1;
        if (is_mac && is_score) most_q <= {1'b1, {(AccBits - 1) {1'b0}}};
        if (is_mac && ins.stats) {s1_q, s2_q} <= '0;
        if (ins.op == OpExp) den_q <= '0;
        if (fin) begin
          state_q  <= Idle;
          cycles_o <= count_q + 32'd1;
        end
      end
      Begin: begin
        x_q     <= AAddr'(ins.xbase);
        stat_q  <= tile_q;
        left_q  <= ins.red_keys ? 11'(n_keys_q) : ins.n_red;
        state_q <= is_mac ? Mac : First;
      end
      Mac: begin
        x_q    <= x_q + AAddr'(ins.xstride);
        stat_q <= stat_q + 1'b1;
        left_q <= left_q - 11'd1;
        if (left_q == 11'd1) state_q <= TailA;
      end
      TailA: state_q <= TailB;
      TailB: state_q <= TailC;
      TailC: state_q <= is_score ? Keep : is_value ? Scale : Round;
      Scale: state_q <= ScaleWait;
      ScaleWait: state_q <= Round;
      Round: begin
        step_q <= step_q[1:0] == 2'd2 ? step_q + 6'd2 : step_q + 6'd1;  // three times sixteen, four, one
        if (step_q[3:0] == 4'd10) begin
          step_q  <= '0;
          state_q <= !is_mac && !is_norm && !second_q ? Look : Inc;
        end
      end
      Inc: state_q <= Sat;
      Sat: begin
        y_q     <= !is_mac && !is_norm && zero_q ? '0 : fitted;
        state_q <= is_norm && !second_q ? GainA : is_mac && !is_value && added ? AddA : Write;
      end
      AddA: state_q <= AddB;
      AddB: state_q <= AddWait;
      AddWait: state_q <= SatSum;
      SatSum: begin
        y_q     <= fitted;
        state_q <= Write;
      end
      Look: begin
        e_shift_q <= 6'd8 + 6'(sum_q[11:8]);
        zero_q    <= sum_q[SumBits-1:12] != '0;
        second_q  <= 1'b1;
        state_q   <= GainA;
      end
      GainA: begin
        second_q <= 1'b1;
        state_q  <= is_norm ? GainB : GainWait;
      end
      GainB: state_q <= GainWait;
      GainWait: state_q <= Round;
      Keep, Write: begin
        second_q <= 1'b0;
        out_q    <= out_q + 10'd1;
        if (turn) begin
          tile_left_q <= tile_left_q - 9'd1;
          tile_q      <= tile_q + StatAddr'(ins.sstride);
          if (ins.dst.kv) row_q <= row_q + KAddr'(window_q);
        end
        if (ins.dst.kcol) begin
          head_q   <= head_q + 4'd1;
          column_q <= column_q + stride_q;
          if (head_q == heads_q - 4'd1) begin
            head_q   <= '0;
            row_q    <= row_q + 1'b1;
            column_q <= row_q + 1'b1;
          end
        end
        if (state_q == Keep && $signed(sum_q[AccBits-1:0]) > most_q) most_q <= sum_q[AccBits-1:0];
        if (write && !is_mac && !is_norm) den_q <= den_q + 16'(y_q[7:0]);
        state_q <= Begin;
        if (last) begin
          state_q <= !is_mac && !is_norm ? Var : Fetch;
          if (is_mac || is_norm) pc_q <= pc_q + 1'b1;
        end
      end
      Var: begin
        step_q <= step_q + 6'd1;
        if (step_q[2:0] == (is_norm ? 3'd6 : 3'd1)) begin
          step_q  <= '0;
          state_q <= Lead;
        end
      end
      Lead: begin
        step_q <= step_q + 6'd1;
        if (step_q == 6'd49) state_q <= TableA;
      end
      TableA: state_q <= TableB;
      TableB: begin
        factor_q <= is_norm || sum_q[TopBit] ? table_word : '0;
        root_q   <= is_norm ? 6'd2 + 6'(length_q[5:1]) : length_q;
        state_q  <= is_norm ? Begin : Fetch;
        if (!is_norm) pc_q <= pc_q + 1'b1;
      end
      First: state_q <= Second;
      Second: state_q <= SecondWait;
      SecondWait: state_q <= Third;
      Third: state_q <= ThirdWait;
      ThirdWait: state_q <= Round;
      default: state_q <= Idle;
    endcase
    if (square_q) s2_q <= s2_q + 39'(p_q[31:0]);
    if (square_q) s1_q <= s1_q + 25'($signed(y_q[15:0]));

    // The next bin's registers.
    if (fin) begin
      bin_o     <= bin_o + 16'd1;
      pos_off_q <= pos_off_q + pos_stride_q;
      if (n_keys_q != window_q) n_keys_q <= n_keys_q + 9'd1;
      slot_q <= slot_q + 9'd1;
      if (slot_q[1:0] == 2'd3) slot_off_q <= slot_off_q + KAddr'(head_dim_q);
      if (slot_q == window_q - 9'd1) begin
        slot_q     <= '0;
        slot_off_q <= '0;
      end
    end
    if (rst_i || trial_reset_i) begin
      bin_o      <= '0;
      pos_off_q  <= '0;
      n_keys_q   <= 9'd1;
      slot_q     <= '0;
      slot_off_q <= '0;
    end
    if (rst_i) begin
      state_q  <= Idle;
      done_o   <= 1'b0;
      cycles_o <= '0;
    end
  end

`ifdef EDT_TAP
  logic [17:0] even_q;  // a word of two is shown with its second code
  always_ff @(posedge clk_i) if (write && !out_q[0]) even_q <= y_q;
  assign tap_narrow_o      = write && is_mac && !is_value && out_q[0];
  assign tap_narrow_pc_o   = 10'(pc_q);
  assign tap_narrow_addr_o = (ins.dst.kv || ins.dst.kcol ? 13'd0 : ins.dst_base) + 13'(out_q[9:1]);
  assign tap_narrow_data_o = {y_q, even_q};
  assign tap_sfu_o         = write && (is_norm || (is_mac && is_value)) ? 2'd1 << act_addr[0] : 2'd0;
  assign tap_sfu_pc_o      = 10'(pc_q);
  assign tap_sfu_addr_o    = ins.dst_base + 13'(out_q[9:1]);
  assign tap_sfu_data_o    = {2{y_q[7:0]}};

  // What whoever drives the core promises: nothing in it is ready to begin a trial while a bin runs.
  always_ff @(posedge clk_i) if (!rst_i) assert (!(trial_reset_i && busy_o)) else $error("a trial is reset while a bin runs");
`endif
  wire unused = &{1'b0, word_q, ins, load_addr_i, load_data_i, y_q, table_addr};
endmodule
`default_nettype wire
