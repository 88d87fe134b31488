// Through edt_slip_tx and edt_slip_rx every byte and every packet's end come out once, in order, and nothing else does.
`default_nettype none
module slip (
  input wire       clk_i,
  input wire       rst_i,
  input wire [7:0] s_axis_tdata,
  input wire       s_axis_tvalid,
  input wire       s_axis_tlast,
  input wire       ready_i
);
  wire       s_axis_tready, valid, m_axis_tvalid, m_axis_tlast;
  wire [7:0] data, m_axis_tdata;
  edt_slip_tx u_tx (
    .clk_i(clk_i), .rst_i(rst_i), .s_axis_tdata(s_axis_tdata), .s_axis_tvalid(s_axis_tvalid),
    .s_axis_tready(s_axis_tready), .s_axis_tlast(s_axis_tlast), .data_o(data), .valid_o(valid), .ready_i(ready_i));
  edt_slip_rx u_rx (
    .clk_i(clk_i), .rst_i(rst_i), .data_i(data), .valid_i(valid && ready_i), .m_axis_tdata(m_axis_tdata),
    .m_axis_tvalid(m_axis_tvalid), .m_axis_tlast(m_axis_tlast));

  // A byte waits from when it is taken until it has passed on the wire; then it is due when the next one has passed, or
  // when its packet's closing END passes.
  wire passes = valid && ready_i && data != 8'hC0 && data != 8'hDB;
  wire ends   = valid && ready_i && data == 8'hC0;
  logic       begun = 1'b0, held = 1'b0, waiting_q = 1'b0, pending_q = 1'b0, due_q = 1'b0;
  logic [8:0] given, waiting, pending, due;  // last, byte
  always_ff @(posedge clk_i) begin
    begun <= 1'b1;
    held  <= s_axis_tvalid && !s_axis_tready && !rst_i;
    given <= {s_axis_tlast, s_axis_tdata};
    assume (begun || rst_i);
    if (begun && held) assume (s_axis_tvalid && {s_axis_tlast, s_axis_tdata} == given);
    if (s_axis_tready) waiting <= {s_axis_tlast, s_axis_tdata};
    waiting_q <= !rst_i && (waiting_q ? !passes : s_axis_tvalid && s_axis_tready);
    due_q <= pending_q && (passes || ends) && !rst_i;
    due   <= pending;
    if (passes) pending <= waiting;
    pending_q <= !rst_i && (passes || (pending_q && !ends));
    if (begun) assert (m_axis_tvalid == due_q);
    if (begun) assert (!passes || waiting_q);
    if (begun) begin  // what makes it inductive
      assert (u_tx.full_q == waiting_q && (!waiting_q || {u_tx.last_q, u_tx.data_q} == waiting));
      assert (u_rx.have_q == pending_q && (!pending_q || u_rx.held_q == pending[7:0]));
      assert (u_rx.escaped_q == (u_tx.state_q == 2'd2) && (u_tx.state_q == 2'd3) == (pending_q && pending[8]));
      if (u_tx.state_q == 2'd2) assert (waiting_q && (waiting[7:0] == 8'hC0 || waiting[7:0] == 8'hDB));
      if (u_tx.state_q == 2'd0) assert (!pending_q);
    end
    if (begun && due_q) assert ({m_axis_tlast, m_axis_tdata} == due);
  end
endmodule
`default_nettype wire
