"""The engine's weights between channels: shares of the heads added up, rounded once."""

import pytest
from needs import needs
from op_engine import WINDOWS, cases, check, rejects, spatial_case

EXAMPLES = 60
FAULTS = {
    "only the last head counts": ("first8_i ? 44'd0 : p9_q", "44'd0"),
    "heads are added at fractions of their own": ("ABits'(x5_q) <<< shift5_i", "ABits'(x5_q)"),
    "a head is divided by another's sum": (".share_group_i(s_q[5].group)", ".share_group_i(s_q[4].group)"),
    "the exponentials are those of the first head": ("+int'(s_q[2].group))%Pipes", ")%Pipes"),
    "the mean is rounded down": ("floor9_i(s_q[9].op == SfuExp)", "floor9_i(s_q[9].op == SfuExp || share)"),
}


def test_the_engine_equals_the_spatial_weights_of_the_program() -> None:
    needs("verilator")
    assert check(cases(spatial_case, 200), size=WINDOWS).codes > 200


@pytest.mark.parametrize("fault", FAULTS)
def test_the_bench_rejects(fault: str) -> None:
    needs("verilator")
    assert rejects(cases(spatial_case, EXAMPLES), *FAULTS[fault], size=WINDOWS)
