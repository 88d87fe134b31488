"""A firmware that takes other networks of its structure in packets: equal to each, and refuses what is not whole."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import own_bench
import pytest
from firmware_cases import CASES, MOST
from needs import needs
from networks import random_counts, random_ndt
from test_firmware_axis import ENDED, MALFORMED, Streams, answered
from test_firmware_project import SMALL, fake  # noqa: F401

from edgendt.compare import compare
from edgendt.errors import BadInput
from edgendt.firmware import Firmware, build
from edgendt.firmware.project import write_project
from edgendt.firmware.reload import constants, other, packet, structure_id
from edgendt.firmware.target import FirmwareConfig, Target
from edgendt.fixed import Int
from edgendt.ops import Linear
from edgendt.program import INPUT, Node, Program

RELOADS = Target(ports="axis", weights="reload")
EMPTY = [3]


def demand(firmware: Firmware, given: Any) -> None:
    tally = compare("hls4ml", firmware.program.trace(given), firmware.trace(given), firmware.program)
    assert tally.ops == len(firmware.program.nodes) and tally.first is None


def per_output() -> tuple[Program, Any]:
    program = random_ndt(7, 5, 6, 1, 3, 7, 4, 5, 20, per_channel=True)
    return program, random_counts(program, 1, 12)


@pytest.mark.parametrize("case", [*CASES, "a fraction per output"])
def test_a_network_loaded_is_equal_at_every_op_and_so_is_the_first_again(case: str, tmp_path: Path) -> None:
    needs("g++")
    program, given = CASES.get(case, per_output)()
    firmware = build(program, tmp_path, most=MOST if program.inputs else None, target=RELOADS)
    loaded = firmware.load(other(program))  # before any call
    demand(loaded, given)
    assert compare("hls4ml", program.trace(given), loaded.trace(given), program).mismatches > 0
    demand(loaded.load(program), given)
    demand(loaded.load(other(program, 1)), given)


def linear(weight: Any, bias: Any, accumulator: int) -> Program:
    """One product, of counts of 3 bits."""
    constants = {"weight": np.array(weight), "bias": np.array(bias)}
    op = Linear(len(weight[0]), len(weight), Int(3, 0, False), Int(8, 4), Int(8, 4))
    return Program("one", len(weight[0]), op.x, (Node("y", op, (INPUT,), constants),), accumulator=Int(accumulator))


def test_every_array_of_another_network_differs() -> None:
    few, zeros = linear([[0, 3]], [5], 16), linear([[2], [-2]], [0, 0], 16)
    for program, seed in product((few, zeros, *(case()[0] for case in CASES.values()), per_output()[0]), range(4)):
        stirred = other(program, seed)
        pairs = zip(constants(program), constants(stirred), strict=True)
        assert not [name for (*name, own), (*_, its) in pairs if np.array_equal(own, its)]
        assert structure_id(stirred) == structure_id(program)


def test_another_network_of_one_that_takes_the_accumulators_last_code_fits_it() -> None:
    program = linear([[-127, 127] * 18 + [109]], [0], 16)  # 7 * 4681
    assert Linear.accumulator_limit(program.nodes[0].op, **program.nodes[0].constants) == program.accumulator.hi
    for seed in range(16):
        weight, bias = other(program, seed).nodes[0].constants.values()
        assert (weight != program.nodes[0].constants["weight"]).any() and bias.tolist() == [0]


def test_a_load_that_is_not_this_structures_changes_nothing(tmp_path: Path) -> None:
    """In the middle of a trial: the bins after it are the trial's."""
    program, counts = CASES["bin by bin"]()
    streams, words = Streams(program, tmp_path, RELOADS), packet(other(program))
    expected = program.run(counts)
    refused = []
    for place in (1, 2):  # structure, how many codes
        refused.append(words.copy())
        refused[-1][place] ^= 1
    refused += [words[:1], words[:2], np.array([4, *words[1:]])]
    for bin, row in enumerate(counts):
        assert streams.answer(refused[bin % len(refused)]) == MALFORMED
        assert streams.answer([0, *row]) == answered(expected[bin])
    assert streams.answer([0, *counts[0]]) == ENDED


def test_a_load_that_does_not_come_whole_leaves_no_network(tmp_path: Path) -> None:
    program, counts = CASES["bin by bin"]()
    second = other(program)
    streams, words = Streams(program, tmp_path, RELOADS), packet(second)
    broken = [words[:-1], np.append(words, 0), words[:40]]
    for place, flip in ((5, 1), (len(words) - 2, 1), (len(words) - 1, 1), (4, 1 << 30)):  # codes, CRC, no code
        broken.append(words.copy())
        broken[-1][place] ^= flip
    for wrong in broken:
        assert streams.answer([1, *counts[0]]) == answered(program.run(counts[:1]))
        assert streams.answer(wrong) == MALFORMED
        assert streams.answer([1, *counts[0]]) == EMPTY
        assert streams.answer([0, *counts[0][:-1]]) == MALFORMED
        assert streams.answer(words) == [0]
        for bin, row in enumerate(counts[:3]):  # a load begins a trial
            assert streams.answer([0, *row]) == answered(second.run(counts)[bin])
        assert streams.answer(packet(program)) == [0]


def test_what_is_synthesised_of_it_asks_for_no_rom(tmp_path: Path) -> None:
    build(CASES["bin by bin"]()[0], tmp_path, target=RELOADS)
    kernels = [path.read_text() for path in (tmp_path / "firmware" / "nnet_utils").glob("nnet_dense_resource.h")]
    assert kernels and "RAM_2P_BRAM" in kernels[0] and not any("ROM" in text for text in kernels)


CONFIG = FirmwareConfig(ports="axis", weights="reload")


def project(case: str, folder: Path) -> Program:
    """Writes the project of one of the networks."""
    program, given = CASES[case]()
    config = replace(CONFIG, rows=MOST if program.inputs else {})
    result = write_project(program, SMALL, folder, given, config=config)
    assert (result["ports"], result["weights"]) == ("axis", "reload")
    return program


def bench(folder: Path) -> Path:
    """A project's own bench, compiled."""
    needs("g++")
    return own_bench.compiled(folder, SMALL.name, CONFIG)


@pytest.mark.parametrize("case, said", [("whole window", "16 bins"), ("tokens", "2 windows")])
def test_a_projects_bench_loads_two_networks_and_is_equal_at_every_op(case: str, said: str, tmp_path: Path) -> None:
    project(case, tmp_path)
    assert own_bench.said(bench(tmp_path)) == (0, f"PASS: {said} equal")


def test_a_projects_bench_finds_a_fault_in_its_load_packets(tmp_path: Path) -> None:
    program = project("bin by bin", tmp_path)
    packets = [np.fromfile(tmp_path / folder / "load.bin", "<i4") for folder in ("", "tb_other")]
    np.testing.assert_array_equal(packets[0], packet(program))
    np.testing.assert_array_equal(packets[1], packet(other(program)))
    compiled = bench(tmp_path)
    for folder in ("", "tb_other/"):
        path = tmp_path / folder / "load.bin"
        kept = path.read_bytes()
        for place in (0, 4, 8, 12, 57, len(kept) - 1):  # flags, structure, how many; codes; CRC
            path.write_bytes(kept[:place] + bytes([kept[place] ^ 1]) + kept[place + 1 :])
            said = f"FAIL: the top refused the load packet of {folder}load.bin: it answered 1"
            assert own_bench.said(compiled) == (1, said), place
        path.write_bytes(b"")
        assert own_bench.said(compiled) == (1, f"FAIL: {folder}load.bin holds no load packet")
        path.write_bytes(kept)
    assert own_bench.said(compiled) == (0, "PASS: 24 bins equal")


def test_a_folder_written_again_with_rom_brings_no_load_packet(tmp_path: Path) -> None:
    program = project("bin by bin", tmp_path)
    assert {"load.bin", "tb_other"} <= {path.name for path in tmp_path.iterdir()}
    write_project(program, SMALL, tmp_path, config=FirmwareConfig(ports="axis"))
    assert not {"load.bin", "tb_other"} & {path.name for path in tmp_path.iterdir()}
    assert "load.bin" not in (tmp_path / "run_hls.tcl").read_text()


OTHERS = "FAIL: that was the network of tb_other, which is loaded before the project's own"
WRITES = ("firmware/nnet_utils/edt_load.h", r"constants\[i\] = (.*;)(\s.*)integer\(constants\[i\]\)")
LOADS = {  # a fault in what loads: the file, what it has and gets; whose vectors it stops at
    "its own network is not loaded": ("edt_vectors.h", r'load\("load.bin"\) && passes', "passes", ""),
    "nothing is written": (*WRITES, r"const T code = \1\2integer(code)", OTHERS),  # the build's network computes
    "an array's last code is not written": (
        *WRITES, r"const T code = \1 if (i < SIZE - 1) constants[i] = code;\2integer(code)", OTHERS
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", LOADS)
def test_a_projects_bench_finds_a_fault_in_the_load(fault: str, tmp_path: Path) -> None:
    file, old, new, said = LOADS[fault]
    project("bin by bin", tmp_path)
    text, many = re.subn(old, new, (tmp_path / file).read_text())
    assert many == 1
    (tmp_path / file).write_text(text)
    status, told = own_bench.said(bench(tmp_path))
    assert status == 1 and told.startswith("FAIL: op ") and told.endswith(said), told


def test_c_simulation_loads(fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """The fake compiles what the script adds, beside the files that it adds."""
    needs("g++")
    monkeypatch.setenv("EDT_FAKE_AP", str(tmp_path / "project" / "firmware" / "ap_types"))
    write_project(CASES["bin by bin"]()[0], SMALL, tmp_path / "project", build=True, config=CONFIG)
    added = [line for line in fake.read_text().splitlines() if line.startswith("add_files -tb ")]
    assert {"add_files -tb load.bin", "add_files -tb tb_other"} <= set(added)
    assert (tmp_path / "project" / "vitis_hls.log").read_text().count("PASS: 24 bins equal") == 2


def test_what_cannot_be_loaded_is_one_sentence(tmp_path: Path) -> None:
    needs("g++")
    program = CASES["bin by bin"]()[0]
    firmware = build(program, tmp_path)
    with pytest.raises(BadInput, match="weights are constants of its build: build it with weights reload"):
        firmware.load(other(program))
    with pytest.raises(BadInput, match=r"random7 has another structure .* than random10"):
        firmware.load(per_output()[0])
    with pytest.raises(BadInput, match="weights must be one of rom, reload, got 'flash'"):
        Target(weights="flash")
    with pytest.raises(BadInput, match="weights reload come in packets: take ports axis, not arrays"):
        Target(weights="reload")
