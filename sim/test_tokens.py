"""Networks of windows of tokens on the engine's RTL, compiled: every op of every row, every start's cycles."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from needs import needs, needs_package

needs_package("torch")

from networks import random_counts  # noqa: E402
from op_engine import TOKENS, Case, engine, rejects, run  # noqa: E402
from poyos import CUTS, random_poyo, tokens, windows  # noqa: E402
from random_programs import random_tokens  # noqa: E402
from test_engine import geometry as streaming  # noqa: E402
from test_windows import BUILDS as WHOLE  # noqa: E402
from test_windows import geometry as whole  # noqa: E402

from edgendt.engine.compile import compile_program  # noqa: E402
from edgendt.engine.config import Engine  # noqa: E402
from edgendt.engine.cycles import cycles_per_row  # noqa: E402
from edgendt.errors import DoesNotFit, UnsupportedOp  # noqa: E402
from edgendt.program import Program  # noqa: E402
from edgendt.qat.formats import Bits  # noqa: E402
from edgendt.qat.poyo import given  # noqa: E402
from edgendt.sim import rtl  # noqa: E402
from edgendt.sim.fast import FastCore  # noqa: E402
from edgendt.tabled import tabled  # noqa: E402

ROOM = {"rotary": 1, "tokens": 1, "acc_bits": 28, "score_depth": 1024, "weight_depth": 1 << 17}
BUILDS = {name: replace(WHOLE[name], **ROOM) for name in ("narrow", "odd", "wide")}
GEOMETRIES = 12  # networks per engine


@pytest.fixture(scope="module", params=BUILDS)
def core(request: pytest.FixtureRequest) -> FastCore:
    needs("verilator")
    return FastCore(BUILDS[request.param])


def geometry(seed: int, engine: Engine) -> Program:
    """A random POYO whose every size is drawn, heads of whole words of this engine."""
    rng = np.random.default_rng(seed)
    bits = Bits(weight=int(rng.integers(2, 9)), residual=int(rng.choice([8, 10, 12, 16])))
    return random_poyo(
        seed,
        bits,
        dim=int(rng.integers(1, 40)),
        depth=int(rng.integers(1, 4)),
        latents=int(rng.integers(1, 5)),
        head_size=engine.pipes * int(rng.integers(1, 1 + 24 // engine.pipes)),
        cross_heads=int(rng.integers(1, 4)),
        self_heads=int(rng.integers(1, 5)),
        outputs=int(rng.integers(1, 5)),
    )


def equal(core: FastCore, program: Program, window: Mapping[str, Any]) -> None:
    tally = run((program, window), core)
    assert tally.mismatches == 0, f"{program.name}: {tally.first}"


def test_random_poyos_are_exact_at_every_op_in_the_predicted_cycles(core: FastCore) -> None:
    first = GEOMETRIES * list(BUILDS.values()).index(core.engine)
    for seed in range(first, first + GEOMETRIES):
        program = geometry(seed, core.engine)
        for window in windows()[seed % 3 :: 2]:
            equal(core, program, window)


def test_their_keys_and_values_from_tables_are_exact_in_fewer_cycles(core: FastCore) -> None:
    first = GEOMETRIES * list(BUILDS.values()).index(core.engine)
    for seed in range(first, first + GEOMETRIES, 2):
        program = geometry(seed, core.engine)
        equal(core, tabled(program), windows()[seed // 2 % 3])
        made, looked = (cycles_per_row(compile_program(one, core.engine), 9, 1) for one in (program, tabled(program)))
        assert looked[0] < made[0] and looked[-1] == made[-1]


def test_the_random_poyos_are_different_and_reach_far() -> None:
    drawn = [geometry(seed, BUILDS["narrow"]) for seed in range(GEOMETRIES)]
    assert len({repr([node.op for node in program.nodes]) for program in drawn}) == GEOMETRIES
    assert {sum(node.name.endswith(".attention") for node in program.nodes) for program in drawn} == {3, 4, 5}


def test_windows_of_other_lengths_streams_and_whole_windows_follow_each_other(core: FastCore) -> None:
    """One build, one network after the other: nothing of a window outlives it."""
    poyo = random_poyo(1, depth=1, head_size=8)
    for window in (*windows(), *windows()[::-1]):
        equal(core, poyo, window)
    windowed = (whole(3), whole(4, core.engine), whole(5, rotary=True))
    for program in (streaming(1, core.engine), streaming(2, core.engine), *windowed, streaming(1, core.engine)):
        equal(core, program, random_counts(program, 7, program.bins or min(program.max_bins or 9, 9)))
    equal(core, poyo, windows()[1])


def test_a_window_broken_off_anywhere_leaves_nothing_behind(core: FastCore) -> None:
    program, window = random_poyo(2, depth=1, head_size=8), windows()[1]
    compiled = compile_program(program, core.engine)
    core.load(compiled)
    starts = compiled.starts(window)
    for stop in (1, 2, len(starts) - 3, len(starts) - 2, len(starts) - 1, len(starts)):
        core.reset()
        for row in starts[:stop]:
            core.step(row)
        assert np.array_equal(core.run(window)[0], program.run(window)), stop


def test_a_thousand_keys_are_exact() -> None:
    """More than 24 bits hold, and than eight bits count."""
    needs("verilator")
    program, core = random_poyo(3, depth=1, head_size=8), FastCore(BUILDS["odd"])
    window, rng = dict(given(tokens(CUTS[:1]), 0)), np.random.default_rng(0)
    more = rng.integers(0, len(window["token_ms"]), 1000)
    equal(core, program, window | {"tokens": window["tokens"][more], "token_ms": np.sort(window["token_ms"][more])})


def test_random_wirings_of_tokens_are_exact_or_refused() -> None:
    """Programs that are no POYO: keys and results unturned, rows of many Lookups, what is kept for later phases."""
    needs("verilator")
    core, held = engine(size=TOKENS), 0
    for seed in range(250):
        try:
            case = random_tokens(seed, TOKENS.pipes)
            tally = run(case, core)
        except (UnsupportedOp, DoesNotFit):
            continue
        assert tally.mismatches == 0, f"{case[0].name}: {tally.first}"
        held += 1
    assert held >= 150


def test_random_wirings_whose_attentions_read_rows_are_exact_or_refused() -> None:
    """Lookups of all axes, turned or not, several of one; and what `tabled` makes of these networks."""
    needs("verilator")
    core, held = engine(size=TOKENS), {"as they are": 0, "tabled": 0}
    for seed in range(150):
        try:
            program, window = random_tokens(seed, TOKENS.pipes, looked=True)
        except UnsupportedOp:
            continue
        for name, one in {"as they are": program, "tabled": tabled(program)}.items():
            if name == "as they are" or one is not program:
                try:
                    tally = run((one, window), core)
                except (UnsupportedOp, DoesNotFit):
                    continue
                assert tally.mismatches == 0, f"{one.name}, {name}: {tally.first}"
                held[name] += 1
                assert np.array_equal(one.run(window), program.run(window))
    assert held["as they are"] >= 80 and held["tabled"] >= 5, held


def test_a_window_goes_in_and_out_at_the_stream_ports(tmp_path: Path) -> None:
    """Each token in a packet, each query's answer asked for by another, streams that idle and stall."""
    needs("verilator"), needs("g++")
    program, size = random_poyo(4, depth=1, head_size=4, latents=1), replace(TOKENS, prog_depth=256)
    compiled = compile_program(program, size)
    trials = [{name: codes[:few] for name, codes in windows()[1].items()} for few in (9, 5)]
    traced = rtl.trace(compiled, trials, tmp_path, idle=0.3, stall=0.3)
    tally = rtl.check(program, trials, traced)
    assert tally.first is None and tally.ops == len(program.trace_points)
    rtl.check_cycles(compiled, trials, [trial.cycles for trial in traced])


def test_what_goes_in_with_a_start_is_bytes() -> None:
    compiled = compile_program(random_poyo(0, depth=1, head_size=8), BUILDS["odd"])
    starts = compiled.starts(windows()[0])
    assert starts.shape == (70, compiled.image.channels) and 0 <= starts.min() <= starts.max() <= compiled.limit == 255
    assert np.flatnonzero(starts[:, 1] & 128).tolist() == [59]


def test_a_window_fills_the_cache_and_one_more_token_is_refused_with_what_fits() -> None:
    needs("verilator")
    program, size = random_poyo(0, depth=1, head_size=8), replace(TOKENS, kv_depth=512, prog_depth=256)
    most, window = compile_program(program, size).most, windows()[0]
    assert 0 < most < 60
    equal(FastCore(size), program, _first(window, most))
    with pytest.raises(DoesNotFit, match=f"a window of {most + 1} tokens: this engine has room for {most} with poyo0"):
        compile_program(program, size).starts(_first(window, most + 1))


def _first(window: Mapping[str, Any], tokens: int) -> dict[str, Any]:
    """The window's first tokens, and all its queries."""
    return {name: codes[:tokens] if name in ("tokens", "token_ms") else codes for name, codes in window.items()}


def test_an_engine_without_tokens_says_what_it_takes() -> None:
    with pytest.raises(UnsupportedOp, match="an engine without tokens = 1 takes counts per bin"):
        compile_program(random_poyo(0, depth=1), WHOLE["odd"])


FAULTS = {
    "the last token is not marked": ("assign token_last  = row_q[15]", "assign token_last  = row_q[14]"),
    "a token of one kind is one of another": ("? kind_q[12:0] : 13'd0", "? 13'd0 : 13'd0"),
    "a token's row is the first": ("raw.add_pos ? row_q[12:0]", "raw.add_pos ? 13'd0"),
    "latents turn by the last token's time": ("timed_row ? own : row_time", "row_time"),
    "tokens turn by their number": ("if (timed) time_q", "if (1'b0) time_q"),
    "values are not turned back": ("Tokens != 0 && negate_i ?", "1'b0 ?"),
    "a window has a key more": ("tokens_q <= slot_o + 1'b1", "tokens_q <= slot_o + 2'd2"),
    "its last tile of keys is not looked at": ("tiles_q  <= tile_q + 9'd1", "tiles_q  <= tile_q"),
    "every gate's table is the first": ("{table_i, partner3_q[7:0]}", "{2'd0, partner3_q[7:0]}"),
    "all queries of a window are one phase": ("wraps || of_tokens || of_queries;", "wraps;"),
    "angles go on from head to head": ("if (is_turn) gb_q <= ins_q.bias_base", "if (1'b0) gb_q <= '0"),
    "turned values lie where the first token's do": ("sfu_ins.kv_base + 18'(slot >>", "sfu_ins.kv_base + 18'(11'd0 >>"),
    "long sums lose their highest bit": (".SumBits(Tokens != 0 ? 19 : 16)", ".SumBits(11)"),
}


def witnesses() -> list[Case]:
    """Windows of two lengths through two networks, each twice, and wirings."""
    poyos = [(random_poyo(seed, depth=1, head_size=4), window) for seed in (1, 2) for window in windows()[1:]]
    return [*2 * poyos, *(random_tokens(seed) for seed in (0, 2, 5))]


def test_the_bench_rejects_rows_of_a_table_cut_short() -> None:
    needs("verilator")
    case = tabled(random_poyo(1, depth=1, head_size=4)), windows()[1]
    cut = "raw.add_pos ? row_q[12:0]", "raw.add_pos ? {5'd0, row_q[7:0]}"
    assert rejects([case], *cut, size=replace(TOKENS, prog_depth=256))


@pytest.mark.parametrize("fault", FAULTS)
def test_the_bench_rejects(fault: str) -> None:
    needs("verilator")
    assert rejects(witnesses(), *FAULTS[fault], size=replace(TOKENS, prog_depth=256))
