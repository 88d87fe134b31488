// Stands in for what an HLS tool makes of edgendt_axis: its ports, and the compiled C++ behind DPI ($EDT_FIRMWARE).
`default_nettype none
module edgendt_axis (
  input  wire         ap_clk,
  input  wire         ap_rst_n,
  input  wire  [31:0] packets_TDATA,
  input  wire         packets_TVALID,
  output wire         packets_TREADY,
  input  wire  [3:0]  packets_TKEEP,
  input  wire  [3:0]  packets_TSTRB,
  input  wire  [0:0]  packets_TLAST,
  output wire  [31:0] answers_TDATA,
  output wire         answers_TVALID,
  input  wire         answers_TREADY,
  output wire  [3:0]  answers_TKEEP,
  output wire  [3:0]  answers_TSTRB,
  output wire  [0:0]  answers_TLAST
);
  // sim/standin/vendor/packet_dpi.cpp: one word of a packet; behind the last, the words of its answer. Then each of them.
  import "DPI-C" function int edt_dpi_word(input int word, input int last);
  import "DPI-C" function int edt_dpi_answer(input int place);

  int          count_q, place_q;  // words of the answer, and those that were taken
  logic [31:0] data_q;

  assign packets_TREADY = count_q == 0;
  assign answers_TVALID = count_q != 0;
  assign answers_TDATA  = data_q;
  assign answers_TLAST  = place_q == count_q - 1;
  assign {answers_TKEEP, answers_TSTRB} = '1;
  wire unused = &{1'b0, packets_TKEEP, packets_TSTRB};

  always_ff @(posedge ap_clk) begin
    if (packets_TVALID && packets_TREADY) begin
      count_q <= edt_dpi_word(packets_TDATA, 32'(packets_TLAST));
      place_q <= 0;
      data_q  <= edt_dpi_answer(0);
    end
    if (answers_TVALID && answers_TREADY) begin
      place_q <= place_q + 1;
      data_q  <= edt_dpi_answer(place_q + 1);
      if (answers_TLAST[0]) count_q <= 0;
    end
    if (!ap_rst_n) {count_q, place_q} <= '0;
  end
endmodule
`default_nettype wire
