// The link: packets in, the core's bus, answers out. Reference: edgendt/engine/device.py; format: docs/protocol.md.
// A packet is buffered until its CRC is known; one is taken in while another is computed. Never stalls a started bin.
`default_nettype none
module edt_link #(
  parameter logic [31:0] EngineId = 32'h0,  // edgendt.engine.image.engine_id of this build's parameters
  parameter int          Schema   = 2       // of the image's words
) (
  input  wire         clk_i,
  input  wire         rst_i,
  input  wire  [7:0]  s_axis_tdata,
  input  wire         s_axis_tvalid,
  output logic        s_axis_tready,
  input  wire         s_axis_tlast,
  output logic [7:0]  m_axis_tdata,
  output logic        m_axis_tvalid,
  input  wire         m_axis_tready,
  output logic        m_axis_tlast,
  output logic        load_en_o,     // one word per pulse, only while the core is idle
  output logic [3:0]  load_mem_o,
  output logic [23:0] load_addr_o,
  output logic [39:0] load_data_o,
  output logic        trial_reset_o,
  output logic        count_en_o,
  output logic [7:0]  count_addr_o,
  output logic [7:0]  count_data_o,
  output logic        start_o,
  input  wire         busy_i,
  input  wire         done_i,
  input  wire         refuse_i,
  output logic [7:0]  out_addr_o,
  input  wire  [15:0] out_data_i,    // one cycle after out_addr_o
  input  wire  [31:0] cycles_i,
  output wire         ready_o        // a network is loaded
);
  localparam int MaxPacket = 2048;
  localparam logic [7:0] ProtocolVersion = 8'd2;

  localparam logic [7:0] KindStatus = 8'h01, KindReset = 8'h02, KindCounts = 8'h03;
  localparam logic [7:0] KindBegin = 8'h10, KindData = 8'h11, KindCommit = 8'h12, KindNak = 8'h7F;

  localparam logic [7:0] Ok = 8'd0, NotReady = 8'd1, BadFrame = 8'd2, Malformed = 8'd3, Unknown = 8'd4;
  localparam logic [7:0] WrongSchema = 8'd5, WrongEngine = 8'd6, Sequence = 8'd7, ImageCrc = 8'd8;
  localparam logic [7:0] NoBins = 8'd9, WrongBin = 8'd10;

  typedef enum logic [3:0] {Idle, Check, Decode, LoadWords, LoadEnd, Counts, Start, Run, Head, Body, Gap, Tail} state_e;
  state_e state_q;
  logic [1:0]  unused_match;
  logic [31:0] unused_crc;

  // ---- the packet buffer: a packet with its CRC, and its first bytes in registers ----
  logic [7:0]   buffer [0:MaxPacket-1];
  logic [7:0]   fetch_q, byte_q;
  logic [11:0]  length_q;  // bytes taken; stops at 4095
  logic [111:0] first_q;   // type, tag and 12 bytes of the body
  logic         full_q;
  logic [10:0]  read_q;
  logic         beat, release_packet, crc_match;
  logic [31:0]  packet_crc;  // the packet's last four bytes: over all of it the CRC unit ends in a constant

  assign s_axis_tready = !full_q;
  assign beat = s_axis_tvalid && s_axis_tready;

  edt_crc32 u_packet_crc (
    .clk_i(clk_i), .clear_i(rst_i || release_packet), .en_i(beat), .data_i(s_axis_tdata),
    .crc_o(unused_crc), .match_o(crc_match));

  always_ff @(posedge clk_i) begin
    if (beat) buffer[length_q[10:0]] <= s_axis_tdata;  // one too long overwrites itself: its length refuses it
    fetch_q <= buffer[read_q];
    byte_q  <= fetch_q;
  end

  always_ff @(posedge clk_i) begin
    if (beat) begin
      if (length_q < 12'd14) first_q[8 * length_q[3:0] +: 8] <= s_axis_tdata;
      if (length_q != 12'hFFF) length_q <= length_q + 12'd1;
      packet_crc <= {s_axis_tdata, packet_crc[31:8]};
      full_q     <= s_axis_tlast;
    end
    if (rst_i || release_packet) begin
      full_q   <= 1'b0;
      length_q <= '0;
    end
  end

  wire [7:0]  kind      = first_q[7:0];
  wire [7:0]  tag       = first_q[15:8];
  wire [7:0]  format    = first_q[23:16];
  wire [15:0] bin       = first_q[39:24];
  wire [15:0] index     = first_q[31:16];
  wire [7:0]  mem       = first_q[39:32];
  wire [7:0]  size      = first_q[47:40];
  wire [7:0]  flags     = first_q[31:24];
  wire [31:0] engine_id = first_q[63:32];
  wire [15:0] channels  = first_q[79:64];
  wire [15:0] outputs   = first_q[95:80];
  wire [15:0] max_bins  = first_q[111:96];

  // Counts' format: bits 1..0 log2 of the counts in a byte, bit 4 a brief answer (without state and load frame).
  wire       known_format = {format[7:5], format[3:2]} == '0;
  wire       brief        = format[4];
  wire [2:0] count_last   = {&format[1:0], format[1], |format[1:0]};  // the counts in a byte, less one

  // ---- what is loaded, and what is known of the packet (registered in Check) ----
  logic        ready_q, loading_q, last_valid_q;
  logic [15:0] bin_q, load_index_q, channels_q, outputs_q, max_bins_q, bad_frames_q, refused_q;
  logic [31:0] last_crc_q, image_crc_q, running_crc, cycles_q;
  logic [8:0]  count_bytes_q;
  logic        frame_ok_q, kind_ok_q, length_ok_q, again_q, bin_ok_q, engine_ok_q, sizes_ok_q, next_q, taken_q;
  logic        commit_ok_q, committed_q, counts_ok_q, refuse_q;
  logic [15:0] behind;
  assign behind = load_index_q - 16'd1 - index;

  always_ff @(posedge clk_i) begin
    frame_ok_q  <= crc_match && length_q >= 12'd6 && length_q <= 12'(MaxPacket);
    kind_ok_q   <= kind == KindStatus || kind == KindReset || kind == KindCounts || kind == KindBegin
                   || kind == KindData || kind == KindCommit;
    unique case (kind)
      KindCounts: length_ok_q <= length_q >= 12'd10;
      KindBegin:  length_ok_q <= length_q == 12'd18;
      KindData:   length_ok_q <= length_q >= 12'd14;
      KindCommit: length_ok_q <= length_q == 12'd10;
      default:    length_ok_q <= length_q == 12'd6;
    endcase
    count_bytes_q <= 9'((channels_q[9:0] + 10'(count_last)) >> format[1:0]);
    counts_ok_q <= length_q == 12'd9 + 12'(count_bytes_q);
    again_q     <= last_valid_q && packet_crc == last_crc_q && bin == bin_q - 16'd1;
    bin_ok_q    <= bin == bin_q;
    refuse_q    <= refuse_i;
    engine_ok_q <= engine_id == EngineId;
    sizes_ok_q  <= flags == '0 && channels != '0 && channels <= 16'd256 && outputs != '0 && outputs <= 16'd256;
    next_q      <= index == load_index_q;
    taken_q     <= behind < 16'd256;
    commit_ok_q <= first_q[47:16] == running_crc && load_index_q != '0;
    committed_q <= first_q[47:16] == image_crc_q && ready_q;
  end

  // ---- verdict on a packet ----
  logic [7:0] verdict;
  logic       compute, write;  // a bin to compute, a frame to write
  always_comb begin
    verdict = Ok;
    compute = 1'b0;
    write   = 1'b0;
    if (!frame_ok_q) verdict = BadFrame;
    else if (!kind_ok_q) verdict = Unknown;
    else if (!length_ok_q) verdict = Malformed;
    else if (kind == KindCounts) begin
      if (!ready_q) verdict = NotReady;
      else if (!known_format) verdict = Unknown;
      else if (!counts_ok_q) verdict = Malformed;
      else if (again_q) verdict = Ok;
      else if (!bin_ok_q) verdict = WrongBin;
      else if (refuse_q) verdict = NoBins;
      else compute = 1'b1;
    end else if (kind == KindBegin) begin
      if (format != 8'(Schema)) verdict = WrongSchema;
      else if (!engine_ok_q) verdict = WrongEngine;
      else if (!sizes_ok_q) verdict = Malformed;
    end else if (kind == KindData) begin
      if (!loading_q) verdict = NotReady;
      else if (size == '0 || size > 8'd5 || mem > 8'd15) verdict = Malformed;
      else if (next_q) write = 1'b1;
      else if (!taken_q) verdict = Sequence;
    end else if (kind == KindCommit) begin
      if (loading_q) verdict = commit_ok_q ? Ok : ImageCrc;
      else if (!committed_q) verdict = NotReady;
    end
  end

  // ---- walk over the buffered body: a byte per cycle for load words, a count per cycle for counts ----
  logic        walk, walk_done, fetch_valid_q, byte_valid_q;
  logic [10:0] fetch_at_q, byte_at_q, end_q;
  logic [2:0]  part_q, count_part_q;
  logic [8:0]  count_q;  // the count that byte_q holds
  logic        in_words;
  assign walk      = state_q == LoadWords || state_q == Counts;
  assign walk_done = byte_valid_q
                     && (state_q == Counts ? count_q + 9'd1 == channels_q[8:0] : byte_at_q + 11'd1 == end_q);
  assign in_words  = byte_valid_q && byte_at_q >= 11'd9;

  always_ff @(posedge clk_i) begin
    end_q         <= 11'(length_q - 12'd4);
    count_part_q  <= state_q != Counts || count_part_q == count_last ? 3'd0 : count_part_q + 3'd1;
    if (!walk) read_q <= kind == KindCounts ? 11'd5 : 11'd2;
    else if (state_q == LoadWords || count_part_q == count_last) read_q <= read_q + 11'd1;
    fetch_at_q    <= read_q;
    byte_at_q     <= fetch_at_q;
    fetch_valid_q <= walk && read_q < end_q;
    byte_valid_q  <= walk && fetch_valid_q;
    if (rst_i) {fetch_valid_q, byte_valid_q} <= '0;
  end

  logic begun_q;  // a load was accepted: its first frame is many cycles away
  always_ff @(posedge clk_i) begun_q <= state_q == Decode && kind == KindBegin && verdict == Ok;

  edt_crc32 u_image_crc (
    .clk_i(clk_i), .clear_i(rst_i || begun_q),
    .en_i(byte_valid_q && state_q == LoadWords), .data_i(byte_q), .crc_o(running_crc), .match_o(unused_match[0]));

  always_ff @(posedge clk_i) begin
    load_en_o <= 1'b0;
    if (load_en_o) load_addr_o <= load_addr_o + 24'd1;
    if (state_q == Decode) begin
      load_mem_o  <= mem[3:0];
      load_addr_o <= first_q[71:48];
      part_q      <= '0;
    end else if (state_q == LoadWords && in_words) begin
      load_data_o <= (part_q == '0 ? 40'h0 : load_data_o) | (40'(byte_q) << {part_q, 3'b000});
      load_en_o   <= part_q + 3'd1 == size[2:0];
      part_q      <= part_q + 3'd1 == size[2:0] ? 3'd0 : part_q + 3'd1;
    end
    if (rst_i) load_en_o <= 1'b0;
  end

  always_ff @(posedge clk_i) begin
    count_q      <= state_q != Counts ? 9'd0 : byte_valid_q ? count_q + 9'd1 : count_q;
    count_en_o   <= state_q == Counts && byte_valid_q && !rst_i;
    count_addr_o <= count_q[7:0];
    unique case (format[1:0])
      2'd0: count_data_o <= byte_q;
      2'd1: count_data_o <= 8'(byte_q[{count_q[0], 2'b00} +: 4]);
      2'd2: count_data_o <= 8'(byte_q[{count_q[1:0], 1'b0} +: 2]);
      2'd3: count_data_o <= 8'(byte_q[count_q[2:0]]);
    endcase
    start_o      <= state_q == Start && !busy_i && !start_o && !rst_i;
  end

  // ---- main sequence ----
  logic [7:0]  kind_q, tag_q, status_q;
  logic [15:0] answer_bin_q;
  logic [9:0]  place_q, body_q;  // byte of the answer's present part; bytes of its body
  logic        advance, reset_bins;

  assign advance = !m_axis_tvalid || m_axis_tready;
  assign ready_o = ready_q;
  assign reset_bins = state_q == Decode && verdict == Ok && (kind == KindReset || (kind == KindCommit && loading_q));
  assign release_packet = (state_q == Decode && !compute && !write) || (walk && walk_done);

  function automatic logic [15:0] count_up(input logic [15:0] value);
    return value == 16'hFFFF ? value : value + 16'd1;
  endfunction

  always_ff @(posedge clk_i) begin
    trial_reset_o <= reset_bins && !rst_i;
    unique case (state_q)
      Idle:  if (full_q) state_q <= Check;
      Check: state_q <= Decode;
      Decode: begin
        kind_q   <= frame_ok_q ? kind : KindNak;
        tag_q    <= frame_ok_q ? tag : 8'd0;
        status_q <= verdict | {verdict == Ok && kind == KindCounts && brief, 7'd0};
        state_q  <= compute ? Counts : write ? LoadWords : Head;
        body_q   <= '0;
        if (verdict == Ok && kind == KindStatus) body_q <= 10'd20;
        if (verdict == Ok && kind == KindCounts) body_q <= {outputs_q[8:0], 1'b0};
        answer_bin_q <= verdict == Ok && kind == KindCounts && !compute ? bin_q - 16'd1 : reset_bins ? 16'd0 : bin_q;
        if (verdict == BadFrame) bad_frames_q <= count_up(bad_frames_q);
        else if (verdict != Ok) refused_q <= count_up(refused_q);
        if (compute) begin
          last_crc_q   <= packet_crc;
          last_valid_q <= 1'b1;
        end
        if (reset_bins) begin
          bin_q        <= '0;
          last_valid_q <= 1'b0;
        end
        if (verdict == Ok && kind == KindBegin) begin
          {max_bins_q, outputs_q, channels_q} <= {max_bins, outputs, channels};
          {ready_q, loading_q, last_valid_q}  <= 3'b010;
          load_index_q <= '0;
          image_crc_q  <= '0;
        end
        if (frame_ok_q && kind_ok_q && length_ok_q && kind == KindCommit && loading_q) begin
          loading_q   <= 1'b0;
          ready_q     <= commit_ok_q;
          image_crc_q <= commit_ok_q ? running_crc : '0;
        end
      end
      LoadWords: if (walk_done) state_q <= LoadEnd;
      LoadEnd: begin
        if (part_q != '0) begin  // bytes left that make no word: the host is wrong, the load is void
          status_q  <= Malformed;
          loading_q <= 1'b0;
          refused_q <= count_up(refused_q);
        end else load_index_q <= load_index_q + 16'd1;
        state_q <= Head;
      end
      Counts: if (walk_done) state_q <= Start;
      Start:  if (start_o) state_q <= Run;
      Run: if (done_i) begin
        bin_q   <= bin_q + 16'd1;
        state_q <= Head;
      end
      Head: if (advance && place_q == 10'd11) state_q <= body_q == '0 ? Gap : Body;
      Body: if (advance && place_q + 10'd1 == body_q) state_q <= Gap;
      Gap:  if (advance) state_q <= Tail;
      Tail: if (advance && place_q == 10'd4) state_q <= Idle;
      default: state_q <= Idle;
    endcase
    if (state_q == Run && done_i) cycles_q <= cycles_i;
    if (rst_i) begin
      state_q <= Idle;
      {ready_q, loading_q, last_valid_q} <= '0;
      {bin_q, load_index_q, bad_frames_q, refused_q} <= '0;
      {channels_q, outputs_q, max_bins_q} <= '0;
      {image_crc_q, cycles_q} <= '0;
    end
  end

  // ---- the answer ----
  logic [95:0]  head;
  logic [159:0] info;
  logic [31:0]  answer_crc;
  logic [15:0]  word_q;  // the output being sent
  logic [15:0]  ahead_q;  // the one behind it
  logic [7:0]   out_addr_q;
  logic         sent_q;  // m_axis_tdata is new this cycle and not of the CRC itself
  assign head = {cycles_q, load_index_q, answer_bin_q, 6'd0, loading_q, ready_q, status_q, tag_q, kind_q | 8'h80};
  assign info = {refused_q, bad_frames_q, max_bins_q, outputs_q, image_crc_q, EngineId, channels_q, 8'(Schema),
                 ProtocolVersion};

  edt_crc32 u_answer_crc (
    .clk_i(clk_i), .clear_i(rst_i || state_q == Idle), .en_i(sent_q), .data_i(m_axis_tdata),
    .crc_o(answer_crc), .match_o(unused_match[1]));

  // A word's first byte goes out while the next one waits at the core's memory: it is taken, and the one behind it asked
  // for, by a register, since the core may lie far away. The head's last two bytes do so for the first word.
  logic next_word;
  assign out_addr_o = out_addr_q;
  assign next_word  = advance && !place_q[0] && (state_q == Body || (state_q == Head && place_q == 10'd10));
  always_ff @(posedge clk_i) begin
    if (next_word) begin
      out_addr_q <= out_addr_q + 8'd1;
      ahead_q    <= out_data_i;
    end
    if (state_q == Idle) out_addr_q <= '0;
    sent_q     <= 1'b0;
    if (advance) begin
      m_axis_tvalid <= 1'b0;
      m_axis_tlast  <= 1'b0;
      unique case (state_q)
        Head: begin
          m_axis_tdata  <= head[8 * place_q[3:0] +: 8];
          m_axis_tvalid <= 1'b1;
          sent_q        <= 1'b1;
          place_q       <= place_q == 10'd11 ? '0 : place_q + 10'd1;
          if (status_q[7] && place_q == 10'd2) place_q <= 10'd4;
          if (status_q[7] && place_q == 10'd5) place_q <= 10'd8;
          word_q        <= ahead_q;
        end
        Body: begin
          m_axis_tvalid <= 1'b1;
          sent_q        <= 1'b1;
          place_q       <= place_q + 10'd1 == body_q ? '0 : place_q + 10'd1;
          if (kind_q == KindStatus) m_axis_tdata <= info[8 * place_q[4:0] +: 8];
          else m_axis_tdata <= place_q[0] ? word_q[15:8] : word_q[7:0];
          if (place_q[0]) word_q <= ahead_q;
        end
        Tail: begin
          if (place_q != 10'd4) begin
            m_axis_tdata  <= answer_crc[8 * place_q[1:0] +: 8];
            m_axis_tvalid <= 1'b1;
            m_axis_tlast  <= place_q == 10'd3;
          end
          place_q <= place_q + 10'd1;
        end
        default: place_q <= '0;
      endcase
    end
    if (rst_i) begin
      m_axis_tvalid <= 1'b0;
      place_q       <= '0;
    end
  end
endmodule
`default_nettype wire
