// AXI4-Lite registers beside an engine's streams: what it is, what its answers said, a reset. Map:
// edgendt/engine/registers.py. Every ready and valid is a register; one read and one write at a time.
`default_nettype none
module edt_axi_regs #(
  parameter logic [31:0] EngineId = 32'h0
) (
  input  wire         clk_i,
  input  wire         rst_i,
  input  wire  [11:0] s_axi_awaddr,
  input  wire         s_axi_awvalid,
  output wire         s_axi_awready,
  input  wire  [31:0] s_axi_wdata,
  input  wire  [3:0]  s_axi_wstrb,
  input  wire         s_axi_wvalid,
  output wire         s_axi_wready,
  output logic [1:0]  s_axi_bresp,
  output logic        s_axi_bvalid,
  input  wire         s_axi_bready,
  input  wire  [11:0] s_axi_araddr,
  input  wire         s_axi_arvalid,
  output wire         s_axi_arready,
  output logic [31:0] s_axi_rdata,
  output logic [1:0]  s_axi_rresp,
  output logic        s_axi_rvalid,
  input  wire         s_axi_rready,
  output logic        rst_o,           // of the engine
  input  wire         ready_i,         // a network is loaded
  input  wire         busy_i,          // a bin is being computed
  input  wire         request_end_i,   // a packet's last byte went in
  input  wire         answer_i,        // a byte of an answer went out
  input  wire  [7:0]  answer_data_i,
  input  wire         answer_last_i
);
  localparam logic [31:0] Magic = 32'h3154_444E;  // "NDT1", least significant byte first
  localparam logic [7:0]  MapVersion = 8'd1;
  localparam logic [11:0] RegMagic = 12'h000, RegVersion = 12'h004, RegEngineId = 12'h008, RegControl = 12'h00C,
                          RegStatus = 12'h010, RegAnswers = 12'h014, RegBins = 12'h018, RegCycles = 12'h01C,
                          RegBadFrames = 12'h020, RegRefused = 12'h024, RegTurnaround = 12'h028, RegClock = 12'h02C;
  localparam logic [1:0] Okay = 2'b00, SlvErr = 2'b10;
  localparam logic [7:0] CountsOk = 8'h83;  // an answer's type
  localparam logic [6:0] Ok = 7'd0, BadFrame = 7'd2;  // and status

  // ---- what the answers say as they pass: type, tag, status, state, bin, load index, cycles; brief ones, which bit 7 of
  // the status marks, leave out state and load index ----
  logic [3:0]  place_q;  // byte of the head; 12 behind it
  logic [7:0]  type_q;
  logic [23:0] past_q;   // the last three bytes
  logic [31:0] answers_q, bins_q, bad_q, refused_q, cycles_q, timer_q, turnaround_q, clock_q;
  logic        timing_q, reset_q, brief_q;
  wire         ends = answer_i && answer_last_i;

  always_ff @(posedge clk_i) begin
    if (answer_i) begin
      past_q  <= {answer_data_i, past_q[23:8]};
      place_q <= answer_last_i ? 4'd0 : place_q == 4'd12 ? 4'd12 : place_q + 4'd1;
      if (place_q == 4'd0) type_q <= answer_data_i;
      if (place_q == 4'd2) begin
        brief_q <= answer_data_i[7];
        if (answer_data_i[6:0] == Ok && type_q == CountsOk) bins_q <= bins_q + 32'd1;
        if (answer_data_i[6:0] == BadFrame) bad_q <= bad_q + 32'd1;
        else if (answer_data_i[6:0] != Ok) refused_q <= refused_q + 32'd1;
      end
      if (place_q == (brief_q ? 4'd8 : 4'd11)) cycles_q <= {answer_data_i, past_q};
    end
    timer_q <= timer_q + 32'd1;
    if (ends) begin
      answers_q <= answers_q + 32'd1;
      timing_q  <= 1'b0;
      if (timing_q) turnaround_q <= timer_q;
    end
    if (request_end_i && (!timing_q || ends)) begin
      timing_q <= 1'b1;
      timer_q  <= 32'd1;
    end
    clock_q <= clock_q + 32'd1;
    if (rst_i || rst_o) begin
      place_q  <= '0;
      timing_q <= 1'b0;
      {answers_q, bins_q, bad_q, refused_q, cycles_q, turnaround_q} <= '0;
    end
    if (rst_i) clock_q <= '0;
  end

  // ---- reads ----
  logic [31:0] value;
  logic        known;
  always_comb begin
    known = 1'b1;
    value = '0;
    unique case ({s_axi_araddr[11:2], 2'b00})
      RegMagic:      value = Magic;
      RegVersion:    value = 32'(MapVersion);
      RegEngineId:   value = EngineId;
      RegControl:    value = 32'(reset_q);
      RegStatus:     value = {29'd0, rst_o, busy_i, ready_i};
      RegAnswers:    value = answers_q;
      RegBins:       value = bins_q;
      RegCycles:     value = cycles_q;
      RegBadFrames:  value = bad_q;
      RegRefused:    value = refused_q;
      RegTurnaround: value = turnaround_q;
      RegClock:      value = clock_q;
      default:       known = 1'b0;
    endcase
  end

  assign s_axi_arready = !s_axi_rvalid;
  always_ff @(posedge clk_i) begin
    if (s_axi_arready && s_axi_arvalid) begin
      s_axi_rvalid <= 1'b1;
      s_axi_rdata  <= value;
      s_axi_rresp  <= known ? Okay : SlvErr;
    end else if (s_axi_rready) s_axi_rvalid <= 1'b0;
    if (rst_i) s_axi_rvalid <= 1'b0;
  end

  // ---- writes: address and data in any order ----
  logic at_full_q, at_control_q, data_full_q, data_q, strobe_q;
  assign s_axi_awready = !at_full_q;
  assign s_axi_wready  = !data_full_q;
  always_ff @(posedge clk_i) begin
    if (s_axi_awready && s_axi_awvalid) begin
      at_full_q    <= 1'b1;
      at_control_q <= {s_axi_awaddr[11:2], 2'b00} == RegControl;
    end
    if (s_axi_wready && s_axi_wvalid) begin
      data_full_q <= 1'b1;
      data_q      <= s_axi_wdata[0];
      strobe_q    <= s_axi_wstrb[0];
    end
    if (at_full_q && data_full_q && !s_axi_bvalid) begin
      {at_full_q, data_full_q} <= 2'b00;
      s_axi_bvalid <= 1'b1;
      s_axi_bresp  <= at_control_q ? Okay : SlvErr;
      if (at_control_q && strobe_q) reset_q <= data_q;
    end else if (s_axi_bready) s_axi_bvalid <= 1'b0;
    rst_o <= reset_q || rst_i;
    if (rst_i) {at_full_q, data_full_q, s_axi_bvalid, reset_q} <= '0;
  end

  wire unused = &{1'b0, s_axi_wdata, s_axi_wstrb, s_axi_awaddr, s_axi_araddr};
endmodule
`default_nettype wire
