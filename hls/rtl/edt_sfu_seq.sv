// Runs LayerNorm, exponential and rotary instructions on the special-function units: one beat of N elements per cycle.
// LayerNorm: statistics complete in cycle 0 -> first beat in cycle 10. Exponentials: scores complete -> next cycle.
// Shares: exponentials complete and reciprocals known -> next cycle.
// Rotary: source complete and angles there -> the cycle after the next one, when the last word can be read.
`default_nettype none
module edt_sfu_seq
  import edt_pkg::*;
#(
  parameter int Pipes = 4,
  parameter int Sfus  = 1,
  parameter int Folds = 0,  // 1: with keys by age
  parameter int Rotary = 0, // 1: with rotary position
  parameter int Windows = 0, // 1: with weights between channels
  parameter int Tokens = 0, // 1: angles repeat head by head; GEGLU; results to other memories
  parameter int KeyBits = 9
) (
  input  wire          clk_i,
  input  wire          rst_i,
  input  wire  cfg_t   cfg_i,
  input  wire          valid_i,
  input  wire  instr_t ins_i,
  input  wire  [9:0]   pc_i,
  output wire          take_o,
  output wire          idle_o,
  input  wire  [KeyBits-1:0] n_keys_i,
  input  wire  [8:0]   oldest_i,
  input  wire  [7:0]   done_i,
  input  wire          stats_ok_i,
  input  wire          angles_ok_i,
  input  wire          recip_ok_i,
  input  wire          value_busy_i,
  output wire          stats_start_o,
  output wire          exp_clear_o,
  output wire  instr_t ins_o,
  output wire          running_o,
  output wire  [12:0]  read_addr_o,   // residual, score or exponential word of this beat
  output sctl_t        beat_o
);
  localparam int Subs     = Pipes / Sfus;
  localparam int Half     = Subs > 1 ? Subs / 2 : 1;
  localparam int SubBits  = $clog2(Subs);
  localparam int BeatBits = $clog2(Sfus);
  typedef enum logic [2:0] {Idle, Wait, Calc, Run, Flush} state_t;
  localparam int Stages = 20;  // the units look at the instruction until its last beat is through

  state_t      state_q;
  instr_t      ins_q;
  logic [9:0]  pc_q;
  logic [4:0]  calc_q;
  logic [4:0]  sub_q;
  logic [2:0]  group_q;
  logic [8:0]  word_q, last_word_q;  // key word within the tile, the last one's
  logic [12:0] read_q, first_q, dst_q, gb_q;
  logic [13:0] left_q;               // elements (keys per group) still to do
  logic [8:0]  angles_q;             // beats left of the head: behind it the angles begin anew
  logic        is_gate, half;        // of a word of pairs every second beat's place is the next word's
  logic        is_exp, is_turn, is_share, written, ready, last_sub, last, turn;
  logic        one_group_q, last_group_q, last_beats_q;  // of a beat, and not more elements than it takes: a beat ahead
  logic        turn_q;               // the next beat is behind the last slot: compared a beat ahead
  logic [8:0]  key_q, oldest;        // first key of the beat; by age it turns around behind the last slot

  assign is_exp     = ins_q.op == OpExp;
  assign is_turn    = Rotary != 0 && ins_q.op == OpTurn;
  assign is_share   = Windows != 0 && ins_q.op == OpShare;
  assign is_gate    = Tokens != 0 && is_turn && ins_q.grouped;
  assign half       = is_gate && 5'(sub_q % 5'(Half)) == 5'(Half - 1);
  assign ready      = !value_busy_i && (is_share ? written && recip_ok_i
                      : is_exp || is_turn ? written && (is_exp || angles_ok_i || is_gate) : stats_ok_i);
  assign written    = done_i[ins_q.src_tag] || (is_turn && !ins_q.src_use);
  assign last_sub   = sub_q == 5'(Subs - 1);
  assign oldest     = Folds != 0 && ins_i.op == OpExp && ins_i.aged ? oldest_i : 9'd0;
  assign turn       = Folds != 0 && is_exp && ins_q.aged && turn_q;
  assign last       = last_beats_q && last_group_q;

  assign take_o        = valid_i && state_q == Idle;
  assign idle_o        = state_q == Idle;
  assign ins_o         = ins_q;
  assign running_o     = state_q == Run || state_q == Calc;
  assign stats_start_o = state_q == Wait && ready && !is_exp && !is_turn && !is_share;
  assign exp_clear_o   = state_q == Wait && ready && is_exp;
  assign read_addr_o   = read_q;

  always_ff @(posedge clk_i) begin
    one_group_q <= cfg_i.groups == 4'd1;
    last_word_q <= cfg_i.key_words - 9'd1;
    unique case (state_q)
      Idle: if (take_o) begin
        state_q <= Wait;
        ins_q   <= ins_i;
        pc_q    <= pc_i;
        sub_q   <= 5'((oldest >> BeatBits) & 9'(Subs - 1));
        group_q <= '0;
        key_q   <= oldest;
        word_q  <= oldest >> (BeatBits + SubBits);
        read_q  <= ins_i.add_base + 13'(oldest >> (BeatBits + SubBits));
        first_q <= ins_i.add_base + 13'(oldest >> (BeatBits + SubBits));
        dst_q   <= ins_i.dst_base + 13'(oldest >> BeatBits);
        gb_q    <= ins_i.bias_base;
        left_q  <= ins_i.op == OpExp ? 14'(n_keys_i) : 14'(ins_i.n_red);
        calc_q  <= 5'd8;
        angles_q <= ins_i.words;
      end
      Wait: begin
        turn_q       <= KeyBits'(key_q) + KeyBits'(Sfus) >= n_keys_i;
        last_group_q <= !(is_exp || is_share) || one_group_q;
        last_beats_q <= left_q <= 14'(Sfus);
        if (ready) begin
          state_q <= is_exp || is_share ? Run : Calc;
          if (is_turn) calc_q <= '0;
        end
      end
      Calc: begin
        calc_q <= calc_q - 5'd1;
        if (calc_q == 5'd0) state_q <= Run;
      end
      Run: begin
        if (last_group_q) begin
          group_q      <= '0;
          last_group_q <= !(is_exp || is_share) || one_group_q;
          last_beats_q <= left_q <= 14'(2 * Sfus);
          left_q       <= left_q - 14'(Sfus);
          gb_q    <= gb_q + 13'd1;
          if (Tokens != 0) begin
            angles_q <= angles_q - 9'd1;
            if (angles_q == 9'd1) begin
              angles_q <= ins_q.words;
              if (is_turn) gb_q <= ins_q.bias_base;
            end
          end
          sub_q   <= last_sub ? 5'd0 : sub_q + 5'd1;
          if (is_exp || last_sub) dst_q <= dst_q + 13'd1;
          // The next word: the following one, or behind the last group's words when the tile is through.
          key_q  <= key_q + 9'(Sfus);
          turn_q <= KeyBits'(key_q) + KeyBits'(2 * Sfus) >= n_keys_i;
          if (turn) begin
            turn_q  <= KeyBits'(Sfus) >= n_keys_i;
            key_q   <= '0;
            sub_q   <= '0;
            word_q  <= '0;
            read_q  <= ins_q.add_base;
            first_q <= ins_q.add_base;
            dst_q   <= ins_q.dst_base;
          end else if (is_share) read_q <= read_q + 13'd1;
          else if (!last_sub && !half) read_q <= first_q;
          else if (is_exp && word_q == last_word_q) begin
            read_q  <= read_q + 13'd1;
            first_q <= read_q + 13'd1;
            word_q  <= '0;
          end else begin
            read_q  <= first_q + 13'd1;
            first_q <= first_q + 13'd1;
            word_q  <= word_q + 9'd1;
          end
        end else begin
          group_q      <= group_q + 3'd1;
          last_group_q <= 5'(group_q) + 5'd2 == 5'(cfg_i.groups);
          if (!is_share) read_q <= read_q + 13'(cfg_i.key_words);
        end
        if (last) begin
          state_q <= Flush;
          calc_q  <= 5'(Stages - 1);
        end
      end
      Flush: begin
        calc_q <= calc_q - 5'd1;
        if (calc_q == 5'd0) state_q <= Idle;
      end
      default: state_q <= Idle;
    endcase
    if (rst_i) state_q <= Idle;
  end

  assign beat_o = '{
    // of a share only the last head's beat: the others are added to it on the way
    valid: state_q == Run && (!is_share || last_group_q),
    op: is_exp ? SfuExp : is_turn ? SfuTurn : is_share ? SfuValue : SfuNorm, group: group_q, sub: sub_q,
    count: left_q >= 14'(Sfus) ? 5'(Sfus) : left_q[4:0], dst_addr: dst_q, gb_addr: gb_q, tag: ins_q.dst_tag,
    word_end: last_group_q && (is_exp || last_sub || last), fin: last && ins_q.tag_fin,
    res: 1'b0, kv: Tokens != 0 && is_turn && ins_q.dst.kv, y: ins_q.y1, pc: pc_q
  };
  wire unused = &{1'b0, cfg_i, done_i, angles_ok_i, recip_ok_i};
endmodule
`default_nettype wire
