"""Comparison: exact, and able to fail."""

from __future__ import annotations

import numpy as np
import pytest
from networks import random_ndt

from edgendt.compare import Tally, compare
from edgendt.fixed import Int
from edgendt.ops import CrossAttention, Lookup
from edgendt.program import INDEX, Axis, Input, Node, Program


def codes(bins: int = 4, size: int = 3) -> np.ndarray:
    return np.arange(bins * size, dtype=np.int64).reshape(bins, size)


def test_equal_codes_are_counted_and_pass() -> None:
    assert compare("x", {"a": codes(), "b": codes()}, {"a": codes(), "b": codes()}) == Tally(2, 24, 0, None, 4)


def test_one_code_off_by_one_is_named_with_link_op_bin_and_index() -> None:
    wrong = codes()
    wrong[2, 1] += 1
    tally = compare("engine", {"a": codes(), "b": codes()}, {"a": codes(), "b": wrong})
    assert tally.mismatches == 1
    assert str(tally.first) == "engine: op b, bin 2, index 1: expected 7, got 8"


@pytest.mark.parametrize("got", [{}, {"a": codes()[:3]}, {"a": codes()[:, :2]}, {"a": codes(5)}, {"a": codes(4, 4)}])
def test_missing_or_surplus_codes_are_mismatches(got: dict[str, np.ndarray]) -> None:
    tally = compare("x", {"a": codes()}, got)
    assert tally.mismatches > 0 and tally.first is not None


def test_the_earliest_bin_is_reported_first() -> None:
    late, early = codes(), codes()
    late[3, 0] = early[1, 2] = 99
    tally = compare("x", {"a": codes(), "b": codes()}, {"a": late, "b": early})
    assert tally.first is not None and (tally.first.op, tally.first.row) == ("b", {"bin": 1})


def stndt(causal: bool) -> Program:
    """Three channels of five bins."""
    return random_ndt(1, 3, 3, 1, 1, 5, 5, 2, 5, spatial=1, causal=causal)


def poyo() -> Program:
    """Rows of tokens, of three latents and of queries."""
    code = Int(8, 4)
    tables = {"table": np.array([[1, 2], [3, 4]]), "kinds": np.array([[0, 0]])}
    inputs = (*(Input(name, 2, Axis(name)) for name in ("tokens", "queries")), Input.constant("latents", [[0, 0]] * 3))
    rows = [Node(f"look.{one.name}", Lookup(2, 2, 1, code), (one.name,), tables) for one in inputs]
    attend = CrossAttention(2, 1, 9, code, code, code, code)
    read = Node("read", attend, ("look.latents", "look.tokens", "look.tokens"))
    write = Node("write", attend, ("look.queries", "read", "read"))
    return Program("poyo", 0, INDEX, (*rows, read, write), inputs=inputs)


def first_of(program: Program, op: str, row: int) -> str:
    """What is said where one code of an op is wrong."""
    many, bins = len(program.open_axes), 5
    given = {"tokens": [[0, 0]] * 7, "queries": [[1, 0]] * 4} if many > 1 else np.ones((bins, program.channels), int)
    expected = program.trace(given)
    wrong = {name: codes.copy() for name, codes in expected.items()}
    wrong[op][row, 1] += 1
    tally = compare("torch", expected, wrong, program)
    assert tally.mismatches == 1 and tally.first is not None
    return str(tally.first).partition(":")[2].partition(":")[0].strip()


@pytest.mark.parametrize(
    "program, op, row, said",
    [
        (stndt(causal=False), "readout", 4, "op readout, bin 4, index 1"),
        (stndt(causal=False), "layer0.tokens", 2, "op layer0.tokens, channel 2, index 1"),
        (stndt(causal=True), "readout", 4, "op readout, bin 4, index 1"),
        (stndt(causal=True), "layer0.tokens", 3 * 4 + 2, "op layer0.tokens, bin 4, channel 2, index 1"),
        (poyo(), "look.tokens", 6, "op look.tokens, token 6, index 1"),
        (poyo(), "read", 2, "op read, latent 2, index 1"),
        (poyo(), "write", 3, "op write, query 3, index 1"),
    ],
)
def test_a_row_is_called_what_it_is(program: Program, op: str, row: int, said: str) -> None:
    assert first_of(program, op, row) == said


def test_of_a_stream_the_earliest_bin_is_first_also_where_a_bin_has_several_rows() -> None:
    program = stndt(causal=True)
    expected = program.trace(np.ones((5, program.channels), int))
    wrong = {name: codes.copy() for name, codes in expected.items()}
    wrong["layer0.tokens"][3 * 4, 0] += 1
    wrong["readout"][2, 0] += 1
    tally = compare("engine", expected, wrong, program)
    assert tally.first is not None and (tally.first.op, tally.first.row) == ("readout", {"bin": 2})
