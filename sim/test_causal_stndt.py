"""Streams whose channels attend to each other on the engine's RTL, compiled: every op, every bin's cycles."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from needs import needs
from networks import random_counts, random_ndt
from op_engine import TOKENS, WINDOWS, Case, engine, rejects, run
from random_programs import has, held, random_case
from test_engine import geometry as streaming
from test_engine import on_engine
from test_windows import BUILDS

from edgendt.engine.compile import choices_of, compile_program
from edgendt.engine.config import Engine
from edgendt.engine.formats import same_heads
from edgendt.ops import Transpose
from edgendt.program import Program
from edgendt.sim import rtl
from edgendt.sim.fast import FastCore

GEOMETRIES = 20  # networks per engine
ROOMY = replace(WINDOWS, prog_depth=128)
WIDE = replace(BUILDS["wide"], act_depth=8192)


@pytest.fixture(scope="module", params=BUILDS)
def core(request: pytest.FixtureRequest) -> FastCore:
    needs("verilator")
    return FastCore(BUILDS[request.param])


def geometry(seed: int, engine: Engine) -> Program:
    """A random causal STNDT whose every size is drawn; a third turns by time, others have twice its window's rows."""
    rng = np.random.default_rng(seed)
    rotary = bool(engine.rotary) and seed % 3 == 0
    heads = int(rng.integers(1, 5)) << rotary
    window = 1 if seed % 9 == 0 else int(rng.integers(2, 14))
    groups = engine.segments, engine.pipes // engine.sfus, engine.words  # heads between channels take a group each
    spatial = [one for one in (1, 2, 4, 8) if window % one == 0 and all(n >= one and n % one == 0 for n in groups)]
    return random_ndt(
        seed,
        channels=int(rng.integers(1, 30)),
        d=heads * int(rng.integers(1, 1 + 24 // heads)),
        layers=int(rng.integers(1, 4)),
        heads=heads >> rotary,
        ffn=int(rng.integers(1, 40)),
        outputs=int(rng.integers(1, 30)),
        bins=int(rng.integers(2, 4)) * window + 3,
        window=window,
        weight=int(rng.integers(2, 9)),
        residual=int(rng.choice([8, 10, 12, 16])),
        counts=int(rng.integers(1, 9)),
        per_channel=bool(rng.integers(2)),
        mixed=seed % 2 == 1,
        rotary=rotary,
        spatial=int(rng.choice(spatial)),
    )


def past_its_window(program: Program, seed: int) -> Case:
    return program, random_counts(program, seed, program.max_bins or 40)


def test_random_causal_stndts_are_exact_at_every_op_in_the_predicted_cycles(core: FastCore) -> None:
    first = GEOMETRIES * list(BUILDS.values()).index(core.engine)
    for seed in range(first, first + GEOMETRIES):
        tally = on_engine(core, *past_its_window(geometry(seed, core.engine), seed))
        assert tally.mismatches == 0, f"random{seed}: {tally.first}"


def test_the_random_networks_are_different_and_go_past_their_windows() -> None:
    drawn = [past_its_window(geometry(seed, engine), seed) for engine in BUILDS.values() for seed in range(GEOMETRIES)]
    courses = [[node.op for node in program.nodes if isinstance(node.op, Transpose)] for program, _ in drawn]
    assert all(len(counts) > 2 * ops[0].bins for ops, (_, counts) in zip(courses, drawn, strict=True))
    assert {len(ops) for ops in courses} == {1, 2, 3} and min(ops[0].bins for ops in courses) == 1


def test_a_causal_stndt_is_exact_under_every_schedule(core: FastCore) -> None:
    program = random_ndt(1, d=12, heads=4, bins=13, window=5, layers=1, spatial=1)
    for choice in choices_of(core.engine, same_heads(program)):
        tally = on_engine(core, program, random_counts(program, 1, 13), choice)
        assert tally.mismatches == 0, f"{choice}: {tally.first}"


def test_streams_and_windows_follow_each_other_and_a_trial_begins_with_an_empty_ring(core: FastCore) -> None:
    looped = random_ndt(2, d=8, window=4, bins=11, spatial=1)
    whole, plain = random_ndt(3, d=8, bins=5, causal=False, spatial=1), streaming(1000, core.engine)
    for program, bins in [(looped, 11), (whole, 5), (looped, 3), (plain, 6), (looped, 11)]:
        tally = on_engine(core, program, random_counts(program, 7, bins))
        assert tally.mismatches == 0, f"{program.name}: {tally.first}"
    counts = random_counts(looped, 8, 11)
    for bins in (1, 3, 4, 5, 10):
        core.reset()
        for row in counts[:bins]:
            core.step(row)
        assert np.array_equal(core.run(counts)[0], looped.run(counts)), bins


def test_its_bins_go_in_and_out_at_the_stream_ports(tmp_path: Path) -> None:
    """Each bin's counts in a packet, streams that idle and stall."""
    needs("verilator"), needs("g++")
    program = random_ndt(8, channels=7, d=6, ffn=9, layers=1, window=4, bins=9, outputs=5, spatial=2)
    compiled, trials = compile_program(program, WINDOWS), [random_counts(program, seed, 9) for seed in range(2)]
    traced = rtl.trace(compiled, trials, tmp_path, idle=0.3, stall=0.3)
    tally = rtl.check(program, trials, traced)
    assert tally.first is None and tally.ops == len(program.trace_points)
    rtl.check_cycles(compiled, trials, [trial.cycles for trial in traced])


@pytest.mark.parametrize("size", [ROOMY, TOKENS])
def test_random_wirings_are_exact_or_refused(size: Engine) -> None:
    """Streams that are no STNDT: several looks back at once, at what has other readers, mixes of other codes."""
    needs("verilator")
    found = held(engine(size=size), lambda seed: random_case(seed, courses=True), 600, has(Transpose))
    courses = [sum(isinstance(node.op, Transpose) for node in one.program.nodes) for one in found]
    assert len(found) >= 70 and max(len(one.phases) for one in found) >= 9 and sum(many > 1 for many in courses) >= 10


def test_random_wirings_that_embed_what_they_look_back_at_are_exact_or_refused() -> None:
    needs("verilator")
    found = held(engine(size=ROOMY), lambda seed: random_case(seed, courses=True, embedded=True), 200, has(Transpose))
    assert len(found) >= 30


FAULTS = {
    "the ring begins at its newest row": ("next_q && !inside_q || enter", "next_q && !inside_q"),
    "a ring has no first row": ("13'(cur_q.ins.kv_base) + channel", "add_q + res_stride_i"),
    "a ring turns a row late": ("gather && older_q == 9'd1", "gather && older_q == 9'd2"),
    "what the last trial left is read before the first bin": ("!(Windows != 0 && blank_q)", "1'b1"),
    "the last trial's rows count": ("blank_q     <= n_keys_o", "blank_q     <= 1'b0 && n_keys_o"),
    "a bin forgets its place behind its loops": ("if (leave) {", "if (1'b0) {"),
    "channels begin at the bin's slot": ("|| trial_reset_i || enter)", "|| trial_reset_i)"),
    "a bin is answered in front of its loops": ("finish && !enter && (", "finish && ("),
    "a loop repeats its SHAPE": ("if (shape && inside_q) phase_q", "if (1'b0) phase_q"),
    "rows of channels begin where a bin's would": ("        act_row_q   <= '0;\n", ""),
    "channels turn by angles of their own": ("finish && rows_q.loop && !inside_q", "finish && rows_q.loop"),
}


def witnesses() -> list[Case]:
    """Networks past their windows, twice, for the second needs the first's ring to be empty; one turns behind loops."""
    found = [random_ndt(seed, d=6, bins=11, window=4, layers=1, ffn=6, heads=1 + seed, spatial=2) for seed in (0, 1)]
    found.append(random_ndt(2, d=6, heads=1, bins=11, window=4, layers=2, ffn=6, spatial=1, rotary=True))
    return 2 * [(program, random_counts(program, 1, 11)) for program in found]


@pytest.mark.parametrize("fault", FAULTS)
def test_the_bench_rejects(fault: str) -> None:
    needs("verilator")
    assert rejects(witnesses(), *FAULTS[fault], size=ROOMY)


def looks_back_first() -> Case:
    """The first loop over channels begins long before the bin's angles are all there, which only later layers read."""
    program = random_ndt(
        1, channels=1, d=96, layers=2, heads=1, ffn=4, outputs=1, bins=9, window=2, spatial=1, rotary=True
    )
    gone = [f"layer0.{name}" for name in "ln1 q k v q_rot k_rot attention o res1 ln2 f1 f2 res2".split()]
    nodes = [
        replace(node, inputs=tuple(name.replace("layer0.res2", "embed_linear") for name in node.inputs))
        for node in program.nodes
        if node.name not in gone
    ]
    program = replace(program, nodes=tuple(nodes))
    return program, random_counts(program, 1, 9)


def test_angles_that_are_not_all_there_when_loops_begin_stay_the_bins() -> None:
    needs("verilator")
    assert run(looks_back_first(), engine(size=WIDE)).mismatches == 0


def test_the_bench_rejects_angles_of_a_channels_slot() -> None:
    needs("verilator")
    assert rejects([looks_back_first()], "slots_q <= again_o", "slots_q <= rows_q.loop", size=WIDE)
