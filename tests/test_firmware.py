"""The hls4ml firmware equals the Program at every op, bin by bin, and refuses what the Program refuses."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from needs import needs, needs_package
from networks import golden_ndt, random_counts, random_ndt

from edgendt.compare import compare
from edgendt.errors import BadInput, Mismatch
from edgendt.firmware import Firmware, build
from edgendt.firmware.fit import Budget, fit
from edgendt.firmware.folding import plan
from edgendt.firmware.library import cached, flags
from edgendt.firmware.target import BACKENDS, Target
from edgendt.fixed import Codes, Int
from edgendt.ops import Attention, LayerNorm, Linear
from edgendt.ops.layernorm import eps_code
from edgendt.program import INPUT, Node, Program
from edgendt.tools import cache_folder, run_tool

NETWORKS = {
    "odd sizes": lambda: random_ndt(7, 13, 15, 1, 3, 7, 4, 5, 50, weight=3, residual=16, counts=8, per_channel=True),
    "one key, one layer more": lambda: random_ndt(8, 30, 24, 3, 4, 40, 1, 6, 20, weight=8, embed=4, readout=2),
    "rotary": lambda: random_ndt(10, 13, 16, 2, 2, 20, 7, 6, weight=4, rotary=True),
    "whole window": lambda: random_ndt(
        10, 9, 15, 2, 3, 11, outputs=5, bins=12, counts=8, causal=False, per_channel=True
    ),
    "default geometry": lambda: random_ndt(9, 30, 64, 2, 2, 128, 32, 30, 60, counts=8),
}


def firmware(program: Program) -> Firmware:
    """Compiled, or used again when nothing it is made of has changed."""
    needs("g++")
    return cached(program, cache_folder("firmware"))


def demand(program: Program, counts: Codes, got: dict[str, Codes]) -> None:
    """Raise the first Mismatch; every op of the Program must have been traced."""
    tally = compare("hls4ml", program.trace(counts), got, program)
    assert tally.ops == len(program.nodes)
    if tally.first:
        raise tally.first


def test_golden_network_is_equal_at_every_op() -> None:
    program, counts, expected = golden_ndt()
    got = firmware(program).trace(counts)
    assert set(expected) == set(program.trace_points)
    assert compare("hls4ml", expected, got).first is None
    demand(program, counts, got)


@pytest.mark.parametrize("name", NETWORKS)
def test_random_network_is_equal_at_every_op(name: str) -> None:
    program = NETWORKS[name]()
    library = firmware(program)
    for seed in (1, 2):  # the second trial starts from the first one's state
        counts = random_counts(program, seed, program.max_bins or 40)
        demand(program, counts, library.trace(counts))


@pytest.mark.parametrize(
    "name", ["bidirectional", "rotary window", "some bins ahead", "stndt, gelu", "stndt, courses of counts"]
)
def test_a_trained_network_of_whole_windows_is_equal_at_every_op(name: str) -> None:
    needs_package("torch")
    from quantized import program_of, spikes, trained

    q = trained(name)
    program = program_of(q)
    library = firmware(program)
    for counts in program.clip(spikes(q.config, 2, seed=4))[0]:
        demand(program, counts, library.trace(counts))
        np.testing.assert_array_equal(library.run(counts), program.run(counts))
    with pytest.raises(BadInput, match=r"a call takes 1[0246] bins, got 3"):
        library.run(counts[:3])


@pytest.mark.parametrize("name", ["post-LN", "a row per count", "causal stndt", "gelu"])
def test_a_trained_network_that_streams_is_equal_at_every_op(name: str) -> None:
    needs_package("torch")
    from quantized import program_of, spikes, trained

    q = trained(name)
    program = program_of(q)
    library = firmware(program)
    for counts in program.clip(spikes(q.config, 2, seed=4))[0]:
        demand(program, counts, library.trace(counts))


def linear_and_attention(seed: int) -> Program:
    """Two ops, fast to compile, with weights, tables and state."""
    counts, act = Int(4, 0, False), Int(8, 4)
    rng = np.random.default_rng(seed)
    constants = {"weight": rng.integers(-8, 7, (6, 4), endpoint=True), "bias": rng.integers(-90, 90, 6)}
    linear = Node("q", Linear(4, 6, counts, Int(4, 6), act), (INPUT,), constants)
    return Program("two", 4, counts, (linear, Node("attention", Attention(6, 2, 3, act, act, act, act), ("q",) * 3)))


def one_op(op: LayerNorm | Attention) -> Program:
    """A Program of one op that reads the counts, without a position row that would end it."""
    constants = {}
    if isinstance(op, LayerNorm):
        constants = {"gamma": np.arange(op.size) - 3, "beta": np.arange(op.size) * 1000}
    return Program("one", op.size, Int(8, 0, False), (Node("the op", op, (INPUT,) * op.arity, constants),))


def test_program_of_one_op_without_positions_never_ends() -> None:
    counts, form = Int(8, 0, False), Int(8, -1)
    program = one_op(Attention(6, 2, 4, counts, counts, counts, form))
    codes = random_counts(program, 1, 200)
    demand(program, codes, firmware(program).trace(codes))


def test_layernorm_alone_reads_counts() -> None:
    counts = Int(8, 0, False)
    program = one_op(LayerNorm(9, counts, Int(8, 5), Int(8, 5), eps_code(9, counts)))
    codes = random_counts(program, 1, 20)
    demand(program, codes, firmware(program).trace(codes))


def test_steps_are_the_stream_and_reset_starts_again() -> None:
    program, counts, _ = golden_ndt()
    library, stream = firmware(program), program.stream()
    library.reset()
    for row in counts[:11]:
        np.testing.assert_array_equal(library.step(row), stream.step(row))
    library.reset()
    np.testing.assert_array_equal(library.step(counts[5]), program.run(counts[5:6])[0])


def test_a_rotary_network_runs_for_100_000_bins() -> None:
    """Over the wrap of the firmware's clock, the Program's stream beside it on the last ones."""
    program = random_ndt(11, 3, 4, 1, 1, 4, 5, 3, rotary=True)
    library, stream = firmware(program), program.stream()
    counts = np.random.default_rng(0).integers(0, 16, (100_000, 3))
    library.reset()
    got = np.array([library.step(row) for row in counts])
    np.testing.assert_array_equal(got, program.run(counts))
    for row, codes in zip(counts[:2_000], got, strict=False):
        np.testing.assert_array_equal(stream.step(row), codes)


def test_bin_past_the_last_position_row_is_refused_until_reset() -> None:
    program, counts, _ = golden_ndt()
    library = firmware(program)
    expected = program.run(counts)
    np.testing.assert_array_equal(library.run(counts), expected)
    for _ in range(2):
        with pytest.raises(BadInput, match=r"bin 33 has no position row \(33 rows\): reset first"):
            library.step(counts[0])
    np.testing.assert_array_equal(library.run(counts), expected)


@pytest.mark.parametrize("counts", [[[16] * 12], [[-1] * 12], [[0.5] * 12], [[1] * 11]])
def test_counts_outside_the_input_format_are_refused(counts: list[list[float]]) -> None:
    with pytest.raises(BadInput):
        firmware(golden_ndt()[0]).run(counts)


def test_folding_changes_no_code(tmp_path: Path) -> None:
    needs("g++")
    program, counts, _ = golden_ndt()
    folding = fit(program, Budget(150, 280))
    assert folding.multipliers(program) <= 150 < plan(program).multipliers(program)
    library = build(program, tmp_path, folding).compile()
    demand(program, counts, library.trace(counts))


@pytest.mark.parametrize("name", ["odd sizes", "whole window"])
def test_fast_emulation_is_equal_at_every_op(name: str, tmp_path: Path) -> None:
    """Weights at the largest fraction, residual of 16 bits: factors of 16 bits and wider ones."""
    needs("g++")
    program = NETWORKS[name]()
    library = replace(build(program, tmp_path), fast=True)
    counts = random_counts(program, 2, program.max_bins or 40)
    demand(program, counts, library.trace(counts))
    assert library.library.name.endswith("-fast.so")
    with pytest.raises(BadInput, match="a fast firmware reads its weights once"):
        library.load(program)


def test_constants_that_synthesis_sees_are_the_program(tmp_path: Path) -> None:
    """Under __SYNTHESIS__ the weights come from the headers, not from text files: what a vendor tool reads."""
    needs("g++")
    program = linear_and_attention(1)
    folder = build(program, tmp_path).folder
    headers = "".join(f'#include "{name}"\n' for name in ("ap_int.h", "ap_fixed.h", "hls_stream.h"))
    # The open ap types refuse __SYNTHESIS__, so they are read before it is defined.
    (folder / "synthesis.cpp").write_text(f'{headers}#define __SYNTHESIS__\n#include "edt_abi.cpp"\n')
    run_tool(
        ("g++", *flags(folder), "-O0", "synthesis.cpp", "-o", "synthesis.so"), folder / "synthesis.log", cwd=folder
    )
    shutil.rmtree(folder / "firmware" / "weights")
    vendor, counts = Firmware(program, folder, "synthesis.so"), random_counts(program, 1, 12)
    np.testing.assert_array_equal(vendor.run(counts), program.run(counts))


def test_a_folder_built_again_holds_the_new_program(tmp_path: Path) -> None:
    needs("g++")
    first, second = linear_and_attention(1), linear_and_attention(2)
    counts = random_counts(first, 1, 9)
    np.testing.assert_array_equal(build(first, tmp_path).run(counts), first.run(counts))
    np.testing.assert_array_equal(build(second, tmp_path).run(counts), second.run(counts))


@pytest.mark.parametrize("backend", BACKENDS)
def test_hls4mls_own_compile_and_predict_give_the_program(backend: str, tmp_path: Path) -> None:
    """The project is plain hls4ml: its own script compiles it, its own predict runs it, one sample per bin."""
    from edgendt.firmware.graph import model_graph

    needs("g++")
    program = linear_and_attention(1)
    graph = model_graph(program, tmp_path, plan(program), Target(backend=backend))
    graph.config.trace_output = False  # its trace wants a second compilation
    graph.compile()
    counts, reset = random_counts(program, 1, 12), np.zeros((12, 1))
    reset[0] = 1
    values = graph.predict([counts.astype(np.float64), reset])
    np.testing.assert_array_equal(values / program.output_format.scale, program.run(counts))


def test_equal_programs_are_equal_projects(tmp_path: Path) -> None:
    program = NETWORKS["odd sizes"]()
    first, second = (build(program, tmp_path / name).folder for name in ("a", "b"))
    for path in sorted(p for p in first.rglob("*") if p.is_file() and p.name != "hls4ml.log"):
        assert path.read_bytes() == (second / path.relative_to(first)).read_bytes(), path


def test_a_wrong_weight_is_named_by_op_bin_and_index(tmp_path: Path) -> None:
    needs("g++")
    program, counts, _ = golden_ndt()
    folder, op = build(program, tmp_path).folder, program.node("readout").op
    source = (folder / "firmware" / "edgendt.cpp").read_text()
    found = re.search(r"readout_weight_t, \d+>\((w\d+),", source)
    assert found
    weights = folder / "firmware" / "weights" / f"{found[1]}.txt"
    values = [float(value) for value in weights.read_text().split(", ")]
    values[3 * op.inputs] -= op.w.scale * np.sign(values[3 * op.inputs])  # one step, in output 3
    weights.write_text(", ".join(map(str, values)))
    tally = compare("hls4ml", program.trace(counts), Firmware(program, folder).trace(counts))
    assert isinstance(tally.first, Mismatch)
    assert (tally.first.op, tally.first.row, tally.first.index) == ("readout", {"bin": 0}, 3)
    assert tally.mismatches <= len(counts)


def test_two_programs_of_one_process_do_not_meet() -> None:
    programs = [linear_and_attention(seed) for seed in (1, 2)]
    libraries, counts = [firmware(program) for program in programs], random_counts(programs[0], 1, 9)
    streams = [program.stream() for program in programs]
    for library in libraries:
        library.reset()
    for row in counts:  # bin by bin, in turn
        for library, stream in zip(libraries, streams, strict=True):
            np.testing.assert_array_equal(library.step(row), stream.step(row))


def test_linear_alone_is_a_network() -> None:
    x, y = Int(5, 0, False), Int(8, 2)
    op = Linear(3, 2, x, Int(4, 3), y)
    weight = {"weight": np.array([[7, -8, 1], [3, 2, -5]]), "bias": np.array([4, -4])}
    program = Program("linear", 3, x, (Node("readout", op, (INPUT,), weight),))
    counts = random_counts(program, 3, 100)
    demand(program, counts, firmware(program).trace(counts))
