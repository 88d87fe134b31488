// The hls4ml firmware behind the engine's ports: the engine's own link, and a core that calls compiled C++ through DPI.
// Reference: edgendt/firmware/library.py. Latency from start to done is the parameter, not the firmware's.
`default_nettype none
module firmware_shell #(
  parameter logic [31:0] EngineId = 32'h0,  // edgendt.engine.image.engine_id of the image that opens the link
  parameter int          Schema   = 2,
  parameter int          Latency  = 16      // cycles from start to done, at least 1
) (
  input  wire         clk_i,
  input  wire         rst_i,
  input  wire  [7:0]  s_axis_tdata,
  input  wire         s_axis_tvalid,
  output wire         s_axis_tready,
  input  wire         s_axis_tlast,
  output wire  [7:0]  m_axis_tdata,
  output wire         m_axis_tvalid,
  input  wire         m_axis_tready,
  output wire         m_axis_tlast,
  output wire         ready_o,  // an image opened the link
  output wire         busy_o    // a bin is being computed
);
  // sim/firmware_dpi.cpp. step: 0 done, 1 no such bin, 2 no library; refuse: the next bin is past the last position row.
  import "DPI-C" function int edt_dpi_step(input byte unsigned counts[256], output shortint outputs[256]);
  import "DPI-C" function int edt_dpi_refuse();
  import "DPI-C" function void edt_dpi_reset();

  wire        load_en, trial_reset, count_en, start;
  wire [3:0]  load_mem;
  wire [23:0] load_addr;
  wire [39:0] load_data;
  wire [7:0]  count_addr, count_data, out_addr;
  logic [15:0] out_data_q;
  logic [31:0] cycles_q;
  logic        busy_q, done_q, refuse_q;

  assign busy_o = busy_q;

  edt_link #(.EngineId(EngineId), .Schema(Schema)) u_link (
    .clk_i(clk_i), .rst_i(rst_i),
    .s_axis_tdata(s_axis_tdata), .s_axis_tvalid(s_axis_tvalid), .s_axis_tready(s_axis_tready),
    .s_axis_tlast(s_axis_tlast),
    .m_axis_tdata(m_axis_tdata), .m_axis_tvalid(m_axis_tvalid), .m_axis_tready(m_axis_tready),
    .m_axis_tlast(m_axis_tlast),
    .load_en_o(load_en), .load_mem_o(load_mem), .load_addr_o(load_addr), .load_data_o(load_data),
    .trial_reset_o(trial_reset), .count_en_o(count_en), .count_addr_o(count_addr), .count_data_o(count_data),
    .start_o(start), .busy_i(busy_q), .done_i(done_q), .refuse_i(refuse_q),
    .out_addr_o(out_addr), .out_data_i(out_data_q), .cycles_i(cycles_q), .ready_o(ready_o));

  // The network is compiled into the firmware: what an image writes is taken and forgotten.
  wire unused_load = &{1'b0, load_en, load_mem, load_addr, load_data};

  byte unsigned counts  [256];
  shortint      outputs [256];

  always_ff @(posedge clk_i) begin
    done_q     <= 1'b0;
    out_data_q <= outputs[out_addr];
    if (count_en) counts[count_addr] <= count_data;
    if (busy_q) begin
      cycles_q <= cycles_q + 32'd1;
      if (cycles_q == 32'(Latency - 1)) {busy_q, done_q} <= 2'b01;
    end
    if (trial_reset || rst_i) edt_dpi_reset();
    if (start) begin
      busy_q   <= 1'b1;
      cycles_q <= '0;
      if (edt_dpi_step(counts, outputs) != 0) $fatal(1, "the firmware did not compute a bin");
    end
    refuse_q <= edt_dpi_refuse() != 0;
    if (rst_i) {busy_q, done_q, refuse_q} <= '0;
  end
endmodule
`default_nettype wire
