"""The golden cases of an op, each as a Program on the engine's RTL: all of them can be carried."""

import numpy as np
import pytest
from golden_cases import Case, all_cases
from needs import needs
from op_engine import carried, check
from strategies import Example


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
def test_the_engine_equals_the_golden_case(case: Case) -> None:
    needs("verilator")
    program, counts = carried(case.name, Example(case.op, case.inputs, case.constants))
    np.testing.assert_array_equal(program.run(counts), case.y)
    assert check([(program, counts)]).codes >= case.y.size
