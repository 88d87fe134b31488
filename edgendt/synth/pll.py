"""Dividers of the ECP5 PLL (Lattice FPGA-DS-02012): output = input * fb / ref, VCO = output * out, 400..800 MHz."""

from __future__ import annotations

from dataclasses import dataclass

VCO_MHZ = (400.0, 800.0)
PFD_MHZ = (10.0, 400.0)  # phase detector: input / ref
DIRECT = (0, 0, 0)  # no PLL: the board top passes the oscillator's clock on


@dataclass(frozen=True)
class Pll:
    """CLKI_DIV, CLKFB_DIV, CLKOP_DIV (all zero: no PLL) and the clock they make."""

    ref: int
    fb: int
    out: int
    mhz: float


def dividers(oscillator_mhz: float, wanted_mhz: float) -> Pll:
    """The PLL whose clock is nearest to `wanted_mhz` without exceeding it; ValueError when none is within 20 %."""
    found = []
    for ref in range(1, int(oscillator_mhz / PFD_MHZ[0]) + 1):
        fb = int(wanted_mhz * ref / oscillator_mhz + 1e-9)
        if not 1 <= fb <= 80:
            continue
        mhz = oscillator_mhz * fb / ref
        out = round(sum(VCO_MHZ) / 2 / mhz)
        if 1 <= out <= 128 and VCO_MHZ[0] <= mhz * out <= VCO_MHZ[1]:
            found.append(Pll(ref, fb, out, mhz))
    best = max(found, key=lambda pll: pll.mhz, default=None)
    if best is None or best.mhz < 0.8 * wanted_mhz:
        raise ValueError(f"wanted_mhz must be a clock the PLL makes from {oscillator_mhz:g} MHz, got {wanted_mhz:g}")
    return best
