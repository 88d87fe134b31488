// Bound to every edt_link of a proof: each packet taken gets one answer, nothing else leaves; an answer has the length
// that its head and outputs_q tell, its last byte marked, and ends with the CRC-32 of the bytes before; an offer stands
// until it is taken. The state's numbers are those of state_e.
`default_nettype none
module link_check (
  input wire         clk_i,
  input wire         rst_i,
  input wire         s_axis_tvalid,
  input wire         s_axis_tready,
  input wire         s_axis_tlast,
  input wire [7:0]   m_axis_tdata,
  input wire         m_axis_tvalid,
  input wire         m_axis_tready,
  input wire         m_axis_tlast,
  input wire [3:0]   state_q,
  input wire         full_q,
  input wire         sent_q,
  input wire [9:0]   place_q,
  input wire [9:0]   body_q,
  input wire [7:0]   kind_q,
  input wire [7:0]   status_q,
  input wire [15:0]  outputs_q
);
  localparam logic [3:0] Idle = 4'd0, Decode = 4'd2, LoadWords = 4'd3, Counts = 4'd5, Head = 4'd8, Body = 4'd9,
                         Gap = 4'd10, Tail = 4'd11;
  localparam logic [7:0] Status = 8'h81, CountsOk = 8'h83;

  wire        asked = s_axis_tvalid && s_axis_tready && s_axis_tlast;
  wire        taken = m_axis_tvalid && m_axis_tready;
  logic       begun = 1'b0, waits = 1'b0;
  logic [8:0] offered;
  logic [1:0] owed_q;             // packets taken whose answer has not left
  logic [9:0] at_q;               // bytes of the present answer that have left
  logic [7:0] type_q, result_q;   // its first byte and its third

  // What the bytes that left say of the answer's length, once its third byte has.
  wire  [9:0] ahead = result_q[7] ? 10'd9 : 10'd12;
  logic [9:0] body;
  assign body = result_q[6:0] != '0 ? '0 : type_q == Status ? 10'd20 : type_q == CountsOk ? {outputs_q[8:0], 1'b0} : '0;
  wire        in_crc = at_q > 10'd2 && at_q >= ahead + body;

  wire [31:0] sum;
  wire        unused_match;
  edt_crc32 u_sum (
    .clk_i(clk_i), .clear_i(rst_i || (taken && m_axis_tlast)), .en_i(taken && !in_crc), .data_i(m_axis_tdata),
    .crc_o(sum), .match_o(unused_match));

  // What makes it inductive: bytes written to the output register, by state and place.
  wire        answers = state_q >= Head;
  wire  [9:0] head_size = status_q[7] ? 10'd9 : 10'd12;
  wire  [9:0] written = at_q + 10'(m_axis_tvalid);
  logic [9:0] head_at, due;
  assign head_at = !status_q[7] || place_q < 10'd4 ? place_q : place_q < 10'd6 ? place_q - 10'd1 : place_q - 10'd3;
  always_comb begin
    unique case (state_q)
      Head:    due = head_at;
      Body:    due = head_size + place_q;
      Gap:     due = head_size + body_q;
      Tail:    due = head_size + body_q + place_q;
      default: due = '0;
    endcase
  end

  always_ff @(posedge clk_i) begin
    begun   <= begun || rst_i;
    waits   <= m_axis_tvalid && !m_axis_tready && !rst_i;
    offered <= {m_axis_tlast, m_axis_tdata};
    owed_q  <= rst_i ? '0 : owed_q + 2'(asked) - 2'(taken && m_axis_tlast);
    if (taken) at_q <= m_axis_tlast ? '0 : at_q + 10'd1;
    if (taken && at_q == 10'd0) type_q <= m_axis_tdata;
    if (taken && at_q == 10'd2) result_q <= m_axis_tdata;
    if (rst_i) at_q <= '0;

    if (begun) begin
      if (waits) assert (m_axis_tvalid && {m_axis_tlast, m_axis_tdata} == offered);
      assert (owed_q != 2'd3 && (!m_axis_tvalid || owed_q != '0));
      if (m_axis_tvalid) assert (m_axis_tlast == (in_crc && at_q == ahead + body + 10'd3));
      if (m_axis_tvalid && in_crc) assert (m_axis_tdata == sum[8 * 2'(at_q - ahead - body) +: 8]);
      // what makes it inductive
      assert (state_q <= Tail && owed_q == 2'(full_q) + 2'(state_q == 4'd4 || state_q > Counts));
      if (state_q == 4'd1 || state_q == Decode || state_q == LoadWords || state_q == Counts) assert (full_q);
      assert (written == due && (answers || (!m_axis_tvalid && (place_q == '0 || state_q == Idle))));
      if (state_q > Decode) assert (body_q == (
        status_q[6:0] != '0 ? '0 : kind_q == 8'h01 ? 10'd20 : kind_q == 8'h03 ? {outputs_q[8:0], 1'b0} : '0));
      if (state_q > Decode && status_q[6:0] == '0) assert (!kind_q[7]);
      if (state_q > Decode && !answers) assert (status_q[6:0] == '0 && kind_q == (state_q < Counts ? 8'h11 : 8'h03));
      assert (outputs_q <= 16'd256);
      if (state_q == Head) assert (place_q < 10'd12);
      if (state_q == Head && status_q[7]) assert (place_q != 10'd3 && place_q != 10'd6 && place_q != 10'd7);
      if (state_q == Body) assert (place_q < body_q);
      if (state_q == Tail) assert (place_q < 10'd5 && m_axis_tvalid == (place_q != '0));
      if (answers && at_q > 10'd0) assert (type_q == (kind_q | 8'h80));
      if (answers && at_q > 10'd2) assert (result_q == status_q);
      if (m_axis_tvalid && at_q == 10'd0) assert (m_axis_tdata == (kind_q | 8'h80));
      if (m_axis_tvalid && at_q == 10'd2) assert (m_axis_tdata == status_q);
      assert (!sent_q || m_axis_tvalid || state_q == Idle);  // a reset leaves it
      if (state_q == Tail) assert (!sent_q);
      if (state_q == Idle || !answers) assert (u_sum.crc_q == '1);
      if (state_q != Idle)
        assert (edt_link.u_answer_crc.crc_q == (m_axis_tvalid && !sent_q && !in_crc ? u_sum.crc_d : u_sum.crc_q));
    end
  end
endmodule
bind edt_link link_check u_check (.state_q(state_q), .*);
`default_nettype wire
