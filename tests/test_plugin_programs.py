"""Programs as hls4ml graphs and back by the plugin: the same op by op; and what a graph may not say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from firmware_cases import CASES
from needs import needs_package
from networks import random_counts, random_ndt

needs_package("torch")
needs_package("hls4ml")

from hls4ml.model.types import FixedPrecisionType  # noqa: E402
from poyos import random_poyo, windows  # noqa: E402
from quantized import program_of as quantized  # noqa: E402
from quantized import spikes, trained  # noqa: E402
from test_firmware_tokens import draw, small  # noqa: E402

from edgendt.engine.image import Image  # noqa: E402
from edgendt.errors import BadInput, UnsupportedOp  # noqa: E402
from edgendt.firmware.described import layer_of  # noqa: E402
from edgendt.firmware.folding import plan  # noqa: E402
from edgendt.firmware.graph import model_graph  # noqa: E402
from edgendt.firmware.layers import LAYERS, EdtConstant, EdtLinear  # noqa: E402
from edgendt.firmware.room import axis_of, layer_names, number  # noqa: E402
from edgendt.firmware.target import Target  # noqa: E402
from edgendt.ops import Linear  # noqa: E402
from edgendt.plugin import NAME  # noqa: E402
from edgendt.plugin.graph import program_of  # noqa: E402
from edgendt.program import Program  # noqa: E402
from edgendt.tabled import tabled  # noqa: E402

QUANTIZED = (
    *("bidirectional", "rotary window", "some bins ahead", "stndt, gelu", "stndt, courses of counts"),
    *("post-LN", "a row per count", "causal stndt", "gelu"),
)


def of_quantized(name: str) -> Callable[[], tuple[Program, Any]]:
    def case() -> tuple[Program, Any]:
        q = trained(name)
        program = quantized(q)
        return program, program.clip(spikes(q.config, 1, seed=4))[0][0]

    return case


def fractions(**geometry: Any) -> Callable[[], tuple[Program, Any]]:
    """Weights of other bits in every layer, of another fraction in every output."""

    def case() -> tuple[Program, Any]:
        program = random_ndt(14, 5, 6, 1, 2, 7, outputs=4, bins=8, per_channel=True, mixed=True, **geometry)
        return program, random_counts(program, 1, 8)

    return case


def of_small() -> tuple[Program, Any]:
    return small(), draw(0, 40, 3)


def poyo() -> tuple[Program, Any]:
    return random_poyo(1, self_heads=2), windows()[1]


def from_a_table() -> tuple[Program, Any]:
    program, given = CASES["tokens"]()
    return tabled(program), given


PROGRAMS: dict[str, Callable[[], tuple[Program, Any]]] = {
    **CASES,
    **{name: of_quantized(name) for name in QUANTIZED},
    "fractions": fractions(),
    "fractions of a window": fractions(causal=False, spatial=2),
    "an axis of two words": of_small,
    "poyo": poyo,
    "keys from a table": from_a_table,
}


def graph_of(program: Program, folder: Path, **most: int) -> Any:
    return model_graph(program, folder, plan(program), Target(backend=NAME), most)


def renamed(program: Program) -> Program:
    """With the names that a graph can have."""
    names = layer_names(program)

    def name(one: str) -> str:
        return names.get(one, one)

    inputs = tuple(
        replace(item, name=name(item.name), axis=item.axis if item.codes is not None else axis_of(number(item.axis)))
        for item in program.inputs
    )
    nodes = tuple(replace(node, name=name(node.name), inputs=tuple(map(name, node.inputs))) for node in program.nodes)
    return replace(program, nodes=nodes, inputs=inputs)


@pytest.mark.parametrize("case", PROGRAMS)
def test_a_program_written_as_layers_comes_back(case: str, tmp_path: Path) -> None:
    program, given = PROGRAMS[case]()
    back, names = program_of(graph_of(program, tmp_path)), layer_names(program)
    assert back == renamed(program)
    if program.inputs:
        given = {names[name]: codes for name, codes in given.items()}
    wanted = renamed(program).trace(given)
    got = back.trace(given)
    assert list(got) == list(wanted)
    for name, codes in wanted.items():
        np.testing.assert_array_equal(got[name], codes, err_msg=name)


def test_every_layer_of_ours_is_in_one_of_them() -> None:
    nodes = [node for case in PROGRAMS.values() for node in case()[0].nodes if not isinstance(node.op, Linear)]
    assert {EdtLinear, EdtConstant, *map(layer_of, nodes)} == set(LAYERS)


@pytest.mark.parametrize(
    ("case", "built"),
    [
        *((name, "Windows") for name in ("whole window", "some bins ahead", "causal stndt")),
        *(("rotary", "Rotary"), ("tokens", "Tokens")),
    ],
)
def test_it_becomes_the_project_of_an_engine_that_holds_it(case: str, built: str, tmp_path: Path) -> None:
    program, _ = PROGRAMS[case]()
    graph_of(program, tmp_path / "project").write()
    assert Image.load(tmp_path / "project" / "image.edi").engine[built] == 1
    assert Program.load(tmp_path / "project" / "program.edt") == renamed(program)


def test_what_the_engine_lacks_is_named_at_once(tmp_path: Path) -> None:
    program = random_ndt(15, channels=5, d=9, layers=1, heads=9, ffn=7, bins=8)
    said = "attention at layer0_attention is not supported: at most 256 channels and 8 heads"
    with pytest.raises(UnsupportedOp, match=said):
        graph_of(program, tmp_path / "project").write()
    assert not (tmp_path / "project").exists()


def test_a_stream_answers_trial_by_trial(tmp_path: Path) -> None:
    program, counts = PROGRAMS["bin by bin"]()
    graph, scale = graph_of(program, tmp_path), program.output_format.scale
    reset = np.isin(np.arange(12), [0, 5, 6])[:, None]
    wanted = np.concatenate([program.run(trial) for trial in (counts[:5], counts[5:6], counts[6:])])
    np.testing.assert_array_equal(graph.predict([counts.astype(np.float32), reset]), wanted * scale)
    alone = np.concatenate([program.run(counts[at : at + 1]) for at in range(12)])
    np.testing.assert_array_equal(graph.predict(counts), alone * scale)
    with pytest.raises(BadInput, match=r"counts must be \[samples, 5\], got \[3, 4\]"):
        graph.predict(np.zeros((3, 4)))
    with pytest.raises(BadInput, match=r"counts, reset must have as many samples, one at least, got \[2, 3\]"):
        graph.predict([np.zeros((3, 5)), np.zeros(2)])


def test_a_window_is_a_sample(tmp_path: Path) -> None:
    program, counts = PROGRAMS["whole window"]()
    samples = np.stack([counts, counts[::-1], counts + 20])
    wanted = np.stack([program.run(program.clip(sample)[0]).ravel() for sample in samples])
    graph, scale = graph_of(program, tmp_path), program.output_format.scale
    np.testing.assert_array_equal(graph.predict(samples), wanted * scale)
    np.testing.assert_array_equal(graph.predict(counts), wanted[0] * scale)


def test_windows_of_tokens_are_samples_of_as_many_rows_as_they_say(tmp_path: Path) -> None:
    program, seven = small(), (12, 7)
    given = [draw(0, 9, 3), draw(1, 12, 7)]
    padded = [np.ones((2, room, 2)) for room in seven]  # rows behind a window's last are no part of it
    for sample, window in enumerate(given):
        for array, codes in zip(padded, window.values(), strict=True):
            array[sample, : len(codes)] = codes
    rows = [np.array([[9], [12]]), np.array([[3], [7]])]
    graph = graph_of(program, tmp_path, **{"spikes seen": 12, "queries": 7})
    answer = graph.predict([*padded, *rows]).reshape(2, 7, 6)
    for sample, window in enumerate(given):
        codes = program.run(window)
        np.testing.assert_array_equal(answer[sample, : len(codes)], codes * program.output_format.scale)
        assert not answer[sample, len(codes) :].any()
    with pytest.raises(BadInput, match=r"spikes_seen_rows must be 1\.\.12, got 13"):
        graph.predict([*padded, rows[0] + 1, rows[1]])
    with pytest.raises(BadInput, match="takes a list of in_tokens, queries, spikes_seen_rows, queries_rows, got 1 of"):
        graph.predict(padded[0])


def test_room_that_is_asked_for_is_how_many_keys_it_weights(tmp_path: Path) -> None:
    back = program_of(graph_of(small(), tmp_path, **{"spikes seen": 12}))
    assert back.node("a").op == replace(small().node("a").op, keys=12)


def spoil(graph: Any, layer: str, table: str) -> None:
    codes = graph.graph[layer].weights[table].data.copy()  # what it has is the op's own
    codes[3] += 1
    graph.graph[layer].weights[table].data = codes


def uncount(graph: Any, layer: str) -> None:
    graph.graph[layer].inputs.pop()
    graph.graph[layer].set_attr("counts", [-1])


def retype(graph: Any, name: str) -> None:
    graph.graph[name].get_output_variable().type.precision = FixedPrecisionType(8, 8, signed=False)


SAYS: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "scale": ("bin by bin", lambda g: g.graph["layer0_attention"].set_attr("c", 5), "its c must be .* got 5"),
    "exponentials": ("tokens", lambda g: spoil(g, "read_attention", "exp"), "its exp is not the table that"),
    "function": ("tokens", lambda g: spoil(g, "read_geglu", "gelu"), "EdtGEGLU at .* its gelu is not the table"),
    "rows": (
        "whole window",
        lambda g: g.graph["layer0_q"].set_attr("rows", 5),
        "layer0_q .* all 8, got 5",
    ),
    "keys": ("tokens", lambda g: g.graph["write_attention"].set_attr("window", 9), "all 16, got 9"),
    "fractions": (
        "fractions",
        lambda g: g.graph["readout"].set_attr("fracs", [3, 2, 1, 0, -9]),
        "its fracs must be",
    ),
    "who counts": (
        "tokens",
        lambda g: g.graph["read_lnc"].inputs.__setitem__(1, "queries_rows"),
        "read_lnc .* the number of its rows must be tokens_rows, it has queries_rows",
    ),
    "nobody counts": (
        "an axis of two words",
        lambda g: uncount(g, "t"),
        "Input at in_tokens .* no layer of ours that reads it says which input counts its rows",
    ),
    "a number is no tensor": (
        "tokens",
        lambda g: g.graph["read_lnc"].set_attr("counts", [-1]),
        "EdtLayerNorm at read_lnc .* its input is no tensor of codes",
    ),
    "other room": (
        "tokens",
        lambda g: g.graph["token_ms"].get_output_variable().shape.__setitem__(0, 9),
        "Input at token_ms .* it has room for 9 tokens, another input for 4112",
    ),
    "two types": (
        "tokens",
        lambda g: retype(g, "queries"),
        "Input at queries .* all inputs have one type: give it that of tokens",
    ),
    "no step": ("tokens", lambda g: g.graph["embed"].set_attr("step", 0), "its step must be at least 1, got 0"),
    "nobody begins": (
        "bin by bin",
        lambda g: g.graph["layer0_attention"].inputs.remove("reset"),
        "EdtAttention at layer0_attention .* it must read the input reset",
    ),
    "bins that are mixed": (
        "whole window",
        lambda g: g.graph["layer0_mix"].set_attr("bins", 3),
        "layer0_mix .* its bins must be .*, got 3",
    ),
    "sums": (
        "tokens",
        lambda g: g.config.config.update(Accumulator=24),
        "read_attention .* within 24 bits, .*: set accumulator to 28",
    ),
}


@pytest.mark.parametrize("case", SAYS)
def test_a_graph_that_says_something_else_is_refused_by_layer(case: str, tmp_path: Path) -> None:
    program, change, said = SAYS[case]
    graph = graph_of(PROGRAMS[program]()[0], tmp_path)
    change(graph)
    with pytest.raises(UnsupportedOp, match=said):
        program_of(graph)


@pytest.mark.parametrize("bits", ["wide", None, 40])
def test_an_accumulator_that_is_no_number_of_bits_is_bad_input(bits: object, tmp_path: Path) -> None:
    graph = graph_of(PROGRAMS["tokens"]()[0], tmp_path)
    graph.config.config.update(Accumulator=bits)
    with pytest.raises(BadInput, match="accumulator must be a number of bits from 1 to 32, got"):
        program_of(graph)
