"""The reference Program: golden network, streaming, saving, refusals."""

from __future__ import annotations

import dataclasses
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mutants import places, refused, with_wrong
from networks import golden_ndt, random_counts, random_ndt

from edgendt.errors import BadInput, UnsupportedOp
from edgendt.fixed import Codes, Int
from edgendt.ops import Add, Attention, Linear, Rotary, SpatialMix, SpatialWeights, Transpose
from edgendt.ops.rotary import TURN
from edgendt.program import INPUT, Node, Program


def test_trace_equals_the_golden_network_at_every_op() -> None:
    program, counts, expected = golden_ndt()
    trace = program.trace(counts)
    assert set(expected) == set(program.trace_points)
    for name, codes in expected.items():
        np.testing.assert_array_equal(trace[name], codes, err_msg=name)


@pytest.mark.parametrize("seed", range(4))
def test_stream_equals_run_at_every_op_and_bin(seed: int) -> None:
    program = random_ndt(seed, window=(1, 4, 9, 40)[seed], heads=(1, 2, 4, 8)[seed], per_channel=bool(seed % 2))
    counts = random_counts(program, seed, 33)
    trace, stream = program.trace(counts), program.stream()
    for _ in range(2):
        stream.reset()
        for i, row in enumerate(counts):
            for name, codes in stream.trace_step(row).items():
                np.testing.assert_array_equal(codes, trace[name][i], err_msg=f"{name} bin {i}")


def test_random_networks_use_their_formats() -> None:
    program = random_ndt(0)
    trace = program.trace(random_counts(program, 0, 33))
    for name in program.trace_points:
        assert len(np.unique(trace[name])) > 20, name


def test_a_bin_beyond_the_last_position_row_is_refused_until_reset() -> None:
    program = random_ndt(0, bins=3)
    counts = random_counts(program, 0, 4)
    with pytest.raises(BadInput, match="at most 3 bins"):
        program.run(counts)
    stream = program.stream()
    first = [stream.step(row) for row in counts[:3]]
    with pytest.raises(BadInput, match="reset"):
        stream.step(counts[3])
    stream.reset()
    np.testing.assert_array_equal(stream.step(counts[0]), first[0])


def test_a_stream_by_rotary_position_never_ends_and_its_cache_is_the_window() -> None:
    program = random_ndt(3, rotary=True)
    stream, counts = program.stream(), random_counts(program, 0, 40)
    assert program.max_bins is None
    stream.bin = TURN - 20  # a clock that is about to wrap, where no bin has been seen yet
    for row, expected in zip(counts, program_at(program, counts, TURN - 20), strict=True):
        np.testing.assert_array_equal(stream.step(row), expected)
    assert {len(cache) for cache in stream._cache.values()} == {9}


def program_at(program: Program, counts: Codes, first: int) -> Codes:
    """`program.run`, its bins numbered from `first`."""
    values = {INPUT: counts}
    for node in program.nodes:
        inputs = [values[name] for name in node.inputs]
        times = {"times": first + np.arange(len(counts))} if isinstance(node.op, Rotary) else {}
        values[node.name] = node.op.run(*inputs, **node.constants, **times)  # type: ignore[arg-type,call-arg]
    return values[program.output]


@pytest.mark.parametrize("rotary", [False, True])
def test_save_and_load_give_an_equal_program_and_equal_files(rotary: bool, tmp_path: Path) -> None:
    program = random_ndt(3, per_channel=True, rotary=rotary)
    program.save(tmp_path / "a.edt")
    loaded = Program.load(tmp_path / "a.edt")
    loaded.save(tmp_path / "b.edt")
    assert loaded == program
    assert (tmp_path / "a.edt").read_bytes() == (tmp_path / "b.edt").read_bytes()
    counts = random_counts(program, 0, 20)
    np.testing.assert_array_equal(loaded.run(counts), program.run(counts))


def test_one_changed_weight_makes_programs_unequal() -> None:
    program = random_ndt(3)
    weight = program.node("readout").constants["weight"].copy()
    weight[0, 0] ^= 1
    readout = dataclasses.replace(program.nodes[-1], constants={**program.nodes[-1].constants, "weight": weight})
    assert dataclasses.replace(program, nodes=(*program.nodes[:-1], readout)) != program


@pytest.mark.parametrize("damage", ["missing", "truncated", "not a zip", "other schema"])
def test_a_damaged_file_is_one_clear_sentence(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "p.edt"
    if damage != "missing":
        random_ndt(0).save(path)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    if damage == "not a zip":
        path.write_bytes(b"hello")
    if damage == "other schema":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("program.json", '{"schema": 99}')
    with pytest.raises(BadInput, match=r"p\.edt"):
        Program.load(path)


def test_no_damage_escapes_as_anything_but_one_sentence(tmp_path: Path) -> None:
    assert refused(tmp_path / "p.edt", random_ndt(0), 400) > 300


@pytest.mark.parametrize("wrong", [None, "text", 1.5, True, [], {}, -1, 10**30], ids=repr)
def test_no_wrong_type_in_the_header_escapes_as_anything_but_one_sentence(tmp_path: Path, wrong: Any) -> None:
    def some(header: Any) -> list[Any]:
        return random.Random(0).sample(list(places(header)), 60)

    for loaded in with_wrong(tmp_path / "p.edt", random_ndt(0), some, wrong):  # another network, and a whole one
        assert loaded.run(random_counts(loaded, 0, 3)).shape == (3, loaded.outputs)


@pytest.mark.parametrize("header", ["[]", "3", '{"schema": 1, "nodes": [3]}', "{"])
def test_a_header_that_is_no_header_is_one_clear_sentence(tmp_path: Path, header: str) -> None:
    with zipfile.ZipFile(tmp_path / "p.edt", "w") as archive:
        archive.writestr("program.json", header)
    with pytest.raises(BadInput, match=r"p\.edt cannot be read"):
        Program.load(tmp_path / "p.edt")


def replaced(program: Program, name: str, **changes: object) -> tuple[Node, ...]:
    return tuple(dataclasses.replace(n, **changes) if n.name == name else n for n in program.nodes)  # type: ignore[arg-type]


def test_refusals_name_the_node_and_the_reason() -> None:
    program = random_ndt(0)
    q = program.node("layer0.q")
    heavy = {"weight": q.constants["weight"], "bias": np.full(16, 1 << 23)}
    cases = {
        "accumulator must stay within 24 bits": replaced(program, "layer0.q", constants=heavy),
        "is not an earlier node": replaced(program, "layer0.q", inputs=("lnf",)),
        "its constants are": replaced(program, "layer0.q", constants={}),
        "it takes 3 inputs": replaced(program, "layer0.attention", inputs=("layer0.q",)),
        "it reads": replaced(program, "layer0.q", inputs=("embed",)),
    }
    for reason, nodes in cases.items():
        with pytest.raises(UnsupportedOp, match=reason) as caught:
            dataclasses.replace(program, nodes=nodes)
        assert caught.value.where.startswith("layer0.")


def test_counts_outside_the_input_format_are_refused_and_clip_counts_them() -> None:
    program = random_ndt(0)
    counts = random_counts(program, 0, 5)
    counts[2, 3] = 99
    with pytest.raises(BadInput, match=r"counts must be 0\.\.15"):
        program.run(counts)
    clipped, entries = program.clip(counts)
    assert entries == 1 and clipped[2, 3] == Int(4, 0, False).hi


def test_a_whole_window_is_answered_at_once_and_only_whole() -> None:
    program = random_ndt(2, bins=7, causal=False)
    counts = random_counts(program, 2, 7)
    assert (program.bins, random_ndt(2).bins) == (7, None)
    first = program.run(counts)
    counts[6] += counts[6] == 0  # the last bin changes the first one's answer
    assert (program.run(counts)[0] != first[0]).any()
    for bins in (6, 8):
        with pytest.raises(BadInput, match=f"a whole window has 7 bins, got {bins}"):
            program.run(random_counts(program, 2, bins))
    with pytest.raises(BadInput, match="answers whole windows of 7 bins and cannot stream"):
        program.stream()


def test_whole_windows_of_two_lengths_are_refused() -> None:
    program = random_ndt(2, bins=7, causal=False)
    op = dataclasses.replace(program.node("layer1.attention").op, window=6)  # type: ignore[type-var]
    with pytest.raises(UnsupportedOp, match="its whole window has 6 bins, another's 7"):
        dataclasses.replace(program, nodes=replaced(program, "layer1.attention", op=op))


def test_rows_of_channels_are_kept_apart_from_bins() -> None:
    act, weights, counts = Int(8, 4), Int(8, 8, False), Int(4, 0, False)
    linear = Linear(3, 3, counts, Int(4, 0), act)
    ones = {"weight": np.ones((3, 3), np.int64), "bias": np.zeros(3, np.int64)}
    x = Node("x", linear, ("counts",), ones)
    t = Node("t", Transpose(3, 3, act), ("x",))
    a = Node("a", SpatialWeights(3, 3, 1, act, act, weights), ("t", "t"))
    program = Program("p", 3, counts, (x, t, a, Node("y", SpatialMix(3, weights, act, act), ("a", "x"))))
    assert [program.rows(name) for name in "xtay"] == [3] * 4 and program.trace(np.eye(3))["a"].shape == (3, 3)
    cases = {  # bins are as many as channels: only what rows are can tell
        "'t' has rows of 3 channels": Attention(3, 1, 3, act, act, act, act, causal=False),
        "'x' has rows of bins": SpatialWeights(3, 3, 1, act, act, weights),
        "it reads rows of bins": Add(3, act),
        "the output must have rows of bins, not 3 channels": Linear(3, 3, act, Int(4, 0), act),
    }
    inputs = (("t", "t", "t"), ("x", "x"), ("x", "t"), ("t",))
    for (said, op), read in zip(cases.items(), inputs, strict=True):
        node = Node("z", op, read, ones if isinstance(op, Linear) else {})
        with pytest.raises(UnsupportedOp, match=said):
            Program("p", 3, counts, (x, t, node))


def test_a_file_from_before_whole_windows_is_read(tmp_path: Path) -> None:
    path, program = tmp_path / "p.edt", random_ndt(0)
    program.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data.replace(b',\n    "causal": true', b"").replace(b',\n     "causal": true', b""))
    with zipfile.ZipFile(path) as archive:
        assert b"causal" not in archive.read("program.json")
    assert Program.load(path) == program
