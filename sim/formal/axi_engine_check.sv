// Bound to edt_axi_engine: at its pins, too, each packet taken gets one answer and an offer stands until it is taken,
// whatever core, registers and resets do; what the pins say is taken is what the link takes, and in reset nothing is.
`default_nettype none
module axi_engine_check (
  input wire       clk_i,
  input wire       rst,  // of the engine
  input wire       s_axis_tvalid,
  input wire       s_axis_tready,
  input wire       s_axis_tlast,
  input wire [7:0] m_axis_tdata,
  input wire       m_axis_tvalid,
  input wire       m_axis_tready,
  input wire       m_axis_tlast
);
  logic       begun = 1'b0, waits = 1'b0, rst_q = 1'b0;
  logic [8:0] offered;
  logic [1:0] owed_q;  // packets taken whose answer has not left
  wire        enters = s_axis_tvalid && s_axis_tready, leaves = m_axis_tvalid && m_axis_tready;
  always_ff @(posedge clk_i) begin
    begun   <= begun || rst;
    waits   <= m_axis_tvalid && !m_axis_tready && !rst;
    offered <= {m_axis_tlast, m_axis_tdata};
    rst_q   <= rst;
    owed_q  <= rst ? '0 : owed_q + 2'(enters && s_axis_tlast) - 2'(leaves && m_axis_tlast);
    if (rst) assert (!s_axis_tready);
    assert (edt_axi_engine.u_engine.u_link.beat == enters);
    if (rst_q) assert (!m_axis_tvalid);
    if (begun && waits) assert (m_axis_tvalid && {m_axis_tlast, m_axis_tdata} == offered);
    if (begun) assert (owed_q != 2'd3 && (!m_axis_tvalid || owed_q != '0));
    if (begun) assert (owed_q == edt_axi_engine.u_engine.u_link.u_check.owed_q);  // what makes it inductive
    assert (begun == edt_axi_engine.u_engine.u_link.u_check.begun);
  end
endmodule
bind edt_axi_engine axi_engine_check u_pins (.*);
`default_nettype wire
