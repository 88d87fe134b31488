"""The reference ops equal the golden vectors."""

from __future__ import annotations

import numpy as np
import pytest
from golden_cases import Case, all_cases, group, scalar

from edgendt.fixed import Int, narrow


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
def test_op_equals_the_golden_case(case: Case) -> None:
    got = case.op.run(*case.inputs, **case.constants)
    np.testing.assert_array_equal(got, case.y)


@pytest.mark.parametrize(
    "name,arrays", list(group("narrow")), ids=lambda value: value if isinstance(value, str) else ""
)
def test_narrow_equals_the_golden_case(name: str, arrays: dict[str, np.ndarray]) -> None:
    y = Int(scalar(arrays["bits"]), 0, bool(scalar(arrays["signed"])))
    np.testing.assert_array_equal(narrow(arrays["a"], scalar(arrays["shift"]), y), arrays["y"])
