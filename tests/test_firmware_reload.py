"""A firmware that takes other networks of its structure in packets: equal to each, and refuses what is not whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from firmware_cases import CASES, MOST
from needs import needs
from networks import random_counts, random_ndt
from test_firmware_axis import ENDED, MALFORMED, Streams, answered
from test_firmware_project import SMALL

from edgendt.compare import compare
from edgendt.errors import BadInput
from edgendt.firmware import Firmware, build
from edgendt.firmware.project import write_project
from edgendt.firmware.reload import packet
from edgendt.firmware.target import FirmwareConfig, Target
from edgendt.fixed import Codes
from edgendt.program import Program

RELOADS = Target(ports="axis", weights="reload")
EMPTY = [3]


def other(program: Program, seed: int = 0) -> Program:
    """Of the same structure, with constants in another order and of other signs where the format has both."""
    rng = np.random.default_rng(seed)

    def stirred(codes: Codes) -> Codes:
        moved = rng.permutation(codes.ravel()).reshape(codes.shape)
        return np.clip(moved * rng.choice([-1, 1], moved.shape), codes.min(), codes.max())

    nodes = (replace(n, constants={key: stirred(v) for key, v in n.constants.items()}) for n in program.nodes)
    inputs = (one if one.codes is None else replace(one, codes=one.codes[::-1]) for one in program.inputs)
    return replace(program, nodes=tuple(nodes), inputs=tuple(inputs), name="another day")


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


def test_a_project_brings_its_own_load_packet(tmp_path: Path) -> None:
    program = CASES["bin by bin"]()[0]
    result = write_project(program, SMALL, tmp_path, config=FirmwareConfig(ports="axis", weights="reload"))
    assert (result["ports"], result["weights"]) == ("axis", "reload")
    np.testing.assert_array_equal(np.fromfile(tmp_path / "load.bin", "<i4"), packet(program))


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
