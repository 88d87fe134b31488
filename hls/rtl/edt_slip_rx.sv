// SLIP bytes in, AXI4-Stream packets out: END ends a packet, empty ones vanish. Reference: edgendt/engine/protocol.py Unslip.
// A byte waits for the next one, which tells whether it was the last. No back-pressure: put a FIFO behind.
`default_nettype none
module edt_slip_rx (
  input  wire        clk_i,
  input  wire        rst_i,
  input  wire  [7:0] data_i,
  input  wire        valid_i,
  output logic [7:0] m_axis_tdata,
  output logic       m_axis_tvalid,
  output logic       m_axis_tlast
);
  localparam logic [7:0] End = 8'hC0, Esc = 8'hDB, EscEnd = 8'hDC, EscEsc = 8'hDD;

  logic [7:0] held_q, plain;
  logic       have_q, escaped_q;

  always_comb begin
    plain = data_i;
    if (escaped_q && data_i == EscEnd) plain = End;
    if (escaped_q && data_i == EscEsc) plain = Esc;
  end

  always_ff @(posedge clk_i) begin
    m_axis_tvalid <= 1'b0;
    if (valid_i) begin
      if (data_i == Esc) escaped_q <= 1'b1;
      else begin
        m_axis_tdata  <= held_q;
        m_axis_tvalid <= have_q;
        m_axis_tlast  <= data_i == End;
        held_q        <= plain;
        have_q        <= data_i != End;
        escaped_q     <= 1'b0;
      end
    end
    if (rst_i) begin
      m_axis_tvalid <= 1'b0;
      have_q        <= 1'b0;
      escaped_q     <= 1'b0;
    end
  end
endmodule
`default_nettype wire
