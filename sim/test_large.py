"""What `kria` and `kria-window` have and no smaller engine.

Activations beyond 2^15 bytes, keys of 512 channels, joined memories, position words beyond 2^12.
"""

from dataclasses import replace

import pytest
from needs import needs, needs_package

needs_package("torch")

from networks import random_counts, random_ndt  # noqa: E402
from op_engine import TOKENS, Case, engine, rejects, run  # noqa: E402
from poyos import random_poyo, windows  # noqa: E402

from edgendt.engine.compile import compile_program  # noqa: E402

LARGE = replace(
    TOKENS,
    **{"segments": 4, "lanes": 8, "pipes": 16, "sfus": 4, "key_size": 512, "ultra": 1, "act_depth": 8192},
    **{"bias_depth": 2048, "pos_depth": 4096, "res_depth": 2048, "score_depth": 256, "prog_depth": 256},
)

PLAIN = replace(LARGE, tokens=0, rotary=0, key_size=256)  # as kria-window, its lanes fewer and its cache deeper
PLAIN = replace(PLAIN, pos_depth=4608, res_depth=4608, kv_depth=5120)


def far() -> Case:
    """An STNDT whose kept rows reach beyond 2^15 bytes."""
    program = random_ndt(9, 60, d=110, layers=1, heads=2, ffn=16, outputs=9, bins=110, causal=False, spatial=2)
    return program, random_counts(program, 9, program.bins or 0)


def wide() -> Case:
    """A POYO whose tokens' keys have 512 channels, in several tiles of keys."""
    program = random_poyo(4, depth=1, latents=1, dim=8, head_size=64, cross_heads=8, self_heads=2)
    return program, windows()[0]


def placed() -> Case:
    """An STNDT of the public layout: rows of 182 channels beside those of 180 bins."""
    sizes = {"d": 182, "layers": 1, "heads": 2, "ffn": 16, "outputs": 9, "bins": 180}
    program = random_ndt(5, 60, **sizes, causal=False, spatial=2, courses=True)
    return program, random_counts(program, 5, 180)


CASES = {
    "rows beyond 2^15 bytes": (far, LARGE),
    "keys of 512 channels": (wide, LARGE),
    "positions beyond 2^12 words": (placed, PLAIN),
}


@pytest.mark.parametrize("case", CASES)
def test_windows_are_exact_at_every_op_in_the_predicted_cycles(case: str) -> None:
    needs("verilator")
    make, size = CASES[case]
    tally = run(make(), engine(size=size))
    assert tally.mismatches == 0, str(tally.first)


def test_the_networks_need_what_the_engine_has() -> None:
    sizes = compile_program(placed()[0], PLAIN).sizes
    assert sizes["pos"] > 1 << 12 and sizes["act"] * PLAIN.pipes > 1 << 15
    assert compile_program(far()[0], LARGE).sizes["act"] * LARGE.pipes > 1 << 15
    compiled = compile_program(wide()[0], LARGE)
    assert len(windows()[0]["token_ms"]) > LARGE.lane_count
    assert max(instr["n_red"] for instr in compiled.instrs) == 512


FAULTS = {
    "the highest bits of a byte's address are lost": (far, "xbase[16:15]", "2'd0"),
    "a tile of keys begins behind 256 channels": (wide, "10'(HeadBits'(ins_o.n_red))", "10'(8'(ins_o.n_red))"),
    "lanes of one word are those of another": (
        far,
        "kv_write[l*8+7], kv_write[l*8+:8]",
        "kv_write[7], kv_write[7:0]",
    ),
    "the highest bit of a position's address is lost": (
        placed,
        "n_q[5].add_addr[$clog2(PosDepth)-1:0]",
        "{1'b0, n_q[5].add_addr[11:0]}",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_bench_rejects(fault: str) -> None:
    needs("verilator")
    case, old, new = FAULTS[fault]
    assert rejects([case()], old, new, size=PLAIN if case is placed else LARGE)
