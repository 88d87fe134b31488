"""The serial core: ops and networks, exact in the predicted cycles; at the engine's ports; and its seeded faults."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bench import mutate
from needs import needs
from networks import golden_ndt, random_counts, random_ndt
from op_engine import Case, add_case, attention_case, carried, cases, layernorm_case, linear_case, position_case, run
from ties import attention_ties, layernorm_ties

from edgendt.engine.compile import compile_program
from edgendt.engine.config import Engine
from edgendt.errors import DoesNotFit, EdgendtError
from edgendt.sim import rtl
from edgendt.sim.fast import FastCore, core_sources

TINY = Engine.named("tiny")
ROOMY = replace(TINY, bias_depth=2048, act_depth=2048, score_depth=256, gamma_depth=512, prog_depth=256)
FAULTS = {
    "a tie is rounded up": ("assign up    = half_q && (rest_q || sum_q[0]);", "assign up    = half_q;"),
    "dropped bits are forgotten": ("rest_q <= rest_q || half_q || sum_q[2:0] != '0;", "rest_q <= rest_q || half_q;"),
    "a negative sum saturates high": ("fitted = above;", "fitted = ~above;"),
    "an unsigned result may be negative": ("if (neg && !low) fitted = '0;", "if (neg && !low) fitted = above;"),
    "the last key is left out": ("10'(n_keys_q) - 10'd1", "10'(n_keys_q) - 10'(n_keys_q != 9'd1) - 10'd1"),
    "the window does not turn": ("if (slot_q == window_q - 9'd1) begin", "if (slot_q == window_q) begin"),
    "half a word of a key falls on another": ("ins.dst.kcol && !beyond", "ins.dst.kcol"),
    "a mean is squared as if short": ("16'($signed(s1_q[24:16])) + 16'(s1_q[15])", "16'($signed(s1_q[24:16]))"),
    "the variance loses its epsilon": ("{10'd0, ins.kv_base, 16'd16, 1'b1}", "{10'd0, ins.kv_base, 16'd15, 1'b1}"),
    "a table is folded wrongly": ("{at[8], 2'b00, at[7:0]}", "{1'b0, 2'b00, at[7:0]}"),
    "a far key has weight": ("zero_q    <= sum_q[SumBits-1:12] != '0;", "zero_q    <= 1'b0;"),
    "a row of values is a word off": (
        "row_q <= row_q + KAddr'(window_q);",
        "row_q <= row_q + KAddr'(window_q) + 1'b1;",
    ),
    "a cycle is lost": ("TailB: state_q <= TailC;", "TailB: state_q <= is_score ? Keep : TailC;"),
}


def op_cases(count: int) -> list[Case]:
    """One-op Programs of every kind, ties among them."""
    drawn = (linear_case, add_case, position_case, layernorm_case, attention_case)
    ties = [carried(f"tie {index}", one) for index, one in enumerate([*layernorm_ties(), *attention_ties()])]
    return [case for make in drawn for case in cases(make, count)] + cases(wide_epsilon, 10) + ties


def wide_epsilon(seed: int) -> Case:
    """A LayerNorm whose epsilon takes both fields of its instruction and decides its result."""
    program, counts = layernorm_case(seed)
    norm = program.nodes[-1]
    nodes = (*program.nodes[:-1], replace(norm, op=replace(norm.op, eps_code=(3 << 24) + 5)))
    return replace(program, nodes=nodes), counts


def networks(count: int) -> list[Case]:
    """Networks of odd and even sizes whose window turns."""
    found = []
    for seed in range(count):
        heads, wide = 1 + seed % 5, seed % 4 == 3
        program = random_ndt(
            seed,
            channels=5 + seed % 7,
            d=heads * (2 + seed % 6) * (1 + 2 * wide),
            layers=1 + seed % 3,
            heads=heads,
            ffn=9 + 8 * (seed % 5),
            window=1 + seed % 9,
            outputs=4 + seed % 11,
            bins=2 * (1 + seed % 9) + 2,
            residual=(8, 12, 16)[seed % 3],
            per_channel=seed % 2 == 0,
            mixed=seed % 3 == 1,
        )
        found.append((program, random_counts(program, seed, program.max_bins or 1)))
    return found


def exposed(core: FastCore, given: Sequence[Case]) -> str | None:
    """The first difference, hang or broken assertion; None without any."""
    for program, counts in given:
        try:
            tally = run((program, counts), core)
        except DoesNotFit:
            continue
        except EdgendtError as error:
            return str(error)
        if tally.mismatches:
            return f"{program.name}: {tally.first}"
    return None


@pytest.fixture(scope="module")
def core() -> FastCore:
    needs("verilator"), needs("g++")
    return FastCore(ROOMY)


def test_every_op_is_exact_in_the_predicted_cycles(core: FastCore) -> None:
    assert exposed(core, op_cases(60)) is None


def test_whole_networks_are_exact_at_every_op_in_the_predicted_cycles(core: FastCore) -> None:
    assert exposed(core, networks(36)) is None


@pytest.mark.parametrize("fault", FAULTS)
def test_the_comparison_rejects(fault: str) -> None:
    needs("verilator"), needs("g++")
    broken = FastCore(ROOMY, mutate(core_sources(serial=True), *FAULTS[fault]))
    assert exposed(broken, [*networks(36), *op_cases(20)]) is not None


@pytest.mark.parametrize("clipped", [True, False])
def test_counts_beyond_the_input_format_are_clipped_unless_a_fault_lets_them_pass(clipped: bool) -> None:
    needs("verilator"), needs("g++")
    fault = ("count_data_i > max_count_q ? max_count_q : count_data_i", "count_data_i")
    core = FastCore(ROOMY, None if clipped else mutate(core_sources(serial=True), *fault))
    program = random_ndt(4, counts=3, bins=4)
    core.load(compile_program(program, ROOMY))
    counts = np.full((2, program.channels), 200, np.int64)
    assert np.array_equal(core.run(counts)[0], program.run(program.clip(counts)[0])) == clipped


def test_at_the_engines_ports_the_golden_network_is_exact(tmp_path: Path) -> None:
    needs("verilator"), needs("g++")
    program, counts, _ = golden_ndt()
    compiled = compile_program(program, replace(ROOMY, kv_depth=1 << 12))
    traced = rtl.trace(compiled, [counts], tmp_path, idle=0.2, stall=0.2)
    assert rtl.check(program, [counts], traced).first is None
    rtl.check_cycles(compiled, [counts], [traced[0].cycles])
