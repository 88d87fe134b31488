// Through edt_slip_tx and edt_slip_rx every byte and every packet's end come out once, in order, and nothing else does;
// a byte taken is on the wire after at most two others, with a closing END after the last, and stands there until it is
// taken.
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
  wire takes  = s_axis_tvalid && s_axis_tready;
  wire passes = valid && ready_i && data != 8'hC0 && data != 8'hDB;
  wire ends   = valid && ready_i && data == 8'hC0;
  logic       begun = 1'b0, stalled = 1'b0, waiting_q = 1'b0, pending_q = 1'b0, due_q = 1'b0;
  logic [8:0] waiting, pending, due;  // last, byte
  logic [7:0] offered;
  logic [1:0] others_q = '0;        // bytes on the wire since it carried one of the packets or a closing END
  always_ff @(posedge clk_i) begin
    begun   <= 1'b1;
    stalled <= valid && !ready_i && !rst_i;
    offered <= data;
    assume (begun || rst_i);
    if (takes) waiting <= {s_axis_tlast, s_axis_tdata};
    waiting_q <= !rst_i && (takes || (waiting_q && !passes));
    due_q <= pending_q && (passes || ends) && !rst_i;
    due   <= pending;
    if (passes) pending <= waiting;
    pending_q <= !rst_i && (passes || (pending_q && !ends));
    if (valid && ready_i) others_q <= passes || (ends && pending_q) ? '0 : others_q + 2'd1;
    if (rst_i) others_q <= '0;
    if (begun && stalled) assert (valid && data == offered);
    if (begun) assert (valid == (waiting_q || (pending_q && pending[8])));
    if (begun) assert (others_q <= 2'd2);
    if (begun) assert (m_axis_tvalid == due_q);
    if (begun) assert (!passes || waiting_q);
    if (begun) assert (!takes || !waiting_q || passes);
    if (begun) begin  // what makes it inductive
      assert (u_tx.full_q == waiting_q && (!waiting_q || {u_tx.last_q, u_tx.data_q} == waiting));
      assert (u_rx.have_q == pending_q && (!pending_q || u_rx.held_q == pending[7:0]));
      assert (u_rx.escaped_q == (u_tx.state_q == 2'd2) && (u_tx.state_q == 2'd3) == (pending_q && pending[8]));
      if (u_tx.state_q == 2'd2) assert (waiting_q && (waiting[7:0] == 8'hC0 || waiting[7:0] == 8'hDB));
      if (u_tx.state_q == 2'd0) assert (!pending_q);
      assert (others_q == 2'(u_tx.state_q == 2'd2) + 2'(!pending_q && u_tx.state_q != 2'd0));
    end
    if (begun && due_q) assert ({m_axis_tlast, m_axis_tdata} == due);
  end
endmodule
`default_nettype wire
