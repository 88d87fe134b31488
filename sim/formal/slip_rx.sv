// Whatever comes on the wire, each byte of a packet leaves edt_slip_rx once, when the next byte or END says whether it
// was the last, and nothing else does. Reference: edgendt/engine/protocol.py Unslip.
`default_nettype none
module slip_rx (
  input wire       clk_i,
  input wire       rst_i,
  input wire [7:0] data_i,
  input wire       valid_i
);
  wire       valid, last;
  wire [7:0] data;
  edt_slip_rx dut (
    .clk_i(clk_i), .rst_i(rst_i), .data_i(data_i), .valid_i(valid_i), .m_axis_tdata(data), .m_axis_tvalid(valid),
    .m_axis_tlast(last));

  wire ends = valid_i && data_i == 8'hC0, carries = valid_i && data_i != 8'hC0 && data_i != 8'hDB;
  logic       begun = 1'b0, escaped_q, waiting_q, due_q, last_q;
  logic [7:0] waiting, due;
  always_ff @(posedge clk_i) begin
    begun <= 1'b1;
    assume (begun || rst_i);
    if (valid_i) escaped_q <= data_i == 8'hDB;
    due_q  <= waiting_q && (ends || carries);
    due    <= waiting;
    last_q <= ends;
    if (ends) waiting_q <= 1'b0;
    if (carries) begin
      waiting_q <= 1'b1;
      waiting   <= escaped_q && data_i == 8'hDC ? 8'hC0 : escaped_q && data_i == 8'hDD ? 8'hDB : data_i;
    end
    if (rst_i) {escaped_q, waiting_q, due_q} <= '0;

    if (begun) assert (valid == due_q);
    if (begun && due_q) assert (data == due && last == last_q);
    if (begun) assert (dut.have_q == waiting_q && (!waiting_q || dut.held_q == waiting));  // what makes it inductive
    if (begun) assert (dut.escaped_q == escaped_q);
  end
endmodule
`default_nettype wire
