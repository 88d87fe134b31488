"""The compiler: what it holds, refuses and maps; the cycle model's own laws. What it computes is tested in sim/."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from needs import needs_package
from networks import golden_ndt, random_ndt

from edgendt.engine import layout as lay
from edgendt.engine.compile import UNWRITTEN, Compiled, attempts, choices_of, compile_program
from edgendt.engine.config import Engine
from edgendt.engine.cycles import bound_of, cycles_of, cycles_per_bin, steady, window_of
from edgendt.engine.formats import same_heads
from edgendt.engine.phases import shaped
from edgendt.engine.reference import S
from edgendt.errors import DoesNotFit, UnsupportedOp
from edgendt.fixed import Int
from edgendt.ops import Add, Attention, LayerNorm, Linear, Position, Rotary, SpatialMix, SpatialWeights, Transpose
from edgendt.ops.layernorm import eps_code
from edgendt.program import INPUT, Node, Program

ROOT = Path(__file__).parents[1]
SMALL, WINDOW = Engine.named("small"), Engine.named("window")
ROOMY = replace(
    SMALL,
    kv_depth=1 << 15,
    weight_depth=1 << 16,
    act_depth=8192,
    bias_depth=8192,
    pos_depth=8192,
    gamma_depth=8192,
    prog_depth=512,
)
COUNTS = Int(4, 0, signed=False)
ACT, WEIGHT, GAMMA, RESIDUAL = Int(8, 4), Int(4), Int(8, 6), Int(12, 6)


def linear(
    name: str, inputs: int, outputs: int, x: Int = COUNTS, y: Int = ACT, w: Int = WEIGHT, source: str = INPUT
) -> Node:
    weight, bias = np.ones((outputs, inputs), np.int64), np.zeros(outputs, np.int64)
    return Node(name, Linear(inputs, outputs, x, w, y), (source,), {"weight": weight, "bias": bias})


def norm(name: str, source: str, size: int, x: Int, y: Int = ACT, gamma: Int = GAMMA) -> Node:
    ones = {"gamma": np.ones(size, np.int64), "beta": np.zeros(size, np.int64)}
    return Node(name, LayerNorm(size, x, gamma, y, eps_code(size, x)), (source,), ones)


def unsupported(*nodes: Node, counts: Int = COUNTS, channels: int = 3) -> str:
    with pytest.raises(UnsupportedOp) as caught:
        compile_program(Program("p", channels, counts, nodes), ROOMY)
    return str(caught.value)


def test_turning_back_is_refused_by_name() -> None:
    nodes = turning((5,))
    back = replace(nodes[1], op=replace(nodes[1].op, inverse=True))
    assert "turns one way only" in unsupported(nodes[0], back)


@pytest.mark.parametrize("name", ["post-LN", "a row per count"])
def test_other_ndts_need_nothing_new(name: str) -> None:
    needs_package("torch")
    from quantized import program_of, trained

    compiled = compile_program(program_of(trained(name)), SMALL)
    assert {tap.op for tap in compiled.taps.values()} >= set(compiled.program.trace_points)


def test_tokens_of_the_counts_own_courses_are_held_by_engines_built_for_windows_alone() -> None:
    needs_package("torch")
    from quantized import program_of, trained

    compiled = compile_program(program_of(trained("stndt, courses of counts")), WINDOW)
    assert {tap.op for tap in compiled.taps.values()} >= set(compiled.program.trace_points)
    with pytest.raises(UnsupportedOp, match="built with windows = 1"):
        compile_program(compiled.program, SMALL)


def test_a_pass_of_scores_says_how_far_a_bin_sees_where_that_is_not_all_of_the_window() -> None:
    whole = random_ndt(1, bins=7, layers=1, causal=False, spatial=1)

    def said(back: int, ahead: int) -> set[int]:
        nodes = [
            replace(node, op=replace(node.op, back=back, ahead=ahead)) if isinstance(node.op, Attention) else node
            for node in whole.nodes
        ]
        compiled = compile_program(replace(whole, nodes=tuple(nodes)), WINDOW)
        passes = [one for one in compiled.instrs if (one["op"], one["mode"]) == (lay.OP_MAC, lay.MODE_SCORE)]
        assert all(one["kv_base"] == 0 for one in passes if "weights" in one.owner)  # between channels
        return {one["kv_base"] for one in passes if "weights" not in one.owner}

    assert said(-1, -1) == said(6, 200) == {0}
    assert said(0, -1) == {1 << lay.SIGHT_BITS} and said(-1, 0) == {1}
    assert said(5, 2) == {6 << lay.SIGHT_BITS | 3}


def test_what_a_bin_does_not_see_is_no_part_of_the_bound() -> None:
    program = random_ndt(1, bins=7, layers=1, d=4, heads=2, causal=False)
    near = [
        replace(node, op=replace(node.op, back=1)) if node.op.kind == "attention" else node for node in program.nodes
    ]
    runs = dict.fromkeys((node.name for node in program.nodes), 7)
    products = [bound_of(one, 7, 1, times=runs) for one in (program, replace(program, nodes=tuple(near)))]
    assert products[0] - products[1] == 2 * 4 * (0 + 0 + 1 + 2 + 3 + 4 + 5)  # score and value, channels, keys


@pytest.mark.parametrize("channels", [3, 9])
def test_rows_of_channels_and_of_bins_lie_side_by_side_as_many_as_there_are_of_the_more(channels: int) -> None:
    bins = 6
    nodes = [linear("h", 3, channels), Node("t", Transpose(channels, bins, ACT), ("h",))]
    nodes.append(linear("row", bins, bins, x=ACT, y=RESIDUAL, source="t"))
    nodes.append(Node("token", Position(bins, channels, RESIDUAL), ("row",), table(channels, bins)))
    nodes += [norm("n", "token", bins, RESIDUAL), *(linear(name, bins, bins, x=ACT, source="n") for name in "qk")]
    shares = Int(8, 7, signed=False)
    nodes.append(Node("w", SpatialWeights(channels, bins, 1, ACT, ACT, shares), ("q", "k")))
    nodes.append(Node("mix", SpatialMix(channels, shares, ACT, ACT), ("w", "h")))
    nodes.append(linear("last", channels, channels, x=ACT, y=RESIDUAL, source="mix"))
    nodes.append(Node("y", Position(channels, bins, RESIDUAL), ("last",), table(bins, channels)))
    compiled = compile_program(Program("p", 3, COUNTS, tuple(nodes)), WINDOW)
    words = -(-bins // WINDOW.pipes) + -(-channels // WINDOW.pipes)
    assert compiled.config["pos_stride"] == words and compiled.sizes["pos"] == words * max(bins, channels)
    rows = compiled.emitter.words.pos
    assert rows is not None and rows.shape[:2] == (max(bins, channels), words)
    assert np.array_equal(rows[:channels].reshape(channels, -1)[:, :bins], table(channels, bins)["table"])


def table(rows: int, size: int) -> dict[str, np.ndarray]:
    return {"table": np.arange(1, rows * size + 1).reshape(rows, size)}


def test_time_courses_up_to_each_bin_are_held_by_engines_built_for_windows_alone() -> None:
    needs_package("torch")
    from quantized import program_of, trained

    compiled = compile_program(program_of(trained("causal stndt")), WINDOW)
    assert {tap.op for tap in compiled.taps.values()} >= set(compiled.program.trace_points)
    with pytest.raises(UnsupportedOp, match=r"layer0\.tokens, layer1\.tokens .* windows = 1: choose `window`"):
        compile_program(compiled.program, SMALL)


def turning(*steps: tuple[int, ...], x: Int = ACT, y: Int = ACT) -> tuple[Node, ...]:
    """A Linear and a Rotary for each of `steps`, of 2 channels a step."""
    nodes = [(linear(f"x{i}", 3, 2 * len(s), y=x), s) for i, s in enumerate(steps)]
    return tuple(one for x_node, s in nodes for one in (x_node, Node(f"y{x_node.name}", turn(s, x, y), (x_node.name,))))


def turn(steps: tuple[int, ...], x: Int, y: Int) -> Rotary:
    return Rotary(2 * len(steps), steps, x, y)


def test_rotary_position_is_held_by_engines_built_for_it_alone() -> None:
    assert "built with rotary = 1" in unsupported(*turning((5,)))
    with pytest.raises(UnsupportedOp, match="built with rotary = 1"):
        compile_program(Program("p", 3, COUNTS, turning((5,))), Engine.named("tiny"))


@pytest.mark.parametrize(
    ("nodes", "why"),
    [
        (turning((5,), x=Int(12, 4)), "its input is signed, of at most 11 bits"),
        (turning((5,), y=Int(9, 4)), "it gives at most 8 bits"),
        (turning((5,), y=Int(8, 15)), r"10 \+ x.frac - y.frac must be 0..63, got -1"),
        (turning((1,) * 100, (2,) * 100), "rotaries of different steps have over 256 channels"),
    ],
)
def test_what_a_turn_cannot_hold_is_refused(nodes: tuple[Node, ...], why: str) -> None:
    with pytest.raises(UnsupportedOp, match=why):
        compile_program(Program("p", 3, COUNTS, nodes), replace(ROOMY, rotary=1))


def test_a_program_without_position_rows_has_no_last_bin() -> None:
    program = random_ndt(1, rotary=True)
    compiled = compile_program(program, Engine.named("streaming"))
    assert compiled.image.max_bins == compiled.config["max_bins"] == 0


@pytest.mark.parametrize(("heads", "copies"), [(1, 0), (2, 0), (4, 2)])
def test_pairs_that_share_a_word_are_turned_in_the_order_of_the_scores(heads: int, copies: int) -> None:
    program = random_ndt(1, d=16, layers=1, heads=heads, rotary=True)
    compiled = compile_program(program, Engine.named("streaming"))
    assert sum("~" in instr.owner for instr in compiled.instrs) == copies


def test_the_tap_map_names_every_code_of_every_trace_point_once() -> None:
    for program in (golden_ndt()[0], random_ndt(3, d=15, heads=3, ffn=37, window=50, outputs=5)):
        mapped = sorted(compile_program(program, ROOMY).tap_map.values())
        assert mapped == sorted((name, i) for name in program.trace_points for i in range(program.node(name).op.size))


def test_a_code_that_no_tap_showed_is_no_code() -> None:
    program = random_ndt(1)
    codes = compile_program(program, SMALL).decode([np.zeros((0, 3), np.int64)])
    assert set(codes) == set(program.trace_points)
    assert all((values == UNWRITTEN).all() for values in codes.values())


def test_an_ndt_layer_is_eleven_instructions_when_its_heads_work_at_once() -> None:
    one, two = (len(compile_program(random_ndt(1, layers=layers), SMALL).instrs) for layers in (1, 2))
    assert two - one == 11


def test_the_image_is_the_program_and_fits_the_link() -> None:
    program = random_ndt(2)
    image = compile_program(program, SMALL).image
    assert (image.channels, image.outputs, image.max_bins) == (program.channels, program.outputs, program.max_bins)
    assert dict(image.engine) == SMALL.parameters()
    assert {section.mem for section in image.sections} == set(range(8))


@pytest.mark.parametrize(
    "field, sizes",
    [
        ("weight_depth", {"ffn": 1024, "d": 64}),
        ("kv_depth", {"window": 256, "d": 64}),
        ("pos_depth", {"bins": 1500}),
        ("prog_depth", {"layers": 12}),
        ("bias_depth", {"d": 256, "ffn": 1000}),
        ("gamma_depth", {"d": 128, "layers": 3}),
    ],
)
def test_a_model_that_does_not_fit_says_what_to_change(field: str, sizes: dict[str, int]) -> None:
    engine = replace(ROOMY, **{field: getattr(SMALL, field)})
    program = random_ndt(1, **sizes)
    with pytest.raises(DoesNotFit) as caught:
        compile_program(program, engine)
    assert f"raise {field} to " in caught.value.advice
    raised = int(caught.value.advice.partition(" to ")[2].partition(" ")[0])
    assert compile_program(program, replace(engine, **{field: raised}))


def test_accumulators_wider_than_the_engine_s_are_refused() -> None:
    program = Program("p", 3, COUNTS, (linear("y", 3, 2),), accumulator=Int(28))
    with pytest.raises(DoesNotFit, match="acc_bits = 28"):
        compile_program(program, SMALL)
    assert compile_program(program, replace(SMALL, acc_bits=28))


def test_what_no_unit_holds_is_named() -> None:
    wide, r = Int(9, 4), Int(12, 6)
    assert "y is not supported: a weight has at most 8 bits" in unsupported(linear("y", 3, 2, w=Int(9)))
    assert "z is not supported: the array multiplies 8-bit" in unsupported(
        linear("h", 3, 2, y=wide), linear("z", 2, 2, wide, source="h")
    )
    assert "at most 16 bits" in unsupported(linear("y", 3, 2, y=Int(17)))
    assert "at most 8-bit counts" in unsupported(linear("y", 257, 2), channels=257)
    assert "gamma has at most 8 bits" in unsupported(linear("h", 3, 2, y=r), norm("n", "h", 2, r, gamma=Int(9)))
    assert "it gives at most 8 bits" in unsupported(linear("h", 3, 2, y=r), norm("n", "h", 2, r, y=Int(9)))
    assert "at most 256 channels" in unsupported(linear("h", 3, 300, y=r), norm("n", "h", 300, r))
    assert "'h' has more than 8 bits and other readers" in unsupported(
        linear("h", 3, 2, y=r), linear("g", 3, 2, y=r), norm("n", "h", 2, r), Node("s", Add(2, r), ("g", "h"))
    )


def test_attentions_of_different_windows_are_refused() -> None:
    form = Int(8, 4)
    nodes = [linear(f"{name}{i}", 3, 4) for i in range(2) for name in "qkv"]
    for i in range(2):
        op = Attention(4, 2, 5 + i, form, form, form, form)
        nodes.append(Node(f"a{i}", op, (f"q{i}", f"k{i}", f"v{i}")))
    assert "size, heads and window must equal" in unsupported(*nodes)


@given(st.integers(1, 8), st.integers(1, 12), st.integers(1, 3), st.integers(1, 60), st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_cycles_by_op_sum_to_the_total_and_stay_above_the_bound(
    heads: int, width: int, layers: int, ffn: int, window: int
) -> None:
    program = random_ndt(1, d=heads * width, heads=heads, layers=layers, ffn=ffn, window=window)
    compiled = compile_program(program, ROOMY)
    for bin in (0, window // 2, window + 3):
        cycles = cycles_of(compiled, bin)
        assert sum(cycles.by_op.values()) == cycles.total
        assert set(cycles.by_op) <= {node.name for node in program.nodes} | {"sync"}
        assert cycles.bound < cycles.total and 0 < cycles.efficiency < 1


def test_cycles_are_the_same_once_the_window_is_full() -> None:
    cycles = cycles_per_bin(compile_program(random_ndt(1, window=9), SMALL), 30)
    assert cycles[:9] == sorted(set(cycles[:9])) and set(cycles[8:]) == {cycles[8]}


def test_the_fastest_schedule_is_chosen() -> None:
    program = random_ndt(1, d=64, ffn=128, window=32)
    tried = [compile_program(program, SMALL, choice) for choice in choices_of(SMALL, same_heads(program))]
    assert cycles_of(compile_program(program, SMALL), 32).total == min(cycles_of(one, 32).total for one in tried)
    assert len(tried) > 2


def test_the_bound_counts_products_and_weight_bits() -> None:
    program = Program("p", 5, COUNTS, (linear("y", 5, 7, w=Int(8)),))
    assert bound_of(program, 1, 4) == 9  # 35 products over 4 multipliers
    attention = random_ndt(1, d=16, heads=2, window=8)
    assert bound_of(attention, 8, 1) - bound_of(attention, 4, 1) == 2 * 2 * 4 * 16  # layers, score and value, keys, d


def test_words_of_the_longest_pass_fit_their_fields() -> None:
    sizes = {"channels": 256, "d": 256, "layers": 8, "heads": 8, "ffn": 1024, "window": 256, "outputs": 256}
    engine = Engine(
        segments=1,
        lanes=4,
        pipes=2,
        weight_depth=1 << 20,
        kv_depth=1 << 18,
        bias_depth=8192,
        act_depth=8192,
        res_depth=512,
        pos_depth=8192,
        score_depth=1024,
        gamma_depth=8192,
        prog_depth=1024,
    )
    smaller = sizes | {"layers": 1}
    compiled: Compiled = compile_program(random_ndt(1, **smaller, bins=8), engine)
    assert max(instr["n_tiles"] for instr in compiled.instrs) == 256
    assert all(instr.word() < 1 << lay.INSTR_BITS for instr in compiled.instrs)


def test_the_reference_network_fits_the_full_engine() -> None:
    compiled = compile_program(S.program(), Engine.named("full"))
    cycles = cycles_of(compiled, S.window - 1)
    assert cycles.total <= 3300 and compiled.sizes["weights"] <= 2048


def test_whole_windows_are_held_by_engines_built_for_them_alone() -> None:
    program = random_ndt(1, bins=7, causal=False)
    with pytest.raises(UnsupportedOp, match="built with windows = 1: choose `window`"):
        compile_program(program, SMALL)
    assert compile_program(program, WINDOW).image.max_bins == 14  # a start for each bin's counts, one for each answer


def test_what_a_whole_window_cannot_hold_is_refused_by_name() -> None:
    whole = Attention(3, 1, 7, ACT, ACT, ACT, ACT, causal=False)
    mixed = [Node("y", whole, ("q", "k", "v")), Node("z", replace(whole, causal=True), ("y~", "k2", "v2"))]
    feeds = [linear(name, 3, 3) for name in ("q", "k", "v")]
    again = [linear(name, 3, 3, x=ACT, source="y") for name in ("y~", "k2", "v2")]
    last, back = linear("out", 3, 3, x=ACT, source="y"), Node("t", Transpose(3, 7, ACT), ("q",))
    with pytest.raises(UnsupportedOp, match="no attention may stream: take ahead=0"):
        compile_program(Program("p", 3, COUNTS, (*feeds, mixed[0], *again, mixed[1])), WINDOW)
    read = linear("u", 7, 7, x=ACT, source="t")
    assert compile_program(Program("p", 3, COUNTS, (*feeds, back, read, mixed[0], last)), WINDOW)
    summed = Node("s", Add(7, ACT), ("t", "u"))
    with pytest.raises(UnsupportedOp, match=r"transpose at t .* read by LayerNorms and Linears alone"):
        compile_program(Program("p", 3, COUNTS, (*feeds, back, read, summed, mixed[0], last)), WINDOW)
    with pytest.raises(UnsupportedOp, match=r"weights at layer0.weights .* its 4 heads work at once"):
        compile_program(random_ndt(1, bins=8, causal=False, spatial=4), replace(WINDOW, pipes=2))
    with pytest.raises(UnsupportedOp, match="built with windows = 1"):
        compile_program(random_ndt(1, bins=8, causal=False, spatial=2), SMALL)


def test_what_a_stream_between_channels_cannot_hold_is_refused_by_name() -> None:
    courses = [linear("h", 3, 3), Node("t", Transpose(3, 4, ACT, causal=True), ("h",)), norm("n", "t", 4, ACT)]
    pair = [linear(name, 4, 4, x=ACT, source="n") for name in "qk"]
    shares = Int(8, 7, signed=False)
    weights = Node("w", SpatialWeights(3, 4, 1, ACT, ACT, shares), ("q", "k"))
    out = Node("y", SpatialMix(3, shares, ACT, Int(12, 6)), ("w", "h"))
    assert compile_program(Program("p", 3, COUNTS, (*courses, *pair, weights, out)), WINDOW)
    sums = [
        linear("x", 4, 3, x=ACT, source="n"),
        linear("w2", 3, 3, x=shares, source="w"),
        Node("s", Add(3, ACT), ("x", "w2")),
    ]
    late = Node("y", SpatialMix(3, ACT, ACT, Int(12, 6)), ("s", "h"))
    with pytest.raises(UnsupportedOp, match=r"linear at x .* a sum over channels is made in the loop"):
        compile_program(Program("p", 3, COUNTS, (*courses, *pair, weights, *sums, late)), WINDOW)
    parts = [linear(name, 3, 3) for name in ("q2", "k2", "v2")]
    longer = Node("a", Attention(3, 1, 5, ACT, ACT, ACT, ACT), ("q2", "k2", "v2"))
    with pytest.raises(UnsupportedOp, match=r"transpose at t .* the window of every attention in time"):
        compile_program(Program("p", 3, COUNTS, (*courses, *pair, weights, *parts, longer, out)), WINDOW)


def test_every_bin_of_a_stream_between_channels_runs_all_its_loops() -> None:
    compiled = compile_program(random_ndt(1, d=6, window=4, bins=9, spatial=2), WINDOW)
    assert compiled.loops == (1, 6, 6, 6, 1, 6, 6, 6, 1)
    starts = cycles_per_bin(compiled, 9)
    assert starts == sorted(starts) and len(set(starts[3:])) == 1
    bins = [cycles_of(compiled, bin) for bin in range(9)]
    assert [one.total for one in bins] == starts and all(sum(one.by_op.values()) == one.total for one in bins)


def test_rows_that_later_bins_look_back_at_lie_apart_and_are_never_moved() -> None:
    compiled = compile_program(random_ndt(1, d=6, layers=3, window=4, bins=9, spatial=1), WINDOW)
    kept = [instr["dst_base"] for instr in compiled.instrs if instr["rows_dst"] and instr["dst"] & lay.DST_RES]
    assert len(kept) == len(set(kept)) == 3  # each layer's input, written once
    stride = compiled.config["res_stride"]
    assert all(compiled.sizes["res"] - 4 * stride <= base < compiled.sizes["res"] - 3 * stride for base in kept)


def test_the_cycles_of_a_window_are_those_of_its_starts() -> None:
    compiled = compile_program(random_ndt(1, layers=3, bins=7, causal=False), WINDOW)
    starts = [cycles_of(compiled, start) for start in range(14)]
    assert [one.total for one in starts] == cycles_per_bin(compiled, 7)
    for first in (0, 6):
        window = window_of(compiled, first)
        assert window.total == sum(one.total for one in starts[first:]) == sum(window.by_op.values())
    assert window_of(compiled) == steady(compiled) and starts[6].total > 7 * starts[5].total


def test_layers_take_turns_at_the_memory_of_keys_and_values() -> None:
    sizes = [compile_program(random_ndt(1, layers=n, bins=9, causal=False), WINDOW).sizes for n in (1, 2, 3, 6)]
    assert sizes[0]["kv"] < sizes[1]["kv"] == sizes[2]["kv"] == sizes[3]["kv"]
    assert {(one["act"], one["res"]) for one in sizes[1:]} == {(sizes[1]["act"], sizes[1]["res"])}


def test_what_is_kept_for_every_bin_and_channel_lies_behind_the_rest() -> None:
    for program in (random_ndt(1, bins=9, causal=False), random_ndt(1, d=6, bins=9, causal=False, spatial=1)):
        compiled = compile_program(program, WINDOW)
        rows = [instr for instr in compiled.instrs if instr["rows_dst"] and not instr["dst"] & lay.DST_RES]
        flat = compiled.sizes["act"] - 9 * compiled.config["act_stride"]
        assert rows and all(flat <= instr["dst_base"] < flat + compiled.config["act_stride"] for instr in rows)


def test_a_shape_says_all_of_the_configuration_that_phases_change() -> None:
    compiled = compile_program(random_ndt(1, d=6, bins=8, layers=1, causal=False, spatial=2), WINDOW)
    shapes = [shaped(compiled.config, phase[0]) for phase in compiled.phases]
    assert shapes[0] == shapes[1] == shapes[-1] == compiled.config
    assert [shape["window"] for shape in shapes] == list(compiled.loops) == [8, 8, 6, 6, 6, 8]
    assert (shapes[3]["head_dim"], shapes[4]["head_dim"], shapes[4]["groups"]) == (4, 6, 1)


def test_memory_contents_are_made_of_the_schedule_that_is_taken_alone() -> None:
    every = attempts(golden_ndt()[0], Engine.named("full"))
    assert len(every) > 1 and not any("sections" in vars(one) for one in every)
    assert every[0].image.sections == every[0].sections != ()
