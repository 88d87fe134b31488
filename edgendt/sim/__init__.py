"""`edgendt sim`: the chain of equality of a run, checked link by link; cocotb and Verilator behind it."""

from edgendt.sim.regression import regress

__all__ = ["regress"]
