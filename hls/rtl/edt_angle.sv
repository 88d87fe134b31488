// The angles of a bin: cosine and sine of time * step for every channel that rotary position turns, in the units' order.
// Reference: edgendt/ops/rotary.py. start_i in cycle 0 -> all of n channels readable, ok_o, in cycle 2 * n + 8, or
// n + 8 with two tables.
`default_nettype none
module edt_angle
  import edt_pkg::*;
#(
  parameter int Sfus = 1,
  parameter int Windows = 0,  // 1: a start may break off another one
  parameter int Tables = 1    // 2: cosine and sine of a channel at once
) (
  input  wire                       clk_i,
  input  wire                       rst_i,
  input  wire                       load_en_i,
  input  wire  [3:0]                load_mem_i,
  input  wire  [9:0]                load_addr_i,
  input  wire  [17:0]               load_data_i,
  input  wire                       start_i,
  input  wire  [15:0]               time_i,      // wraps without loss: what is left of time * step has 16 bits as well
  output logic                      ok_o,
  input  wire  [7-$clog2(Sfus):0]   raddr_i,     // N channels
  output wire  [Sfus*24-1:0]        angle_o      // two cycles later: per unit {sine towards its partner, cosine}
);
  localparam int UnitBits = $clog2(Sfus);
  localparam bit Both = Tables == 2;

  // 0: a channel, cosine first, then sine, or both; 2: its step; 4: its phase; 5: address; 7: entry.
  logic        run_q, half_q;
  logic [7:0]  channel_q;
  logic [7:1]  valid_q, half_d_q;
  logic [7:0]  channel_d_q [1:7];
  logic [4:3]  odd_q;
  logic [7:3]  last_q;
  logic [17:0] step2;               // {last channel, odd one of its pair, step}
  logic signed [33:0] phase4;
  logic [15:0] nearest4;
  logic [Tables*12-1:0] entry7;
  edt_ram #(.Width(18), .Depth(256)) i_step (
    .clk_i, .we_i(load_en_i && load_mem_i == MemStep), .waddr_i(load_addr_i[7:0]), .wdata_i(load_data_i),
    .raddr_i(channel_q), .rdata_o(step2)
  );
  edt_mul #(.ABits(17), .BBits(17)) i_phase (
    .clk_i, .a_i({1'b0, step2[15:0]}), .b_i({1'b0, time_i}), .p_o(phase4)
  );
  assign nearest4 = phase4[15:0] + 16'd32;
  for (genvar t = 0; t < Tables; t++) begin : g_table
    logic       sine4;
    logic [9:0] address5_q;
    assign sine4 = Both ? t == 1 : half_d_q[4];
    // The sine is a cosine a quarter behind; with a minus, which the even channel's has, a quarter ahead.
    always_ff @(posedge clk_i) address5_q <= nearest4[15:6] + {sine4 && odd_q[4], sine4, 8'd0};
    edt_ram #(.Width(12), .Depth(1024)) i_cos (
      .clk_i, .we_i(load_en_i && load_mem_i == MemCos), .waddr_i(load_addr_i), .wdata_i(load_data_i[11:0]),
      .raddr_i(address5_q), .rdata_o(entry7[t*12+:12])
    );
  end
  always_ff @(posedge clk_i) begin
    half_q <= run_q && !half_q && !Both;
    if (Both ? run_q : half_q) begin
      channel_q <= channel_q + 8'd1;
      if (channel_q == '1) run_q <= 1'b0;
    end
    if (valid_q[2] && step2[17]) run_q <= 1'b0;
    valid_q  <= {valid_q[6:1], run_q};
    half_d_q <= {half_d_q[6:1], half_q};
    channel_d_q[1] <= channel_q;
    for (int i = 2; i <= 7; i++) channel_d_q[i] <= channel_d_q[i-1];
    odd_q    <= {odd_q[3], step2[16]};
    last_q   <= {last_q[6:3], step2[17]};
    if (valid_q[7] && (half_d_q[7] || Both) && last_q[7]) ok_o <= 1'b1;
    if (start_i) begin
      run_q     <= 1'b1;
      half_q    <= 1'b0;
      channel_q <= '0;
      ok_o      <= 1'b0;
      if (Windows != 0) valid_q <= '0;
    end
    if (rst_i) begin
      run_q   <= 1'b0;
      valid_q <= '0;
      ok_o    <= 1'b0;
    end
  end

  logic [7:0] word7;
  assign word7 = channel_d_q[7] >> UnitBits;
  for (genvar n = 0; n < Sfus; n++) begin : g_unit
    logic mine;
    assign mine = valid_q[7] && (channel_d_q[7] & 8'(Sfus - 1)) == 8'(n);
    edt_ram #(.Width(24), .Depth(256 / Sfus), .Enables(2)) i_angle (
      .clk_i, .we_i({mine && (half_d_q[7] || Both), mine && !half_d_q[7]}), .waddr_i(word7[7-UnitBits:0]),
      .wdata_i({(3 - Tables){entry7}}), .raddr_i, .rdata_o(angle_o[n*24+:24])
    );
  end
  wire unused = &{1'b0, phase4, nearest4, word7};
endmodule
`default_nettype wire
