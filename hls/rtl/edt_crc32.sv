// CRC-32 of zip, Ethernet and zlib.crc32 (reflected 0xEDB88320), one byte per cycle. Reference: zlib.crc32.
// crc_o is the value after the bytes taken so far; match_o says that those bytes end with their own CRC.
`default_nettype none
module edt_crc32 (
  input  wire        clk_i,
  input  wire        clear_i,  // start anew; wins over en_i
  input  wire        en_i,
  input  wire [7:0]  data_i,
  output wire [31:0] crc_o,
  output wire        match_o
);
  localparam logic [31:0] Residue = 32'hDEBB20E3;  // register after any message followed by its CRC

  logic [31:0] crc_q, crc_d;

  always_comb begin
    crc_d = crc_q ^ 32'(data_i);
    for (int i = 0; i < 8; i++) crc_d = (crc_d >> 1) ^ (crc_d[0] ? 32'hEDB88320 : 32'h0);
  end

  always_ff @(posedge clk_i) begin
    if (clear_i) crc_q <= 32'hFFFFFFFF;
    else if (en_i) crc_q <= crc_d;
  end

  assign crc_o   = ~crc_q;
  assign match_o = crc_q == Residue;
endmodule
`default_nettype wire
