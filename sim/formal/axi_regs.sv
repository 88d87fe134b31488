// A response that edt_axi_regs offers stands until it is taken; there is one for each request taken, a cycle after it
// unless another waits, never one more, and it is that of the request's address. CONTROL does what was last written.
`default_nettype none
module axi_regs (
  input wire        clk_i,
  input wire        rst_i,
  input wire [11:0] awaddr,
  input wire        awvalid,
  input wire [31:0] wdata,
  input wire [3:0]  wstrb,
  input wire        wvalid,
  input wire        bready,
  input wire [11:0] araddr,
  input wire        arvalid,
  input wire        rready,
  input wire        engine_ready,
  input wire        busy,
  input wire        request_end,
  input wire        answer,
  input wire [7:0]  answer_data,
  input wire        answer_last
);
  wire        awready, wready, bvalid, arready, rvalid;
  wire [1:0]  bresp, rresp;
  wire [31:0] rdata;
  wire        engine_rst;
  edt_axi_regs dut (
    .clk_i(clk_i), .rst_i(rst_i), .s_axi_awaddr(awaddr), .s_axi_awvalid(awvalid), .s_axi_awready(awready),
    .s_axi_wdata(wdata), .s_axi_wstrb(wstrb), .s_axi_wvalid(wvalid), .s_axi_wready(wready), .s_axi_bresp(bresp),
    .s_axi_bvalid(bvalid), .s_axi_bready(bready), .s_axi_araddr(araddr), .s_axi_arvalid(arvalid),
    .s_axi_arready(arready), .s_axi_rdata(rdata), .s_axi_rresp(rresp), .s_axi_rvalid(rvalid), .s_axi_rready(rready),
    .rst_o(engine_rst), .ready_i(engine_ready), .busy_i(busy), .request_end_i(request_end), .answer_i(answer),
    .answer_data_i(answer_data), .answer_last_i(answer_last));

  logic        begun = 1'b0, b_waits = 1'b0, r_waits = 1'b0;
  logic [1:0]  b_offered;
  logic [33:0] r_offered;
  logic [1:0]  addresses = '0, words = '0, reads = '0;  // taken and not yet answered
  logic        asked_q, ready_q;        // both halves of a write waited; a read was taken
  logic [9:0]  write_q, read_q, done_q; // addresses: of the write taken, of the read, of the write being answered
  logic        data_q, strobe_q, control_q, reset_q;
  wire         both = !awready && !wready && !bvalid;
  always_ff @(posedge clk_i) begin
    begun     <= 1'b1;
    asked_q   <= both && !rst_i;
    ready_q   <= arvalid && arready && !rst_i;
    if (awvalid && awready) write_q <= awaddr[11:2];
    if (wvalid && wready) {data_q, strobe_q} <= {wdata[0], wstrb[0]};
    if (arvalid && arready) read_q <= araddr[11:2];
    if (both) done_q <= write_q;
    if (both && write_q == 10'd3 && strobe_q) control_q <= data_q;
    if (rst_i) control_q <= 1'b0;
    reset_q   <= control_q || rst_i;
    b_waits   <= bvalid && !bready && !rst_i;
    r_waits   <= rvalid && !rready && !rst_i;
    b_offered <= bresp;
    r_offered <= {rresp, rdata};
    addresses <= rst_i ? '0 : addresses + 2'(awvalid && awready) - 2'(bvalid && bready);
    words     <= rst_i ? '0 : words + 2'(wvalid && wready) - 2'(bvalid && bready);
    reads     <= rst_i ? '0 : reads + 2'(arvalid && arready) - 2'(rvalid && rready);
    assume (begun || rst_i);
    if (begun && b_waits) assert (bvalid && bresp == b_offered);
    if (begun && r_waits) assert (rvalid && {rresp, rdata} == r_offered);
    if (begun) begin
      assert (!asked_q || bvalid);
      assert (!ready_q || rvalid);
      if (bvalid) assert (bresp == (done_q == 10'd3 ? 2'b00 : 2'b10));
      if (rvalid) assert (rresp == (read_q < 10'd12 ? 2'b00 : 2'b10));
      if (rvalid && read_q == 10'd0) assert (rdata == 32'h3154_444E);
      assert (engine_rst == reset_q);
      assert (dut.reset_q == control_q);  // what makes it inductive
      if (!awready) assert (dut.at_control_q == (write_q == 10'd3));
      if (!wready) assert (dut.data_q == data_q && dut.strobe_q == strobe_q);
      assert (addresses == 2'(bvalid) + 2'(!awready));
      assert (words == 2'(bvalid) + 2'(!wready));
      assert (reads == 2'(rvalid));
    end
  end
endmodule
`default_nettype wire
