// ECP5 PLL: one clock from the board's oscillator. The three dividers come from edgendt/synth/pll.py.
`default_nettype none
module edt_pll_ecp5 #(
  parameter int RefDiv = 5,   // CLKI_DIV
  parameter int FbDiv  = 12,  // CLKFB_DIV: output = input * FbDiv / RefDiv
  parameter int OutDiv = 10   // CLKOP_DIV: VCO = output * OutDiv, 400..800 MHz
) (
  input  wire clk_i,
  output wire clk_o,
  output wire locked_o
);
  wire unused_feedback;

  (* ICP_CURRENT = "12" *) (* LPF_RESISTOR = "8" *) (* MFG_ENABLE_FILTEROPAMP = "1" *) (* MFG_GMCREF_SEL = "2" *)
  EHXPLLL #(
    .PLLRST_ENA("DISABLED"), .INTFB_WAKE("DISABLED"), .STDBY_ENABLE("DISABLED"), .DPHASE_SOURCE("DISABLED"),
    .OUTDIVIDER_MUXA("DIVA"), .OUTDIVIDER_MUXB("DIVB"), .OUTDIVIDER_MUXC("DIVC"), .OUTDIVIDER_MUXD("DIVD"),
    .CLKI_DIV(RefDiv), .CLKOP_ENABLE("ENABLED"), .CLKOP_DIV(OutDiv), .CLKOP_CPHASE(OutDiv / 2), .CLKOP_FPHASE(0),
    .FEEDBK_PATH("CLKOP"), .CLKFB_DIV(FbDiv)
  ) u_pll (
    .RST(1'b0), .STDBY(1'b0), .CLKI(clk_i), .CLKOP(clk_o), .CLKFB(clk_o), .CLKINTFB(unused_feedback),
    .PHASESEL0(1'b0), .PHASESEL1(1'b0), .PHASEDIR(1'b1), .PHASESTEP(1'b1), .PHASELOADREG(1'b1), .PLLWAKESYNC(1'b0),
    .ENCLKOP(1'b0), .LOCK(locked_o));
endmodule
`default_nettype wire
