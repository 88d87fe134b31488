// UART transmitter, 8N1: takes a byte when ready, ten bits each. Same bit clock as edt_uart_rx.
`default_nettype none
module edt_uart_tx #(
  parameter int ClkHz = 60_000_000,
  parameter int Baud  = 3_000_000
) (
  input  wire       clk_i,
  input  wire       rst_i,
  input  wire [7:0] data_i,
  input  wire       valid_i,
  output wire       ready_o,
  output wire       tx_o
);
  localparam logic [63:0] Ratio = (64'(Baud) * 64'd65536 + 64'(ClkHz) / 2) / 64'(ClkHz);
  localparam logic [16:0] Step  = Ratio[16:0];

  logic [16:0] phase_q;
  logic [3:0]  bits_q;   // bits still to send; 0 idle
  logic [9:0]  shift_q;

  assign ready_o = bits_q == '0;
  assign tx_o    = shift_q[0];

  always_ff @(posedge clk_i) begin
    if (ready_o) begin
      phase_q <= '0;
      if (valid_i) begin
        shift_q <= {1'b1, data_i, 1'b0};
        bits_q  <= 4'd10;
      end
    end else begin
      phase_q <= {1'b0, phase_q[15:0]} + Step;
      if (phase_q[16]) begin
        shift_q <= {1'b1, shift_q[9:1]};
        bits_q  <= bits_q - 4'd1;
      end
    end
    if (rst_i) begin
      shift_q <= '1;
      bits_q  <= '0;
    end
  end
endmodule
`default_nettype wire
