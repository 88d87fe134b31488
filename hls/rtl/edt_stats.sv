// Layer statistics on the fly: S1 and S2 while the residual is written, then V = d*S2 - S1^2 + E and its reciprocal root.
// Reference: edgendt/ops/layernorm.py. Last word in cycle 0 -> ok_o in cycle 3 + log2(P); start_i in cycle 0 ->
// shift in cycle 11, root in cycle 16 (the table is read between).
`default_nettype none
module edt_stats #(
  parameter int Pipes = 4
) (
  input  wire                   clk_i,
  input  wire                   rst_i,
  input  wire                   clear_i,      // a pass that will fill the statistics begins
  input  wire                   valid_i,
  input  wire                   first_i,
  input  wire                   last_i,
  input  wire  [4:0]            last_mask_i,  // codes in the last word
  input  wire  [Pipes*16-1:0]   word_i,
  output logic                  ok_o,
  output wire  signed [24:0]    sum_o,        // S1
  input  wire                   start_i,
  input  wire  [8:0]            size_i,       // d
  input  wire  [37:0]           eps_i,        // E
  output wire  [9:0]            index_o,      // table address, cycle 13
  input  wire  [14:0]           table_i,      // its entry, two cycles later
  output logic [14:0]           root_o,
  output logic [5:0]            shift_o       // 3 + (L - 2) / 2
);
  localparam int Levels = $clog2(Pipes);

  // Squares and sums: level 0 is the multipliers' output.
  logic signed [31:0]  square [Pipes];
  logic signed [15:0]  code [Pipes];
  logic signed [15:0]  code1_q [Pipes], code2_q [Pipes];
  for (genvar p = 0; p < Pipes; p++) begin : g_square
    assign code[p] = last_i && 5'(p) >= last_mask_i ? 16'sd0 : $signed(word_i[p*16+:16]);
    edt_mul #(.ABits(16), .BBits(16)) i_square (.clk_i, .a_i(code[p]), .b_i(code[p]), .p_o(square[p]));
  end
  logic signed [24:0] sum_q [Levels+1][Pipes];
  logic        [38:0] squares_q [Levels+1][Pipes];
  logic [Levels+1:0]  valid_q, first_q, last_q;
  always_ff @(posedge clk_i) begin
    for (int p = 0; p < Pipes / 2; p++) begin
      sum_q[1][p]     <= 25'(code2_q[2*p]) + 25'(code2_q[2*p+1]);
      squares_q[1][p] <= 39'($unsigned(square[2*p])) + 39'($unsigned(square[2*p+1]));
    end
    for (int l = 2; l <= Levels; l++)
      for (int p = 0; p < (Pipes >> l); p++) begin
        sum_q[l][p]     <= sum_q[l-1][2*p] + sum_q[l-1][2*p+1];
        squares_q[l][p] <= squares_q[l-1][2*p] + squares_q[l-1][2*p+1];
      end
  end
  logic signed [24:0] s1_q;
  logic        [38:0] s2_q;
  always_ff @(posedge clk_i) begin
    code1_q <= code;
    code2_q <= code1_q;
    valid_q <= {valid_q[Levels:0], valid_i};
    first_q <= {first_q[Levels:0], first_i};
    last_q  <= {last_q[Levels:0], last_i};
    if (valid_q[Levels+1]) begin
      s1_q <= (first_q[Levels+1] ? '0 : s1_q) + sum_q[Levels][0];
      s2_q <= (first_q[Levels+1] ? '0 : s2_q) + squares_q[Levels][0];
    end
    if (clear_i) ok_o <= 1'b0;
    else if (valid_q[Levels+1] && last_q[Levels+1]) ok_o <= 1'b1;
    if (rst_i) begin
      valid_q <= '0;
      ok_o    <= 1'b0;
    end
  end
  assign sum_o = s1_q;

  // V on one multiplier: three partial products of d*S2, then three of S1^2 to subtract.
  logic [23:0] abs_q;
  logic [12:0] run_q;  // one-hot time since start
  logic [17:0] left, right;
  logic signed [35:0] product;
  logic signed [49:0] v_q;
  always_comb begin
    unique case (1'b1)
      run_q[0]: {left, right} = {1'b0, s2_q[16:0], 9'd0, size_i};
      run_q[1]: {left, right} = {1'b0, s2_q[33:17], 9'd0, size_i};
      run_q[2]: {left, right} = {13'd0, s2_q[38:34], 9'd0, size_i};
      run_q[3]: {left, right} = {6'd0, abs_q[11:0], 6'd0, abs_q[11:0]};
      run_q[4]: {left, right} = {6'd0, abs_q[11:0], 6'd0, abs_q[23:12]};
      default:  {left, right} = {6'd0, abs_q[23:12], 6'd0, abs_q[23:12]};
    endcase
  end
  edt_mul #(.ABits(18), .BBits(18)) i_mul (.clk_i, .a_i(left), .b_i(right), .p_o(product));
  always_ff @(posedge clk_i) begin
    abs_q <= 24'(s1_q < 0 ? -s1_q : s1_q);
    run_q <= {run_q[11:0], start_i};
    unique case (1'b1)
      run_q[2]: v_q <= 50'(product) + 50'(eps_i);
      run_q[3]: v_q <= v_q + (50'(product) <<< 17);
      run_q[4]: v_q <= v_q + (50'(product) <<< 34);
      run_q[5]: v_q <= v_q - 50'(product);
      run_q[6]: v_q <= v_q - (50'(product) <<< 13);
      run_q[7]: v_q <= v_q - (50'(product) <<< 24);
      default:  v_q <= v_q;
    endcase
    if (rst_i) run_q <= '0;
  end

  // Leading pair of bits -> ten leading bits and the shift of the result.
  logic [24:0] pair_q;
  logic [4:0]  top_d, top_q;
  logic [49:0] coarse_q;
  logic [9:0]  index_q;
  logic [1:0]  fine_q;
  logic [49:0] fine;
  always_comb begin
    top_d = '0;
    for (int i = 0; i < 25; i++) if (pair_q[i]) top_d = 5'(i);
  end
  assign fine = coarse_q << {fine_q, 1'b0};
  logic [4:0] up;
  logic [1:0] root_wait_q;
  assign up = 5'd24 - top_q;
  always_ff @(posedge clk_i) begin
    for (int i = 0; i < 25; i++) pair_q[i] <= |v_q[2*i+:2];
    top_q    <= top_d;
    coarse_q <= v_q << {up[4:2], 3'b000};
    fine_q   <= up[1:0];
    index_q  <= fine[49:40];
    if (run_q[10]) shift_o <= 6'd3 + 6'(top_q);
    if (run_q[12]) root_wait_q <= 2'b01;
    else root_wait_q <= {root_wait_q[0], 1'b0};
    if (root_wait_q[1]) root_o <= table_i;
    if (rst_i) root_wait_q <= '0;
  end
  assign index_o = index_q;
  wire unused = &{1'b0, first_q, last_q, fine};
endmodule
`default_nettype wire
