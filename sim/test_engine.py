"""Whole networks on the engine's RTL, compiled: every op, every bin's cycles, one build for many networks."""

from dataclasses import replace

import numpy as np
import pytest
from needs import needs, needs_package, shared
from networks import golden_ndt, random_counts, random_ndt, random_of
from op_engine import COUNTS, engine, linear, run, stimulus
from random_programs import random_case
from trained import trained

from edgendt.compare import Tally, compare
from edgendt.engine.compile import choices_of, compile_program
from edgendt.engine.config import Engine
from edgendt.engine.cycles import cycles_per_bin
from edgendt.engine.formats import same_heads
from edgendt.engine.reference import M, Network, S
from edgendt.errors import DoesNotFit, UnsupportedOp
from edgendt.fixed import Codes, Int
from edgendt.ops import Add, Attention, LayerNorm
from edgendt.ops.layernorm import eps_code
from edgendt.program import INPUT, Node, Program
from edgendt.sim.fast import FastCore, SimulationStuck

NARROW = Engine(
    segments=1,
    lanes=4,
    pipes=2,
    weight_depth=1 << 14,
    kv_depth=1 << 13,
    bias_depth=2048,
    act_depth=2048,
    score_depth=256,
    prog_depth=256,
)
ENGINES = {
    "narrow": NARROW,
    "odd": Engine(
        segments=4,
        lanes=11,
        pipes=4,
        sfus=2,
        acc_bits=28,
        weight_depth=1 << 18,
        kv_depth=1 << 15,
        bias_depth=8192,
        act_depth=8192,
        res_depth=256,
        pos_depth=8192,
        score_depth=1024,
        gamma_depth=4096,
        prog_depth=512,
        packed=1,
        rotary=1,
    ),
    "split": replace(NARROW, segments=2, lanes=6, splits=2),
    "wide": replace(NARROW, segments=8, lanes=8, pipes=8, sfus=4, gamma_depth=1024, packed=1, splits=4, rotary=1),
}
GEOMETRIES = 52  # networks per engine
LONG = 36  # of them with whole trials; two bins of the others


@pytest.fixture(scope="module", params=ENGINES)
def core(request: pytest.FixtureRequest) -> FastCore:
    needs("verilator")
    return FastCore(ENGINES[request.param])


def geometry(seed: int, engine: Engine) -> Program:
    """A random NDT whose every size is drawn, odd ones included; one in three is wide, deep, or its window wraps.

    Where the engine and the size of a head allow it, two in three are by rotary position.
    """
    rng = np.random.default_rng(seed)
    wide, deep, long = (seed % 9 == kind for kind in (0, 3, 6))
    heads = int(rng.integers(1, 9))
    widest = min(128, int((engine.lane_count * engine.weight_depth / 6) ** 0.5))  # four matrices of d x d, and the rest
    least, most = (64, widest) if wide else (1, 36 if deep else 48)
    window, channels = int(rng.integers(1, 24)), int(rng.integers(1, 40))
    width = int(rng.integers(-(-least // heads), max(2, most // heads + 1)))
    return random_ndt(
        seed,
        channels=channels,
        d=heads * width,
        layers=1 if wide else int(rng.integers(4, 7)) if deep else int(rng.integers(1, 4)),
        heads=heads,
        ffn=int(rng.integers(1, 30 if wide else 80)),
        window=window,
        outputs=int(rng.integers(1, 50)),
        bins=2 * window + 2 if deep or long else 12,
        weight=int(rng.integers(2, 9)),
        residual=int(rng.choice([8, 10, 12, 16])),
        counts=int(rng.integers(1, 9)),
        per_channel=bool(rng.integers(2)),
        mixed=seed % 2 == 1,
        rotary=bool(engine.rotary) and width % 2 == 0 and seed % 3 > 0,
    )


def on_engine(core: FastCore, program: Program, counts: Codes, choice: object = None) -> Tally:
    """Every trace point, output and cycle count of one trial."""
    core.load(compile_program(program, core.engine, choice))  # type: ignore[arg-type]
    return core.compared(counts)


def seeds(engine: Engine) -> range:
    """Every build has its own."""
    first = GEOMETRIES * list(ENGINES.values()).index(engine)
    return range(first, first + GEOMETRIES)


def test_random_geometries_are_exact_at_every_op_in_the_predicted_cycles_on_one_build(core: FastCore) -> None:
    for place, seed in enumerate(seeds(core.engine)):
        program = geometry(seed, core.engine)
        rows = program.max_bins or 12
        bins = 2 if place >= LONG else rows if rows != 12 else 3 + seed % 10
        tally = on_engine(core, program, random_counts(program, seed, bins))
        assert tally.mismatches == 0, f"{program.name}: {tally.first}"


def test_the_random_geometries_are_two_hundred_different_ones_and_reach_far() -> None:
    drawn = [geometry(seed, engine) for engine in ENGINES.values() for seed in seeds(engine)]
    ops = [[node.op for node in program.nodes] for program in drawn]
    attentions = [[op for op in one if isinstance(op, Attention)] for one in ops]
    assert len({repr(one) for one in ops}) == len(drawn) >= 200
    assert max(one[0].size for one in attentions) > 100 and max(map(len, attentions)) == 6
    assert sum((p.max_bins or 0) > 2 * one[0].window for p, one in zip(drawn, attentions, strict=True)) > 20


def test_the_golden_network_is_exact_under_every_schedule(core: FastCore) -> None:
    program, counts, expected = golden_ndt()
    for choice in choices_of(core.engine, same_heads(program)):
        tally = on_engine(core, program, counts, choice)
        assert tally.mismatches == 0, f"{choice}: {tally.first}"
    assert set(expected) == set(program.trace_points)


def test_the_cache_turns_around_in_a_long_trial_with_the_widest_window() -> None:
    needs("verilator")
    core = FastCore(ENGINES["odd"])
    program = random_ndt(5, d=12, layers=1, heads=3, ffn=8, window=256, bins=520)
    tally = on_engine(core, program, random_counts(program, 5, 520))
    assert tally.mismatches == 0, str(tally.first)


def test_the_largest_geometry_is_exact() -> None:
    needs("verilator")
    core = FastCore(ENGINES["odd"])
    sizes = {"channels": 256, "d": 256, "layers": 8, "heads": 8, "ffn": 1024, "window": 256, "outputs": 256}
    program = random_ndt(3, **sizes, bins=16, counts=8)
    tally = on_engine(core, program, random_counts(program, 3, 2))
    assert tally.mismatches == 0, str(tally.first)


@pytest.mark.parametrize("network, engine", [(S, "full"), (M, "large")])
def test_a_reference_network_is_exact_on_the_engine_that_is_made_for_it(network: Network, engine: str) -> None:
    """Past the window's first turn."""
    needs("verilator")
    bins = network.window + 3
    program = random_of(network, 1, bins)
    tally = on_engine(FastCore(Engine.named(engine)), program, random_counts(program, 1, bins))
    assert tally.mismatches == 0, str(tally.first)


@pytest.mark.parametrize("name", ["post-LN", "a row per count"])
def test_ndts_of_other_wiring_are_exact(name: str) -> None:
    needs_package("torch")
    from quantized import program_of, spikes
    from quantized import trained as quantized

    needs("verilator")
    q = quantized(name)
    program = program_of(q)
    tally = on_engine(FastCore(Engine.named("small")), program, program.clip(spikes(q.config, 1)[0])[0])
    assert tally.mismatches == 0 and tally.ops == len(program.trace_points), str(tally.first)


def test_a_trial_starts_afresh_after_a_reset_in_its_middle(core: FastCore) -> None:
    program = geometry(1, core.engine)
    counts = random_counts(program, 1, 9)
    core.load(compile_program(program, core.engine))
    core.run(counts)
    core.run(counts[:5])
    assert np.array_equal(core.run(counts)[0], program.run(counts))


def test_a_bin_past_the_last_position_row_is_refused_until_reset(core: FastCore) -> None:
    program = random_ndt(2, bins=12)
    counts = random_counts(program, 2, 12)
    core.load(compile_program(program, core.engine))
    core.run(counts)
    with pytest.raises(SimulationStuck, match="refused"):
        core.step(counts[0])
    assert np.array_equal(core.run(counts[:2])[0], program.run(counts[:2]))


def test_counts_beyond_the_input_format_are_clipped(core: FastCore) -> None:
    program = random_ndt(4, counts=3, bins=4)
    core.load(compile_program(program, core.engine))
    counts = np.full((2, program.channels), 200, np.int64)
    assert np.array_equal(core.run(counts)[0], program.run(program.clip(counts)[0]))


def test_codes_with_several_readers_in_several_memories_are_exact(core: FastCore) -> None:
    """Not an NDT: one 8-bit Linear read by a Linear, two LayerNorms and an Add; a LayerNorm added back."""
    rng = np.random.default_rng(9)
    form, size = Int(8, 4), 13
    ln = LayerNorm(size, form, Int(8, 6), form, eps_code(size, form))

    def norm(name: str, source: str) -> Node:
        gamma, beta = rng.integers(-100, 100, size), rng.integers(-(1 << 15), 1 << 15, size)
        return Node(name, ln, (source,), {"gamma": gamma, "beta": beta})

    nodes = (
        linear(rng, "h", 7, size, COUNTS, form),
        norm("n1", "h"),
        linear(rng, "a", size, size, form, form, "h"),
        norm("n2", "h"),
        Node("s", Add(size, form), ("h", "n1")),
        linear(rng, "b", size, size, form, form, "n2"),
        Node("t", Add(size, form), ("s", "b")),
        Node("u", Add(size, form), ("t", "a")),
        linear(rng, "side", 7, size, COUNTS, form, INPUT),
        Node("y", Add(size, form), ("u", "side")),
    )
    program = Program("many", 7, COUNTS, nodes)
    tally = on_engine(core, program, stimulus(rng, program, 5))
    assert tally.mismatches == 0, str(tally.first)


def test_two_attentions_keep_their_own_formats() -> None:
    needs("verilator")
    rng, nodes = np.random.default_rng(3), []
    for layer, fracs in enumerate([(2, 3, 4, 5), (5, 4, 1, 2)]):
        q, k, v, y = (Int(8, frac) for frac in fracs)
        source, size, x = ("y0", 8, Int(8, 5)) if layer else (INPUT, 5, COUNTS)
        nodes += [
            linear(rng, f"{name}{layer}", size, 8, x, form, source) for name, form in zip("qkv", (q, k, v), strict=True)
        ]
        op = Attention(8, 2, 4, q, k, v, y)
        nodes.append(Node(f"y{layer}", op, tuple(f"{name}{layer}" for name in "qkv")))
    program = Program("formats", 5, COUNTS, tuple(nodes))
    tally = run((program, stimulus(rng, program, 9)), engine())
    assert tally.mismatches == 0, str(tally.first)


def test_random_wirings_of_all_ops_are_exact_or_refused() -> None:
    """Programs that are no NDT: buffers, tags and barriers of the compiler under every order of ops."""
    needs("verilator")
    held = 0
    for seed in range(250):
        try:
            case = random_case(seed)
            tally = run(case, engine())
        except (UnsupportedOp, DoesNotFit):
            continue
        assert tally.mismatches == 0, f"{case[0].name}: {tally.first}"
        held += 1
    assert held >= 150


def test_two_thousand_bins_of_a_recording_are_exact_at_the_output_in_the_predicted_cycles() -> None:
    """A trained network of the default size on the demo's engine, real counts in stretches of its longest trial."""
    needs("verilator")
    with np.load(shared("realdata/miller_reach_myow.npz")) as data:
        spikes = [data[f"{name}/spikes"] for name in ("chewie_20131003_100ms_all", "chewie_20131003_50ms_moving")]
    program, _ = trained("chewie")
    core = FastCore(Engine.named("small"))
    compiled = compile_program(program, core.engine)
    core.load(compiled)
    rows, seen = program.max_bins or 100, 0
    model = cycles_per_bin(compiled, rows)
    counts = program.clip(np.concatenate(spikes)[:, : program.channels])[0]
    for start in range(0, len(counts), rows):
        stretch = counts[start : start + rows]
        output, cycles, _ = core.run(stretch)
        tally = compare("engine", {program.output: program.run(stretch)}, {program.output: output})
        assert tally.mismatches == 0, str(tally.first)
        assert cycles.tolist() == model[: len(stretch)]
        seen += len(stretch)
    assert seen >= 2000


def test_long_recorded_trials_that_turn_the_window_around_are_exact_in_the_predicted_cycles() -> None:
    """Two trials of 182 neurons in 5 ms bins, each as one trial of the engine: twenty windows and more."""
    needs("verilator")
    with np.load(shared("realdata/mc_maze_2trials_1ms.npz")) as data:
        spikes = [data[f"{name}/spikes"].astype(np.int64) for name in ("trial_748", "trial_1356")]
    trials = [one[: len(one) // 5 * 5].reshape(-1, 5, one.shape[1]).sum(axis=1) for one in spikes]
    assert [len(trial) for trial in trials] == [647, 713]
    program = random_ndt(1, channels=182, d=32, ffn=64, window=32, outputs=182, bins=713)
    core = FastCore(ENGINES["odd"])
    compiled = compile_program(program, core.engine)
    core.load(compiled)
    model = cycles_per_bin(compiled, 713)
    for trial in trials:
        counts = program.clip(trial)[0]
        output, cycles, _ = core.run(counts)
        tally = compare("engine", {program.output: program.run(counts)}, {program.output: output})
        assert tally.mismatches == 0, str(tally.first)
        assert cycles.tolist() == model[: len(counts)]
