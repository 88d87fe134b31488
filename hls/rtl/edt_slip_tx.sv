// AXI4-Stream packets in, SLIP bytes out: END, escaped bytes, END. Reference: edgendt/engine/protocol.py slip.
`default_nettype none
module edt_slip_tx (
  input  wire        clk_i,
  input  wire        rst_i,
  input  wire  [7:0] s_axis_tdata,
  input  wire        s_axis_tvalid,
  output wire        s_axis_tready,
  input  wire        s_axis_tlast,
  output logic [7:0] data_o,
  output wire        valid_o,
  input  wire        ready_i
);
  localparam logic [7:0] End = 8'hC0, Esc = 8'hDB, EscEnd = 8'hDC, EscEsc = 8'hDD;

  typedef enum logic [1:0] {Opening, Plain, Escaped, Closing} state_e;
  state_e     state_q;
  logic       full_q, last_q, special, taken;
  logic [7:0] data_q;  // the byte waits here, so that no path leads from the transmitter back into the packet's source

  assign special       = data_q == End || data_q == Esc;
  assign valid_o       = state_q == Closing || full_q;
  assign s_axis_tready = !full_q;
  assign taken         = valid_o && ready_i && (state_q == Escaped || (state_q == Plain && !special));

  always_comb begin
    unique case (state_q)
      Plain:   data_o = special ? Esc : data_q;
      Escaped: data_o = data_q == End ? EscEnd : EscEsc;
      default: data_o = End;
    endcase
  end

  always_ff @(posedge clk_i) begin
    if (!full_q) {last_q, data_q} <= {s_axis_tlast, s_axis_tdata};
    full_q <= full_q ? !taken : s_axis_tvalid;
    if (valid_o && ready_i) begin
      unique case (state_q)
        Opening: state_q <= Plain;
        Plain:   state_q <= special ? Escaped : last_q ? Closing : Plain;
        Escaped: state_q <= last_q ? Closing : Plain;
        default: state_q <= Opening;
      endcase
    end
    if (rst_i) begin
      state_q <= Opening;
      full_q  <= 1'b0;
    end
  end
endmodule
`default_nettype wire
