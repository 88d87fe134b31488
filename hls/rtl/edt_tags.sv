// Scoreboard: per tag the next word address that is not yet readable, "begun" (a key's column), and "all written".
// A clear and an announcement of one tag never coincide; announcements may come two cycles before the write they promise.
`default_nettype none
module edt_tags (
  input  wire         clk_i,
  input  wire         rst_i,
  input  wire         clear_mac_i,
  input  wire  [2:0]  clear_mac_tag_i,
  input  wire  [12:0] clear_mac_base_i,
  input  wire         clear_sfu_i,
  input  wire  [2:0]  clear_sfu_tag_i,
  input  wire  [12:0] clear_sfu_base_i,
  input  wire         word_mac_i,
  input  wire  [2:0]  word_mac_tag_i,
  input  wire         word_sfu_i,
  input  wire  [2:0]  word_sfu_tag_i,
  input  wire  [7:0]  begin_i,
  input  wire  [7:0]  fin_i,
  output logic [8*13-1:0] count_o,
  output logic [7:0]  begun_o,
  output logic [7:0]  done_o
);
  always_ff @(posedge clk_i) begin
    for (int t = 0; t < 8; t++) begin
      if (clear_mac_i && clear_mac_tag_i == 3'(t)) begin
        count_o[t*13+:13] <= clear_mac_base_i;
        begun_o[t]        <= 1'b0;
        done_o[t]         <= 1'b0;
      end else if (clear_sfu_i && clear_sfu_tag_i == 3'(t)) begin
        count_o[t*13+:13] <= clear_sfu_base_i;
        begun_o[t]        <= 1'b0;
        done_o[t]         <= 1'b0;
      end else begin
        if ((word_mac_i && word_mac_tag_i == 3'(t)) || (word_sfu_i && word_sfu_tag_i == 3'(t)))
          count_o[t*13+:13] <= count_o[t*13+:13] + 13'd1;
        if (begin_i[t]) begun_o[t] <= 1'b1;
        if (fin_i[t]) done_o[t] <= 1'b1;
      end
    end
    if (rst_i) begin
      count_o <= '0;
      begun_o <= '0;
      done_o  <= '0;
    end
  end
endmodule
`default_nettype wire
