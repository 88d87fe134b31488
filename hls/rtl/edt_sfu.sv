// One special-function unit: (d*x - S1)*r -> *gamma + beta; (m - s)*C -> exponential; a * reciprocal; x*cos + partner*sin.
// Reference: edgendt/ops/layernorm.py, attention.py, rotary.py. Element in cycle 2, result in cycle 20, exponential sum in cycle 17.
// Operands arrive in the cycle that their name's number says.
`default_nettype none
module edt_sfu
  import edt_pkg::*;
#(
  parameter int AccBits = 24,
  parameter int Rotary  = 0,
  parameter int Windows = 0,
  parameter int Tokens  = 0
) (
  input  wire                        clk_i,
  input  wire  signed [AccBits-1:0]  x2_i,
  input  wire  [8:0]                 size_i,      // d
  input  wire  [1:0]                 op5_i,
  input  wire  signed [24:0]         sum5_i,      // S1
  input  wire  signed [AccBits-1:0]  max5_i,
  input  wire  [14:0]                factor6_i,   // r, C or reciprocal
  input  wire  [5:0]                 shift9_i,
  input  wire                        floor9_i,
  input  wire  signed [OutW-1:0]     hi11_i,
  input  wire  signed [OutW-1:0]     lo11_i,
  input  wire  [31:0]                gb13_i,      // gamma (8 bits), beta (24 bits)
  input  wire  [5:0]                 shift16_i,
  input  wire  [1:0]                 op17_i,
  input  wire                        key17_i,
  input  wire  fmt_t                 y18_i,
  // rotary position
  input  wire                        turn6_i,
  input  wire                        turn8_i,
  input  wire  signed [10:0]         partner2_i,
  input  wire  [23:0]                angle6_i,    // sine (12 bits), cosine (12 bits)
  // weights between channels: shares of the heads, at one fraction, are added up
  input  wire                        share_i,
  input  wire  [3:0]                 shift5_i,
  input  wire                        first8_i,
  // windows of tokens: turned the other way; of a pair the one is gated by the other's GELU
  input  wire                        negate_i,
  input  wire                        gate_i,
  input  wire  [1:0]                 table_i,
  input  wire                        gelu_en_i,
  input  wire  [9:0]                 gelu_addr_i,
  // exponential and GELU tables' load
  input  wire                        load_en_i,
  input  wire  [7:0]                 load_addr_i,
  input  wire  [15:0]                load_data_i,
  output logic [7:0]                 exp17_o,
  output wire  signed [OutW-1:0]     norm20_o,
  output logic [7:0]                 other19_o   // exponential, zero of what is no key, value or turn: a cycle earlier
);
  localparam int ABits = 28;

  // 3..5: the factor that is exact: d*x - S1, m - s or a.
  logic signed [AccBits-1:0] x3_q, x4_q, x5_q;
  logic signed [25:0]        dx5;
  logic signed [ABits-1:0]   a6_q;
  edt_mul #(.ABits(16), .BBits(10)) i_dx (.clk_i, .a_i(x3_q[15:0]), .b_i({1'b0, size_i}), .p_o(dx5));
  always_ff @(posedge clk_i) begin
    x3_q <= x2_i;
    x4_q <= x3_q;
    x5_q <= x4_q;
    unique case (op5_i)
      SfuNorm: a6_q <= ABits'(dx5) - ABits'(sum5_i);
      SfuExp:  a6_q <= ABits'(max5_i) - ABits'(x5_q);
      default: a6_q <= Windows != 0 && share_i ? ABits'(x5_q) <<< shift5_i : ABits'(x5_q);
    endcase
  end

  // 6..8: 28 x 16 bits on two multipliers; of a turn each takes a product.
  logic signed [10:0] partner3_q, partner4_q, partner5_q, partner6_q, upper6, a_high;
  assign upper6 = a6_q[27:17];
  logic signed [15:0] b_low, b_high;
  logic               sign6, turn8;
  always_ff @(posedge clk_i) begin
    partner3_q <= partner2_i;
    partner4_q <= partner3_q;
    partner5_q <= partner4_q;
    partner6_q <= partner5_q;
  end
  logic signed [15:0] gelu6;
  if (Tokens != 0) begin : g_gelu
    logic [15:0] entry5;
    edt_ram #(.Width(16), .Depth(1024)) i_gelu (
      .clk_i, .we_i(gelu_en_i), .waddr_i(gelu_addr_i), .wdata_i(load_data_i), .raddr_i({table_i, partner3_q[7:0]}),
      .rdata_o(entry5)
    );
    always_ff @(posedge clk_i) gelu6 <= entry5;
  end else begin : g_no_gelu
    assign gelu6 = '0;
  end
  if (Rotary != 0) begin : g_rotary
    assign sign6  = turn6_i && a6_q[16];
    assign a_high = turn6_i ? partner6_q : upper6;
    assign b_low  = !turn6_i ? {1'b0, factor6_i} : gate_i ? gelu6 : 16'($signed(angle6_i[11:0]));
    assign b_high = !turn6_i ? {1'b0, factor6_i} : gate_i ? 16'd0 : 16'($signed(angle6_i[23:12]));
    assign turn8  = turn8_i;
  end else begin : g_plain
    assign sign6  = 1'b0;
    assign a_high = upper6;
    assign b_low  = {1'b0, factor6_i};
    assign b_high = {1'b0, factor6_i};
    assign turn8  = 1'b0;
  end
  logic signed [33:0] low8;
  logic signed [27:0] high8;
  logic signed [43:0] p9_q;
  edt_mul #(.ABits(18), .BBits(16)) i_low (.clk_i, .a_i({sign6, a6_q[16:0]}), .b_i(b_low), .p_o(low8));
  logic signed [26:0] high8_full;
  edt_mul #(.ABits(11), .BBits(16)) i_high (.clk_i, .a_i(a_high), .b_i(b_high), .p_o(high8_full));
  assign high8 = 28'(high8_full);
  always_ff @(posedge clk_i)
    if (Windows != 0 && share_i) p9_q <= 44'(low8) + (first8_i ? 44'd0 : p9_q);
    else p9_q <= 44'(low8) + (!turn8 ? {high8[26:0], 17'd0} : Tokens != 0 && negate_i ? -44'(high8) : 44'(high8));

  // 9..12: shift and round.
  logic signed [OutW-1:0] t13;
  edt_round #(.InBits(44)) i_round (
    .clk_i, .a_i(p9_q), .shift_i(shift9_i), .floor_i(floor9_i), .hi_i(hi11_i), .lo_i(lo11_i), .y_o(t13)
  );

  // Exponential: table, then 8 + (u >> 8) places to the right, ties to even.
  logic [15:0] entry15, shifted_q;
  logic [12:8] u14_q, u15_q;
  logic        zero16_q, rest_q, up16;
  edt_ram #(.Width(16), .Depth(256)) i_exp (
    .clk_i, .we_i(load_en_i), .waddr_i(load_addr_i), .wdata_i(load_data_i), .raddr_i(t13[7:0]), .rdata_o(entry15)
  );
  assign up16 = shifted_q[7] && ((|shifted_q[6:0]) || rest_q || shifted_q[8]);
  always_ff @(posedge clk_i) begin
    u14_q     <= t13[12:8];
    u15_q     <= u14_q;
    shifted_q <= entry15 >> u15_q[11:8];
    rest_q    <= |(entry15 & ~(16'hffff << u15_q[11:8]));
    zero16_q  <= u15_q[12];
    exp17_o   <= zero16_q ? 8'd0 : shifted_q[15:8] + 8'(up16);
  end

  // Norm: * gamma + beta, narrow.
  logic signed [25:0]     scaled15;
  logic signed [23:0]     beta14_q, beta15_q;
  logic signed [26:0]     y16_q;
  edt_mul #(.ABits(18), .BBits(8)) i_gamma (.clk_i, .a_i(t13), .b_i(gb13_i[31:24]), .p_o(scaled15));
  always_ff @(posedge clk_i) begin
    beta14_q <= gb13_i[23:0];
    beta15_q <= beta14_q;
    y16_q    <= 27'(scaled15) + 27'(beta15_q);
  end
  edt_round #(.InBits(27)) i_round2 (
    .clk_i, .a_i(y16_q), .shift_i(shift16_i), .floor_i(1'b0), .hi_i(fmt_hi(y18_i)), .lo_i(fmt_lo(y18_i)), .y_o(norm20_o)
  );

  // The others wait for the common write cycle, in one line once the exponential is there.
  logic [7:0] t_q [14:17], other18_q;
  always_ff @(posedge clk_i) begin
    t_q[14] <= t13[7:0];
    for (int i = 15; i <= 17; i++) t_q[i] <= t_q[i-1];
    other18_q <= op17_i != SfuExp ? t_q[17] : key17_i ? exp17_o : 8'd0;
    other19_o <= other18_q;
  end
  wire unused = &{1'b0, share_i, shift5_i, first8_i, high8[27], partner6_q, turn6_i, turn8_i, angle6_i, negate_i, gate_i, table_i, gelu_en_i,
                   gelu_addr_i, gelu6};
endmodule
`default_nettype wire
