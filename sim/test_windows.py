"""Networks of whole windows on the engine's RTL, compiled: every op of every bin, every start's cycles."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from needs import needs, needs_package
from networks import random_counts, random_ndt
from op_engine import WINDOWS, Case, engine, rejects
from random_programs import has, held, random_case
from test_engine import ENGINES, on_engine
from test_engine import geometry as streaming

from edgendt.artifact import Run
from edgendt.engine.compile import choices_of, compile_program
from edgendt.engine.config import Engine
from edgendt.engine.formats import same_heads
from edgendt.ops import Attention, Position, Rotary, Transpose
from edgendt.ops.attention import ALL
from edgendt.program import BINS, Node, Program
from edgendt.sim import rtl
from edgendt.sim.fast import FastCore, SimulationStuck

ROOM = {"act_depth": 4096, "res_depth": 4096, "pos_depth": 8192, "kv_depth": 1 << 15, "windows": 1}  # a row per bin
ROOM |= {"prog_depth": 1024, "gamma_depth": 4096, "bias_depth": 8192}
BUILDS = {name: replace(engine, **ROOM) for name, engine in ENGINES.items()}
TURNING = [name for name, engine in BUILDS.items() if engine.rotary]
GEOMETRIES = 25  # networks per engine


@pytest.fixture(scope="module", params=BUILDS)
def core(request: pytest.FixtureRequest) -> FastCore:
    needs("verilator")
    return FastCore(BUILDS[request.param])


def geometry(
    seed: int, engine: Engine | None = None, rotary: bool = False, courses: bool = False, limited: bool = False
) -> Program:
    """A random bidirectional NDT whose every size is drawn: one to six layers, windows of one bin and more.

    With an engine an STNDT, with as many heads between channels as it takes. rotary: heads of even size. courses: the
    tokens of its first layer are those of the counts. limited: bins do not see all others, see `narrowed`.
    """
    rng = np.random.default_rng(seed)
    heads, deep = int(rng.integers(1, 9)) << rotary, seed % 5 == 0
    bins = 1 if seed % 7 == 0 else int(rng.integers(2, 24))
    groups = (
        (engine.segments, engine.pipes // engine.sfus, engine.words) if engine else (0,)
    )  # heads between channels take a group each
    spatial = [one for one in (1, 2, 4, 8) if bins % one == 0 and all(n >= one and n % one == 0 for n in groups)]
    channels, d = int(rng.integers(1, 40)), heads * int(rng.integers(1, 1 + (16 if deep else 40) // heads))
    program = random_ndt(
        seed,
        channels=min(channels, d) if courses else channels,  # a column each
        d=d,
        layers=int(rng.integers(3, 7)) if deep else int(rng.integers(1, 4)),
        heads=heads >> rotary,
        ffn=int(rng.integers(1, 60)),
        outputs=int(rng.integers(1, 40)),
        bins=bins,
        weight=int(rng.integers(2, 9)),
        residual=int(rng.choice([8, 10, 12, 16])),
        counts=int(rng.integers(1, 9)),
        per_channel=bool(rng.integers(2)),
        mixed=seed % 2 == 1,
        causal=False,
        spatial=int(rng.choice(spatial)) if spatial else 0,
        rotary=rotary,
        courses=courses,
    )
    return narrowed(program, seed) if limited else program


def narrowed(program: Program, seed: int) -> Program:
    """The same, and what a bin sees is each attention's own: none of the bins before it, some or all; and behind it.

    A fourth look back alone, as a stream does.
    """
    rng, bins = np.random.default_rng(seed), program.bins or 1

    def own(node: Node) -> Node:
        if not isinstance(node.op, Attention):
            return node
        back, ahead = (int(reach) for reach in rng.integers(ALL, bins, 2))
        return replace(node, op=replace(node.op, back=back, ahead=0 if rng.random() < 0.25 else ahead))

    return replace(program, nodes=tuple(own(node) for node in program.nodes))


def test_random_bidirectional_networks_are_exact_at_every_op_in_the_predicted_cycles(core: FastCore) -> None:
    first = GEOMETRIES * list(BUILDS.values()).index(core.engine)
    for seed in range(first, first + GEOMETRIES):
        program = geometry(seed)
        tally = on_engine(core, program, random_counts(program, seed, program.bins or 0))
        assert tally.mismatches == 0, f"{program.name}: {tally.first}"


def test_random_stndts_are_exact_at_every_op_in_the_predicted_cycles(core: FastCore) -> None:
    first = GEOMETRIES * list(BUILDS.values()).index(core.engine)
    for seed in range(first, first + GEOMETRIES):
        program = geometry(seed, core.engine)
        tally = on_engine(core, program, random_counts(program, seed, program.bins or 0))
        assert tally.mismatches == 0, f"{program.name}: {tally.first}"


def test_random_stndts_of_the_counts_own_courses_are_exact_at_every_op_in_the_predicted_cycles(core: FastCore) -> None:
    first = 12 * list(BUILDS.values()).index(core.engine)
    for seed in range(first, first + 12):
        program = geometry(seed, core.engine, courses=True)
        tally = on_engine(core, program, random_counts(program, seed, program.bins or 0))
        assert tally.mismatches == 0, f"{program.name}: {tally.first}"


def test_bins_that_see_only_some_others_are_exact_at_every_op_in_the_predicted_cycles(core: FastCore) -> None:
    """Bidirectional NDTs, STNDTs, and those of the counts' own courses, in turn."""
    first = GEOMETRIES * list(BUILDS.values()).index(core.engine)
    for seed in range(first, first + GEOMETRIES):
        program = geometry(seed, core.engine if seed % 3 else None, courses=seed % 3 == 2, limited=True)
        tally = on_engine(core, program, random_counts(program, seed, program.bins or 0))
        assert tally.mismatches == 0, f"{program.name}: {tally.first}"


@pytest.mark.parametrize("name", TURNING)
def test_windows_by_rotary_position_are_exact_at_every_op_in_the_predicted_cycles(name: str) -> None:
    needs("verilator")
    core = FastCore(BUILDS[name])
    for seed in range(GEOMETRIES):
        program = geometry(seed, core.engine if seed % 3 == 0 else None, rotary=True, limited=seed % 2 == 1)
        tally = on_engine(core, program, random_counts(program, seed, program.bins or 0))
        assert tally.mismatches == 0, f"{program.name}: {tally.first}"


def test_the_random_networks_are_different_and_reach_far() -> None:
    drawn = [geometry(seed) for seed in range(GEOMETRIES * len(BUILDS))]
    attentions = [[node.op for node in program.nodes if isinstance(node.op, Attention)] for program in drawn]
    assert len({repr(one) for one in attentions}) > 0.9 * len(drawn)
    assert {program.bins for program in drawn} > {1, 2, 3} and max(map(len, attentions)) == 6


def test_a_window_is_exact_under_every_schedule(core: FastCore) -> None:
    program = random_ndt(1, d=24, heads=4, bins=9, causal=False)
    for choice in choices_of(core.engine, same_heads(program)):
        tally = on_engine(core, program, random_counts(program, 1, 9), choice)
        assert tally.mismatches == 0, f"{choice}: {tally.first}"


def test_a_stream_a_window_and_a_window_after_a_reset_in_its_middle_follow_each_other(core: FastCore) -> None:
    """One build, one network after the other: nothing of a loop outlives its trial."""
    stream, window = random_ndt(3, window=4, bins=11), random_ndt(4, bins=6, causal=False)
    near = narrowed(random_ndt(4, bins=6, causal=False, spatial=1), 24)
    for program, counts in [(stream, 11), (window, 6), (near, 6), (stream, 9), (near, 6), (window, 6)]:
        tally = on_engine(core, program, random_counts(program, 7, counts))
        assert tally.mismatches == 0, f"{program.name}: {tally.first}"
    counts = random_counts(window, 8, 6)
    for starts in (1, 5, 6, 7, 11, 12):
        core.reset()
        for row in np.concatenate([counts, 0 * counts])[:starts]:
            core.step(row)
        assert np.array_equal(core.run(counts)[0], window.run(counts)), starts


def test_streams_are_as_exact_on_an_engine_for_windows(core: FastCore) -> None:
    for seed in range(1000, 1012):
        program = streaming(seed, core.engine)
        tally = on_engine(core, program, random_counts(program, seed, min(program.max_bins or 12, 12)))
        assert tally.mismatches == 0, f"{program.name}: {tally.first}"


def test_behind_the_last_answer_the_engine_waits_for_a_reset(core: FastCore) -> None:
    program = random_ndt(5, bins=3, causal=False)
    counts = random_counts(program, 5, 3)
    core.load(compile_program(program, core.engine))
    core.run(counts)
    with pytest.raises(SimulationStuck, match="refused"):
        core.step(counts[0])


def test_the_widest_window_is_exact() -> None:
    needs("verilator")
    program = random_ndt(6, channels=9, d=12, layers=2, heads=3, ffn=8, bins=256, causal=False)
    tally = on_engine(FastCore(BUILDS["odd"]), program, random_counts(program, 6, 256))
    assert tally.mismatches == 0, str(tally.first)


def test_a_window_goes_in_and_out_at_the_stream_ports(tmp_path: Path) -> None:
    """Each bin's counts in a packet, each answer asked for by another, streams that idle and stall."""
    needs("verilator"), needs("g++")
    program = random_ndt(8, channels=7, d=8, ffn=9, layers=2, bins=4, outputs=5, causal=False)
    compiled, trials = compile_program(program, WINDOWS), [random_counts(program, seed, 4) for seed in range(2)]
    traced = rtl.trace(compiled, trials, tmp_path, idle=0.3, stall=0.3)
    tally = rtl.check(program, trials, traced)
    assert tally.first is None and tally.ops == len(program.trace_points)
    rtl.check_cycles(compiled, trials, [trial.cycles for trial in traced])


@pytest.mark.parametrize("layout", ["Public", "PublicSTNDT"])
def test_public_checkpoints_that_see_eight_bins_back_and_four_ahead_are_exact_as_they_are(
    layout: str, tmp_path: Path
) -> None:
    needs("verilator")
    torch = needs_package("torch")
    import test_checkpoint as public

    from edgendt.config import load_config
    from edgendt.qat.recipe import QuantizeConfig
    from edgendt.quantize import quantize

    torch.manual_seed(0)
    file = public.saved(tmp_path / "public.pth", getattr(public, layout)(), CONTEXT_FORWARD=4, CONTEXT_BACKWARD=8)
    told: list[str] = []
    config = load_config(QuantizeConfig, None, public.QUICK, {"train.checkpoint": str(file)})
    quantize(config, tmp_path, "mine", quiet=True, warn=told.append)
    program = Program.load(Run.open("mine", tmp_path).stage("quantize") / "program.edt")
    sights = {(node.op.back, node.op.ahead) for node in program.nodes if isinstance(node.op, Attention)}
    tally = on_engine(FastCore(Engine.named("window")), program, random_counts(program, 1, public.BINS))
    assert told == [] and sights == {(8, 4)} and tally.mismatches == 0, str(tally.first)


def test_random_wirings_of_whole_windows_are_exact_or_refused() -> None:
    """Programs that are no NDT: what is kept for later phases, counts read late, keys of many attentions."""
    needs("verilator")
    found = held(engine(size=WINDOWS), lambda seed: random_case(seed, whole=True), 300)
    assert len(found) >= 150 and max(len(one.phases) for one in found) >= 5


def test_random_wirings_whose_bins_see_only_some_others_are_exact_or_refused() -> None:
    """Attentions of one phase see each something else."""
    needs("verilator")

    def draw(seed: int) -> Case:
        program, counts = random_case(seed, whole=True, turns=seed % 2 == 1)
        return narrowed(program, seed), counts

    def sights(program: Program) -> set[tuple[int, int]]:
        return {(node.op.back, node.op.ahead) for node in program.nodes if isinstance(node.op, Attention)}

    found = held(engine(size=WINDOWS), draw, 300, has(Attention))
    assert len(found) >= 100 and sum(len(sights(one.program)) > 1 for one in found) >= 20


def test_random_wirings_that_embed_time_courses_are_exact_or_refused() -> None:
    """Transposes that Linears read, rows of channels in any phase, beside rows of bins."""
    needs("verilator")
    found = held(engine(size=WINDOWS), lambda seed: random_case(seed, whole=True, embedded=True), 200, has(Transpose))
    placed = [(one.program, node.name) for one in found for node in one.program.nodes if isinstance(node.op, Position)]
    of_channels = {program.name for program, name in placed if program.axis(name) != BINS}
    assert len(found) >= 60 and len(of_channels) >= 40


def test_random_wirings_with_rotary_position_are_exact_or_refused() -> None:
    needs("verilator")
    found = held(engine(size=WINDOWS), lambda seed: random_case(seed, whole=True, turns=True), 300, has(Rotary))
    assert len(found) >= 60


FAULTS = {
    "a row of the residual is another bin's": ("(rows.add ? add_row : 13'd0)", "13'd0"),
    "a query is read from another bin's row": ("(rows.x ? 17'(act_row_q) << PipeBits : 17'd0)", "17'd0"),
    "kept activations move as the residual does": ("raw.dst.res ? res_row_q : act_row_q", "res_row_q"),
    "positions go on behind the window": ("again ? '0 : pos_off_o", "1'b0 ? '0 : pos_off_o"),
    "rows go on behind the window": ("turns ? '0 : act_row_q", "1'b0 ? '0 : act_row_q"),
    "a phase ends a bin early": ("KeyBits'(cfg_q.window - 9'd1)", "KeyBits'(cfg_q.window - 9'd2)"),
    "the program goes on behind every bin": ("wraps ? pc_q + 1'b1 : phase_q", "pc_q + 1'b1"),
    "a bin is answered without a start": (": rows_q.pause_each", ": 1'b0"),
    "angles are not those of the next bin": ("|| another", ""),
    "bins turn by the number of the start": ("by_slot ? 16'(slot)", "1'b0 ? 16'(slot)"),
    "the maximum leaves out the first key": (">= 14'(first_i)", "> 14'(first_i)"),
    "the maximum takes a key more before the first": (">= 14'(first_i)", "+ 14'd1 >= 14'(first_i)"),
    "the maximum takes a key more behind the last": ("< 14'(stop_i)", "<= 14'(stop_i)"),
    "the maximum is that of all keys": ("<= valid2_q[p] ?", "<= 1'b1 ?"),
    "the sum is that of all keys": ("keys_i[n] ?", "1'b1 ?"),
    "exponentials of all keys weight the values": (": key17_i ?", ": 1'b1 ?"),
    "the first key's exponential is left out": ("key >= first_key", "key > first_key"),
    "the key behind the last weights": ("key < stop_key", "key <= stop_key"),
    "a trial goes on where the last one stopped": ("if (Windows != 0 && trial_reset_i) pc_q <= '0;", ""),
}


POSITIONS = (58, 142)  # wirings with positions in a later phase


def witnesses() -> list[Case]:
    """Windows that need every row, and every key of each: networks and wirings, twice, for the second needs the first's
    reset.
    """
    found = [random_ndt(seed, d=8, bins=5, layers=2, causal=False) for seed in (1, 2)]
    found.append(random_ndt(3, d=8, heads=1, bins=5, layers=2, causal=False, rotary=True))
    found += [narrowed(random_ndt(seed, d=8, heads=1, bins=9, causal=False), seed) for seed in (24, 29, 38)]
    late = [random_case(seed, whole=True) for seed in POSITIONS]
    return 2 * [*((program, random_counts(program, 1, program.bins or 0)) for program in found), *late]


@pytest.mark.parametrize("fault", FAULTS)
def test_the_bench_rejects(fault: str) -> None:
    needs("verilator")
    assert rejects(witnesses(), *FAULTS[fault], size=WINDOWS)
