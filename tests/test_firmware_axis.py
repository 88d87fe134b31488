"""The top behind AXI4-Streams: a packet for a call, any other refused with nothing changed; its vendor project."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from firmware_cases import CASES, MOST
from needs import needs
from test_firmware_project import SMALL, fake, small  # noqa: F401

from edgendt.errors import BadInput
from edgendt.firmware import Firmware, build
from edgendt.firmware.library import flags
from edgendt.firmware.project import write_project
from edgendt.firmware.target import AMD, VIVADO, FirmwareConfig, Target
from edgendt.fixed import Codes
from edgendt.program import Program
from edgendt.tools import run_tool

MALFORMED, ENDED = [1], [2]
# Words in, the answer's words out; -1: a packet was left over, or TLAST was not at the answer's last word alone.
DRIVER = """
#include "firmware/edgendt_axis.h"
#include <cstdint>
extern "C" int32_t packet(const int32_t *words, int32_t n, int32_t *answer) {
    edt::Stream packets, answers;
    for (int i = 0; i < n; i++) edt::put(packets, words[i], i == n - 1);
    edgendt_axis(packets, answers);
    int32_t m = 0;
    bool good = packets.empty(), last = false;
    while (!answers.empty()) {
        const edt::Beat beat = answers.read();
        good = good && !last && beat.keep == 15;
        last = beat.last != 0;
        answer[m++] = int32_t(ap_int<32>(beat.data));
    }
    return good && last ? m : -1;
}
"""


class Streams:
    """A compiled top: words of a packet in, words of the answer out."""

    def __init__(self, program: Program, folder: Path, target: Target = Target(ports="axis")) -> None:  # noqa: B008
        needs("g++")
        written = build(program, folder, most=MOST if program.inputs else None, target=target)
        (folder / "driver.cpp").write_text(DRIVER)
        sources = (*written.sources, "driver.cpp")
        run_tool(("g++", *flags(folder), *sources, "-o", "driver.so"), folder / "driver.log", cwd=folder)
        self.library = ctypes.CDLL(str(folder / "driver.so"))

    def answer(self, words: Sequence[Any]) -> list[int]:
        given, out = np.array(words, np.int32), np.zeros(4096, np.int32)
        pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (given, out)]
        count = self.library.packet(pointers[0], len(given), pointers[1])
        assert count > 0
        return [int(word) for word in out[:count]]


def answered(codes: Codes) -> list[int]:
    return [0, *codes.ravel().tolist()]


def test_packets_of_bins_are_the_stream_and_a_refused_one_changes_nothing(tmp_path: Path) -> None:
    program, counts = CASES["bin by bin"]()
    expected, streams = program.run(counts), Streams(program, tmp_path)
    refused = [[0], [0, *counts[0][:-1]], [0, *counts[0], 0], [0, *counts[0], *counts[0]], [1], [1, *counts[0][:-1]]]
    refused += [[0, *counts[0][:-1], code] for code in (program.input.hi + 1, -1, 1 << 20)]
    for first in (0, 1):  # from power-up, and from a reset
        for index, row in enumerate(counts):
            assert streams.answer(refused[index % len(refused)]) == MALFORMED
            assert streams.answer([first if index == 0 else 0, *row]) == answered(expected[index])
        for _ in range(2):
            assert streams.answer([0, *counts[0]]) == ENDED
    assert streams.answer([1, *counts[0]]) == answered(expected[0])
    assert streams.answer([0, *counts[1]]) == answered(expected[1])


def test_a_packet_of_a_whole_window_is_one_call(tmp_path: Path) -> None:
    program, counts = CASES["whole window"]()
    streams, words = Streams(program, tmp_path), [0, *counts.ravel()]
    assert streams.answer(words) == answered(program.run(counts))
    assert streams.answer(words[:-1]) == MALFORMED
    assert streams.answer(words) == answered(program.run(counts))


def test_a_packet_of_tokens_says_how_many_there_are(tmp_path: Path) -> None:
    program, given = CASES["tokens"]()
    streams = Streams(program, tmp_path)
    fed, asked = program.feed(given), [item for item in program.inputs if item.codes is None]
    rows = [len(fed[next(item.name for item in asked if item.axis == axis)]) for axis in program.open_axes]
    codes = [code for item in asked for code in fed[item.name].ravel()]
    for _ in range(2):
        assert streams.answer([0, *rows, *codes]) == answered(program.run(given))
        for wrong in (
            [0, rows[1]],
            [rows[0], 0],
            [MOST["tokens"] + 1, rows[1]],
            [rows[0], MOST["queries"] + 1],
            [-1, 1],
        ):
            assert streams.answer([0, *wrong, *codes]) == MALFORMED
        assert streams.answer([0, *rows, *codes[:-1]]) == MALFORMED
        assert streams.answer([0, *rows, *codes, 0]) == MALFORMED


@pytest.mark.parametrize("backend, tool", [(AMD, "vitis_hls"), (VIVADO, "vivado_hls")])
def test_c_simulation_goes_through_the_streams(
    backend: str,
    tool: str,
    fake: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The fake compiles what the script adds."""
    needs("g++")
    monkeypatch.setenv("EDT_FAKE_AP", str(tmp_path / "project" / "firmware" / "ap_types"))
    config = FirmwareConfig(ports="axis", backend=backend)
    result = write_project(small(), SMALL, tmp_path / "project", build=True, config=config)
    assert result["ports"] == "axis"
    assert "set_top edgendt_axis" in fake.read_text().splitlines()
    assert (tmp_path / "project" / f"{tool}.log").read_text().count("PASS: 12 bins equal") == 2
    sides = "EDT_SIDE_CHANNELS" in (tmp_path / "project" / "firmware" / "edgendt_axis.h").read_text()
    assert sides == (backend == VIVADO)


def test_ports_that_are_not_known_are_one_sentence() -> None:
    with pytest.raises(BadInput, match="ports must be one of arrays, axis, got 'pcie'"):
        Target(ports="pcie")


def test_a_folder_written_again_with_arrays_has_no_streams(tmp_path: Path) -> None:
    written: list[Firmware] = [build(small(), tmp_path, target=Target(ports=ports)) for ports in ("axis", "arrays")]
    assert written[1].sources == ("edt_abi.cpp",)
    assert "axis" not in (tmp_path / "edt_network.h").read_text()
