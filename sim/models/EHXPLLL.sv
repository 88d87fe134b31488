// Simulation and lint only: the ECP5 PLL's ports and the parameters that hls/rtl uses; its output is its input.
`default_nettype none
/* verilator lint_off UNUSEDPARAM */  // a port-and-parameter shell: the dividers mean nothing here
module EHXPLLL #(
  parameter PLLRST_ENA = "", parameter INTFB_WAKE = "", parameter STDBY_ENABLE = "", parameter DPHASE_SOURCE = "",
  parameter OUTDIVIDER_MUXA = "", parameter OUTDIVIDER_MUXB = "", parameter OUTDIVIDER_MUXC = "",
  parameter OUTDIVIDER_MUXD = "", parameter CLKI_DIV = 1, parameter CLKOP_ENABLE = "", parameter CLKOP_DIV = 1,
  parameter CLKOP_CPHASE = 0, parameter CLKOP_FPHASE = 0, parameter FEEDBK_PATH = "", parameter CLKFB_DIV = 1
) (
  input  wire RST, STDBY, CLKI, CLKFB, PHASESEL0, PHASESEL1, PHASEDIR, PHASESTEP, PHASELOADREG, PLLWAKESYNC, ENCLKOP,
  output wire CLKOP, CLKINTFB, LOCK
);
  wire unused = &{1'b0, RST, STDBY, CLKFB, PHASESEL0, PHASESEL1, PHASEDIR, PHASESTEP, PHASELOADREG, PLLWAKESYNC,
                  ENCLKOP};
  assign CLKOP    = CLKI;
  assign CLKINTFB = 1'b0;
  assign LOCK     = 1'b1;
endmodule
/* verilator lint_on UNUSEDPARAM */
`default_nettype wire
