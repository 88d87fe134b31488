"""The engine's mix of channels: weights as the stationary operand."""

import pytest
from needs import needs
from op_engine import WINDOWS, cases, check, rejects, spatial_case
from rounding import ROUND

EXAMPLES = 60
FAULTS = {
    "weights are signed": ("!unsigned_q[3]", "1'b1"),
    "keys of all phases are those of the first": ("n_keys_o    <= read_keys;", ""),
    "columns go to the lanes of the heads": ("cfg_q.group_segs  <= ins_o.sstride;", ""),
    **ROUND,
}


def test_the_engine_equals_the_spatial_mix_of_the_program() -> None:
    needs("verilator")
    assert check(cases(spatial_case, 200), size=WINDOWS).codes > 200


@pytest.mark.parametrize("fault", FAULTS)
def test_the_bench_rejects(fault: str) -> None:
    needs("verilator")
    assert rejects(cases(spatial_case, EXAMPLES), *FAULTS[fault], size=WINDOWS)
