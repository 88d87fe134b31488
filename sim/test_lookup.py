"""The engine's lookups: rows that the host names, driven by one-op Programs."""

import numpy as np
import pytest
from needs import needs
from op_engine import TOKENS, Case, check, rejects, token_cases
from op_examples import WHOLE, example

from edgendt.fixed import Int
from edgendt.program import INDEX, Axis, Input, Node, Program

EXAMPLES = 60
FAULTS = {
    "a row is another token's": ("raw.add_pos ? row_q[12:0]", "raw.add_pos ? row_q[12:0] + 13'd1"),
    "a kind is another token's": ("? kind_q[12:0] : 13'd0", "? kind_q[12:0] + 13'd1 : 13'd0"),
    "sums wrap": ("if (over) y_o <= hi_q;", "if (1'b0) y_o <= hi_q;"),
}


def lookup_case(seed: int) -> Case:
    """A Lookup of queries, sums beyond both limits."""
    rng, ops = np.random.default_rng(seed), WHOLE["lookup"]
    given = example(ops[seed % len(ops)], rng)
    node = Node("y", given.op, ("queries",), given.constants)
    program = Program(f"lookup{seed}", 0, INDEX, (node,), {}, Int(28), (Input("queries", 2, Axis("queries")),))
    return program, {"queries": given.inputs[0]}


def test_the_engine_equals_the_lookup_of_the_program() -> None:
    needs("verilator")
    assert check(token_cases(lookup_case, EXAMPLES), size=TOKENS).codes > EXAMPLES


@pytest.mark.parametrize("fault", FAULTS)
def test_the_bench_rejects(fault: str) -> None:
    needs("verilator")
    assert rejects(token_cases(lookup_case, EXAMPLES), *FAULTS[fault], size=TOKENS)
