// FIFO in one block RAM, 2^LogDepth entries; RAM and output registers make it three cycles from an empty FIFO's input on.
`default_nettype none
module edt_fifo #(
  parameter int Width    = 9,
  parameter int LogDepth = 11
) (
  input  wire              clk_i,
  input  wire              rst_i,
  input  wire  [Width-1:0] data_i,
  input  wire              valid_i,
  output wire              ready_o,
  output logic [Width-1:0] data_o,
  output logic             valid_o,
  input  wire              ready_i
);
  localparam int Bits = LogDepth + 1;  // one more than the address tells full from empty

  logic [Width-1:0] memory [0:2**LogDepth-1];
  logic [Bits-1:0]  write_q, read_q;
  logic [Width-1:0] fetch_q;  // the RAM's own output register
  logic             push, pop, move, fetched_q;

  assign ready_o = write_q - read_q != Bits'(2**LogDepth);
  assign push    = valid_i && ready_o;
  assign move    = fetched_q && (!valid_o || ready_i);
  assign pop     = write_q != read_q && (!fetched_q || move);

  always_ff @(posedge clk_i) begin
    if (push) memory[write_q[LogDepth-1:0]] <= data_i;
    if (pop) fetch_q <= memory[read_q[LogDepth-1:0]];
    if (move) data_o <= fetch_q;  // a second register: the RAM's clock-to-output is most of a cycle
  end

  always_ff @(posedge clk_i) begin
    if (push) write_q <= write_q + 1'b1;
    if (pop) read_q <= read_q + 1'b1;
    if (!fetched_q || move) fetched_q <= pop;
    if (!valid_o || ready_i) valid_o <= fetched_q;
    if (rst_i) begin
      write_q   <= '0;
      read_q    <= '0;
      valid_o   <= 1'b0;
      fetched_q <= 1'b0;
    end
  end
endmodule
`default_nettype wire
