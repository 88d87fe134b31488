// Simulation of netlists only: the ECP5 block memory as yosys maps edt_ram and edt_fifo to it. Port A writes, port B
// reads, both of one width, without output registers; another use fails. What the part leaves open is garbage: a word read
// while it is written comes inverted, as in edt_ram; one nobody has written is all ones. Widths, enables: FPGA-TN-02204.
`default_nettype none
/* verilator lint_off UNUSEDPARAM */  // all that yosys sets; initial values are those of words nobody has written
module DP16KD #(
  parameter int DATA_WIDTH_A = 18, parameter int DATA_WIDTH_B = 18,
  parameter REGMODE_A = "NOREG", parameter REGMODE_B = "NOREG", parameter RESETMODE = "SYNC",
  parameter ASYNC_RESET_RELEASE = "SYNC", parameter WRITEMODE_A = "NORMAL", parameter WRITEMODE_B = "NORMAL",
  parameter CSDECODE_A = "0b000", parameter CSDECODE_B = "0b000", parameter CLKAMUX = "CLKA",
  parameter CLKBMUX = "CLKB", parameter GSR = "ENABLED",
  parameter INITVAL_00 = 0, parameter INITVAL_01 = 0, parameter INITVAL_02 = 0, parameter INITVAL_03 = 0,
  parameter INITVAL_04 = 0, parameter INITVAL_05 = 0, parameter INITVAL_06 = 0, parameter INITVAL_07 = 0,
  parameter INITVAL_08 = 0, parameter INITVAL_09 = 0, parameter INITVAL_0A = 0, parameter INITVAL_0B = 0,
  parameter INITVAL_0C = 0, parameter INITVAL_0D = 0, parameter INITVAL_0E = 0, parameter INITVAL_0F = 0,
  parameter INITVAL_10 = 0, parameter INITVAL_11 = 0, parameter INITVAL_12 = 0, parameter INITVAL_13 = 0,
  parameter INITVAL_14 = 0, parameter INITVAL_15 = 0, parameter INITVAL_16 = 0, parameter INITVAL_17 = 0,
  parameter INITVAL_18 = 0, parameter INITVAL_19 = 0, parameter INITVAL_1A = 0, parameter INITVAL_1B = 0,
  parameter INITVAL_1C = 0, parameter INITVAL_1D = 0, parameter INITVAL_1E = 0, parameter INITVAL_1F = 0,
  parameter INITVAL_20 = 0, parameter INITVAL_21 = 0, parameter INITVAL_22 = 0, parameter INITVAL_23 = 0,
  parameter INITVAL_24 = 0, parameter INITVAL_25 = 0, parameter INITVAL_26 = 0, parameter INITVAL_27 = 0,
  parameter INITVAL_28 = 0, parameter INITVAL_29 = 0, parameter INITVAL_2A = 0, parameter INITVAL_2B = 0,
  parameter INITVAL_2C = 0, parameter INITVAL_2D = 0, parameter INITVAL_2E = 0, parameter INITVAL_2F = 0,
  parameter INITVAL_30 = 0, parameter INITVAL_31 = 0, parameter INITVAL_32 = 0, parameter INITVAL_33 = 0,
  parameter INITVAL_34 = 0, parameter INITVAL_35 = 0, parameter INITVAL_36 = 0, parameter INITVAL_37 = 0,
  parameter INITVAL_38 = 0, parameter INITVAL_39 = 0, parameter INITVAL_3A = 0, parameter INITVAL_3B = 0,
  parameter INITVAL_3C = 0, parameter INITVAL_3D = 0, parameter INITVAL_3E = 0, parameter INITVAL_3F = 0
) (
  input  wire CLKA, CEA, OCEA, WEA, RSTA, CSA0, CSA1, CSA2, CLKB, CEB, OCEB, WEB, RSTB, CSB0, CSB1, CSB2,
  input  wire
    ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0,
    ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0,
    DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2,
    DIA1, DIA0,
    DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2,
    DIB1, DIB0,
  output wire
    DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2,
    DOA1, DOA0,
    DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2,
    DOB1, DOB0
);
  localparam int Width = DATA_WIDTH_A;
  localparam int Bytes = Width > 9 ? Width / 9 : 1;       // each with a write enable in the lowest address bits
  localparam int Part  = Width / Bytes;
  localparam int Low   = Width > 9 ? 3 + $clog2(Bytes) : $clog2(Width > 8 ? 8 : Width);  // address bits inside a word
  logic [Width-1:0] mem [2**(14-Low)];
  logic [Width-1:0] read_q;

  wire [13:0] write = {
    ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0};
  wire [13:0] read = {
    ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0};
  wire [35:0] data = {
    DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2,
    DIB1, DIB0,
    DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2,
    DIA1, DIA0};
  wire [Bytes-1:0] we = CEA && WEA && {CSA2, CSA1, CSA0} == '0 ? (Width > 9 ? write[Bytes-1:0] : 1'b1) : '0;

  initial begin
    for (int i = 0; i < 2**(14-Low); i++) mem[i] = ~'0;
    if (DATA_WIDTH_B != Width || REGMODE_B != "NOREG" || CLKAMUX != "CLKA" || CLKBMUX != "CLKB")
      $error("DP16KD: a configuration that is not modelled");
  end

  always @(posedge CLKA)
    for (int e = 0; e < Bytes; e++) if (we[e]) mem[write[13:Low]][e*Part+:Part] <= data[e*Part+:Part];

  always @(posedge CLKB) begin
    if (WEB || RSTB || {CSB2, CSB1, CSB0} != '0) $error("DP16KD: a use that is not modelled");
    if (CEB) begin
      read_q <= mem[read[13:Low]];
      if (read[13:Low] == write[13:Low])
        for (int e = 0; e < Bytes; e++) if (we[e]) read_q[e*Part+:Part] <= ~mem[read[13:Low]][e*Part+:Part];
    end
  end

  // 36 bits leave through both ports, the low half through A; a narrower word through B.
  assign {
    DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2,
    DOA1, DOA0,
    DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2,
    DOB1, DOB0} = Width > 18 ? {read_q[17:0], 18'(read_q >> 18)} : {~18'(read_q), 18'(read_q)};
endmodule
/* verilator lint_on UNUSEDPARAM */
`default_nettype wire
