// Bound to every edt_fifo of a proof: words leave once, in order, none else does, and each gets through. One word at a
// time is watched, taken whenever the solver likes, with the number of words before it: so the rule holds for all.
`default_nettype none
module fifo_check #(
  parameter int Width    = 9,
  parameter int LogDepth = 11
) (
  input wire                clk_i,
  input wire                rst_i,
  input wire  [Width-1:0]   data_i,
  input wire                valid_i,
  input wire                ready_o,
  input wire  [Width-1:0]   data_o,
  input wire                valid_o,
  input wire                ready_i,
  input wire                fetched_q,
  input wire  [Width-1:0]   fetch_q,
  input wire  [LogDepth:0]  write_q,
  input wire  [LogDepth:0]  read_q
);
  typedef logic [LogDepth+1:0] count_t;
  (* anyseq *) logic choose;
  logic             begun = 1'b0, waits = 1'b0, watched_q;
  logic [Width-1:0] word_q, offered;
  count_t           words_q, before_q;  // in the FIFO, and those of them that go before the watched one
  logic [1:0]       late_q;             // cycles in which it held words and offered none

  wire    enters = valid_i && ready_o, leaves = valid_o && ready_i;
  count_t behind;                       // words of the RAM before the watched one
  assign  behind = before_q - count_t'(valid_o) - count_t'(fetched_q);
  wire [LogDepth-1:0] at    = read_q[LogDepth-1:0] + behind[LogDepth-1:0];
  wire [LogDepth:0]   inner = write_q - read_q;

  always_ff @(posedge clk_i) begin
    begun   <= begun || rst_i;
    waits   <= valid_o && !ready_i && !rst_i;
    offered <= data_o;
    words_q <= rst_i ? '0 : words_q + count_t'(enters) - count_t'(leaves);
    late_q  <= rst_i || words_q == '0 || valid_o ? '0 : late_q + 2'd1;
    if (watched_q) begin
      watched_q <= !(leaves && before_q == '0);
      before_q  <= before_q - count_t'(leaves);
    end else begin
      watched_q <= enters && choose;
      before_q  <= words_q - count_t'(leaves);
      word_q    <= data_i;
    end
    if (rst_i) watched_q <= 1'b0;

    if (begun) begin
      if (waits) assert (valid_o && data_o == offered);
      if (words_q == '0) assert (!valid_o);
      if (watched_q && before_q == '0 && valid_o) assert (data_o == word_q);
      if (words_q < count_t'(2**LogDepth)) assert (ready_o);
      assert (late_q <= 2'd2);
      // what makes it inductive
      assert (inner <= (LogDepth+1)'(2**LogDepth));
      assert (words_q == count_t'(inner) + count_t'(fetched_q) + count_t'(valid_o));
      if (watched_q) begin
        assert (before_q < words_q);
        if (fetched_q && before_q == count_t'(valid_o)) assert (fetch_q == word_q);
        if (before_q >= count_t'(valid_o) + count_t'(fetched_q)) assert (edt_fifo.memory[at] == word_q);
      end
    end
  end
endmodule
bind edt_fifo fifo_check #(.Width(Width), .LogDepth(LogDepth)) u_check (.*);
`default_nettype wire
