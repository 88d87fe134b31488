"""The engine's tables of functions, by one-op Programs: of bins, of whole windows, of tokens."""

import numpy as np
import pytest
from needs import needs
from op_engine import COUNTS, TINY, TOKENS, Case, cases, check, linear, looked_up, rejects, stimulus, token_cases
from random_programs import random_case, random_tokens
from strategies import Example, biased

from edgendt.engine.compile import compile_program
from edgendt.errors import UnsupportedOp
from edgendt.fixed import Int
from edgendt.ops import Attention, Table
from edgendt.program import Node, Program

EXAMPLES, WIRINGS = 60, 60
FAULTS = {
    "the codes are looked up, not their partners": ("table_i, partner3_q[7:0]", "table_i, x3_q[7:0]"),
    "every function is the first": ("raddr_i({table_i, partner3_q", "raddr_i({2'd0, partner3_q"),
    "a negative entry is a large one": ("gate_i ? gelu6 : 16'($signed", "gate_i ? {1'b0, gelu6[14:0]} : 16'($signed"),
}


def formats(rng: np.random.Generator) -> tuple[Int, Int]:
    """Of x and y, of any bits and sign."""
    x = Int(int(rng.choice([2, 5, 8, 8])), int(rng.integers(-1, 6)), bool(rng.random() < 0.7))
    return x, Int(int(rng.choice([2, 6, 8, 8])), int(rng.integers(-1, 9)), bool(rng.random() < 0.7))


def entries(rng: np.random.Generator, op: Table) -> dict[str, np.ndarray]:
    return {"table": biased(rng, op.y, (1 << op.x.bits,))}


def table_case(seed: int) -> Case:
    """A Linear and a function of it; in every other case two functions, the second of the first one's codes."""
    rng = np.random.default_rng(seed)
    inputs, size, (x, y) = int(rng.integers(1, 12)), int(rng.integers(1, 40)), formats(rng)
    first = Table(size, x, y)
    nodes = [linear(rng, "x", inputs, size, COUNTS, x), Node("y", first, ("x",), entries(rng, first))]
    if seed % 2:
        second = Table(size, y, formats(rng)[1])
        nodes.append(Node("z", second, ("y",), entries(rng, second)))
    program = Program(f"table{seed}", inputs, COUNTS, tuple(nodes))
    return program, stimulus(rng, program, 4)


def window_case(seed: int) -> Case:
    """A function before an attention over a whole window, and one behind it."""
    rng = np.random.default_rng(seed)
    heads, inputs, bins = int(rng.integers(1, 4)), int(rng.integers(1, 9)), int(rng.integers(2, 9))
    size = heads * int(rng.integers(1, 6))
    x, y = (Int(8, int(frac)) for frac in rng.integers(2, 6, 2))
    op, last = Table(size, x, y), Table(size, x, Int(8, 3, False))
    nodes = [linear(rng, "x", inputs, size, COUNTS, x), Node("y", op, ("x",), entries(rng, op))]
    nodes += [linear(rng, name, size, size, y, x, "y") for name in "qkv"]
    nodes.append(Node("a", Attention(size, heads, bins, x, x, x, x, causal=False), ("q", "k", "v")))
    nodes += [linear(rng, "o", size, size, x, x, "a"), Node("z", last, ("o",), entries(rng, last))]
    program = Program(f"window{seed}", inputs, COUNTS, tuple(nodes))
    return program, stimulus(rng, program, bins)


def token_case(seed: int) -> Case:
    """A function of rows that tokens look up."""
    rng = np.random.default_rng(seed)
    op = Table(int(rng.integers(1, 40)), Int(8, int(rng.integers(2, 6))), formats(rng)[1])
    given = Example(op, (biased(rng, op.x, (9, op.size)),), entries(rng, op))
    return looked_up(f"rows{seed}", given, ["queries"])


@pytest.mark.parametrize("make", [table_case, window_case], ids=["bins", "window"])
def test_the_engine_equals_the_table_of_the_program(make) -> None:  # type: ignore[no-untyped-def]
    needs("verilator")
    assert check(cases(make, EXAMPLES), size=TOKENS).codes > 9 * EXAMPLES


def test_the_engine_equals_the_table_of_rows_that_tokens_look_up() -> None:
    needs("verilator")
    assert check(token_cases(token_case, EXAMPLES), size=TOKENS).codes > 9 * EXAMPLES


@pytest.mark.parametrize("rows", ["bins", "window", "tokens"])
def test_tables_anywhere_in_a_network_are_the_programs(rows: str) -> None:
    needs("verilator")

    def made(seed: int) -> Case:
        if rows == "tokens":
            case = random_tokens(seed, TOKENS.pipes, tables=True)
        else:
            case = random_case(seed, rows == "window", tables=True)
        if not any(isinstance(node.op, Table) for node in case[0].nodes):
            raise UnsupportedOp("program", case[0].name, "no table was drawn")
        return case

    assert check(token_cases(made, WIRINGS), size=TOKENS).mismatches == 0


@pytest.mark.parametrize("fault", FAULTS)
def test_the_bench_rejects(fault: str) -> None:
    needs("verilator")
    assert rejects(cases(table_case, EXAMPLES), *FAULTS[fault], size=TOKENS)


def test_an_engine_without_tables_or_with_too_few_says_so() -> None:
    program, _ = table_case(0)
    with pytest.raises(UnsupportedOp, match="built with tokens = 1"):
        compile_program(program, TINY)
    rng = np.random.default_rng(0)
    ops = [Table(3, Int(8), Int(8, frac)) for frac in range(5)]
    nodes = [linear(rng, "x", 2, 3, COUNTS, Int(8))]
    for op in ops:
        nodes += [
            Node(f"t{op.y.frac}", op, (nodes[-1].name if len(nodes) == 1 else f"l{op.y.frac}",), entries(rng, op))
        ]
        nodes += [linear(rng, f"l{op.y.frac + 1}", 3, 3, op.y, Int(8), nodes[-1].name)]
    with pytest.raises(UnsupportedOp, match="an engine has 4 tables"):
        compile_program(Program("five", 2, COUNTS, tuple(nodes)), TOKENS)
