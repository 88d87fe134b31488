// Simulation only: a core for the link's benches, with the ports of hls/rtl/edt_core.sv and arithmetic that shows which
// words, counts and bins arrived. Reference: StandIn in sim/standin_core.py.
`default_nettype none
/* verilator lint_off UNUSEDPARAM */  // only so that edt_engine can instantiate it
module edt_core #(
  parameter int Segments = 1, parameter int Lanes = 1, parameter int Pipes = 1, parameter int Sfus = 1,
  parameter int AccBits = 1, parameter int WgtDepth = 1, parameter int KvDepth = 1, parameter int BiasDepth = 1,
  parameter int ActDepth = 1, parameter int ResDepth = 1, parameter int PosDepth = 1, parameter int ScoreDepth = 1,
  parameter int GammaDepth = 1, parameter int ProgDepth = 1, parameter int Packed = 0, parameter int Splits = 1,
  parameter int Rotary = 0, parameter int Windows = 0, parameter int Tokens = 0,
  parameter int KeySize = 256, parameter int Ultra = 0
) (
/* verilator lint_on UNUSEDPARAM */
  input  wire         clk_i,
  input  wire         rst_i,
  input  wire         load_en_i,
  input  wire  [3:0]  load_mem_i,
  input  wire  [23:0] load_addr_i,
  input  wire  [39:0] load_data_i,
  input  wire         trial_reset_i,
  input  wire         count_en_i,
  input  wire  [7:0]  count_addr_i,
  input  wire  [7:0]  count_data_i,
  input  wire         start_i,
  output logic        busy_o,
  output logic        done_o,
  output wire         refuse_o,
  input  wire  [7:0]  out_addr_i,
  output logic [15:0] out_data_o,
  output logic [31:0] cycles_o,
  output logic [15:0] bin_o
);
  logic [39:0] store [0:255];  // memory 15, address 0 holds the position rows, address 1 the extra cycles
  logic [7:0]  counts [0:255], seen [0:255];
  logic [15:0] seen_bin;
  logic [31:0] elapsed;
  wire  [39:0] word = store[out_addr_i];

  assign refuse_o = store[8'hF0][15:0] != '0 && bin_o >= store[8'hF0][15:0];

  always_ff @(posedge clk_i) begin
    done_o <= 1'b0;
    if (load_en_i) begin
      store[{load_mem_i, load_addr_i[3:0]}] <= load_data_i ^ {load_addr_i[23:4], 20'h0};
      if (busy_o) $error("a word was loaded while the core was busy");
    end
    if (count_en_i) counts[count_addr_i] <= count_data_i;
    if (load_en_i) counts <= '{default: '0};
    if (start_i && !refuse_o) begin
      if (busy_o) $error("started while busy");
      busy_o   <= 1'b1;
      elapsed  <= 32'd1;
      seen     <= counts;
      seen_bin <= bin_o;
    end else if (busy_o) begin
      elapsed <= elapsed + 32'd1;
      if (elapsed == 32'd20 + 32'(store[8'hF1][4:0])) begin
        busy_o   <= 1'b0;
        done_o   <= 1'b1;
        cycles_o <= elapsed;
        bin_o    <= bin_o + 16'd1;
      end
    end
    if (trial_reset_i) bin_o <= '0;
    out_data_o <= busy_o ? 16'hDEAD : 16'(seen[out_addr_i]) + word[15:0] + word[39:24] + {seen_bin[14:0], 1'b1};
    if (rst_i) begin
      busy_o <= 1'b0;
      bin_o  <= '0;
    end
  end
endmodule
`default_nettype wire
