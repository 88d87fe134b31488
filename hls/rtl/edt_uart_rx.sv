// UART receiver, 8N1: a byte and a one-cycle valid after its stop bit; a byte with a bad stop bit is dropped.
// The bit clock is a phase accumulator, so any ClkHz >= 8 * Baud will do. Format: docs/protocol.md.
`default_nettype none
module edt_uart_rx #(
  parameter int ClkHz = 60_000_000,
  parameter int Baud  = 3_000_000
) (
  input  wire        clk_i,
  input  wire        rst_i,
  input  wire        rx_i,
  output logic [7:0] data_o,
  output logic       valid_o
);
  localparam logic [63:0] Ratio = (64'(Baud) * 64'd65536 + 64'(ClkHz) / 2) / 64'(ClkHz);
  localparam logic [16:0] Step  = Ratio[16:0];  // of a bit, per clock, in 1/65,536

  logic [2:0]  rx_q;     // two flip-flops against metastability, one to see the edge
  logic [16:0] phase_q;  // top bit: the middle of a bit is now
  logic [3:0]  bits_q;   // bits still to come; 0 idle
  logic [7:0]  shift_q;

  always_ff @(posedge clk_i) begin
    rx_q    <= {rx_q[1:0], rx_i};
    valid_o <= 1'b0;
    if (bits_q == '0) begin
      phase_q <= 17'h08000;  // half a bit ahead: sample in the middle
      if (rx_q[2:1] == 2'b10) bits_q <= 4'd10;
    end else begin
      phase_q <= {1'b0, phase_q[15:0]} + Step;
      if (phase_q[16]) begin
        shift_q <= {rx_q[1], shift_q[7:1]};
        bits_q  <= bits_q - 4'd1;
        if (bits_q == 4'd10 && rx_q[1]) bits_q <= '0;  // no start bit: a spike on the line
        if (bits_q == 4'd1) begin
          data_o  <= shift_q;
          valid_o <= rx_q[1];
        end
      end
    end
    if (rst_i) begin
      rx_q    <= '1;
      bits_q  <= '0;
      valid_o <= 1'b0;
    end
  end
endmodule
`default_nettype wire
