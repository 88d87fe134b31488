"""A card's project: goldens, the whole path through a fake v++ that joins kernels, the movers in C++."""

from __future__ import annotations

import ctypes
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from firmware_cases import CASES, MOST
from goldens import is_golden
from needs import needs
from test_firmware_axis import answered
from test_vivado import REPORTS, fake, run  # noqa: F401

from edgendt.artifact import Run
from edgendt.boards import Board
from edgendt.errors import BadInput, ToolFailed, ToolMissing
from edgendt.firmware import build
from edgendt.firmware.axis import in_memory, of_memory, packets
from edgendt.firmware.library import flags
from edgendt.firmware.target import FirmwareConfig, Target
from edgendt.program import Program
from edgendt.synth import card, synthesise, vivado_reports
from edgendt.synth.usual import usual_engine
from edgendt.tools import run_tool, share

U55C = Board.named("u55c")
# What the card does: packets out of memory, the network at each, answers into memory.
DRIVER = """
#include "edt_card.cpp"
#include "firmware/edgendt_axis.h"
extern "C" bool card(const int32_t *given, int32_t words, int32_t count, int32_t *out, int32_t room) {
    std::vector<ap_int<32> > in(given, given + words), answers_in(room);
    edt::Stream packets, answers;
    edt_send(in.data(), count, packets);
    for (int i = 0; i < count; i++) edgendt_axis(packets, answers);
    edt_receive(answers, answers_in.data(), count);
    for (int i = 0; i < room; i++) out[i] = int32_t(answers_in[i]);
    return packets.empty() && answers.empty();
}
"""


def on_card(program: Program, given: Any, folder: Path, mover: tuple[str, str] = ("", "")) -> list[list[int]] | None:
    """The answers to a trial's packets, through the movers; None: a stream still holds words.

    mover: what is put wrong into their source.
    """
    needs("g++")
    written = build(program, folder, most=MOST if program.inputs else None, target=Target(ports="axis"))
    text = (share("hls") / "cpp" / card.SOURCE).read_text()
    assert mover[0] in text
    (folder / card.SOURCE).write_text(text.replace(*mover))
    (folder / "driver.cpp").write_text("#include <cstdint>\n#include <vector>\n" + DRIVER)
    sources = (*written.sources, "driver.cpp")
    run_tool(("g++", *flags(folder), *sources, "-o", "driver.so"), folder / "driver.log", cwd=folder)
    sent = packets(program, given)
    memory, out = in_memory(sent), np.zeros(1 << 16, np.int32)
    library = ctypes.CDLL(str(folder / "driver.so"))
    library.card.restype = ctypes.c_bool
    pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (memory, out)]
    if not library.card(pointers[0], len(memory), len(sent), pointers[1], len(out)):
        return None
    return [[int(word) for word in answer] for answer in of_memory(out, len(sent))]


@pytest.mark.parametrize("name", ["bin by bin", "whole window"])
def test_a_trial_from_memory_to_memory_is_the_program(name: str, tmp_path: Path) -> None:
    program, given = CASES[name]()
    expected = program.run(given)
    calls = [expected] if program.bins else list(expected)
    assert on_card(program, given, tmp_path) == [answered(codes) for codes in calls]


@pytest.mark.parametrize(
    "right, wrong",
    [("memory[at + i], i == words", "memory[at + i], i == words - 1"), ("memory[at + i], i", "memory[at + 1], i")],
    ids=["ends too early", "repeats a word"],
)
def test_a_fault_in_a_mover_is_seen(right: str, wrong: str, tmp_path: Path) -> None:
    program, given = CASES["bin by bin"]()
    expected = [answered(codes) for codes in program.run(given)]
    assert on_card(program, given, tmp_path, (right, wrong)) != expected


def test_scripts_are_the_golden_ones(run: Run) -> None:  # noqa: F811
    result = synthesise(run, "u55c")
    folder = run.stage("synth-u55c")
    assert (result["stage"], result["flow"], result["bitstream"]) == ("project", "hls4ml", None)
    for name in ("link.cfg", "build.sh"):
        is_golden((folder / name).read_text(), f"card/{name}")
    assert str(folder) not in "".join((folder / name).read_text() for name in ("run_hls.tcl", "link.cfg", "build.sh"))


def test_the_whole_path_ends_with_a_binary_and_the_clock_that_was_reached(
    run: Run,  # noqa: F811
    fake: Any,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EDT_FAKE_MHZ", "187.5")
    result = synthesise(run, "u55c", build=True, config=FirmwareConfig(weights="reload"))
    folder = run.stage("synth-u55c")
    assert json.loads((folder / "synth.json").read_text()) == result
    assert (result["stage"], result["bitstream"], result["cycles_per_bin"]) == ("post-route", "u55c.xclbin", 5120)
    assert (result["clock_mhz"], result["fmax_mhz"], result["tool_versions"]) == (200.0, 187.5, {"v++": "2022.2"})
    assert result["resources"]["RAMB18"] == {"used": 174, "available": 3692}
    assert result["resources"]["LUT"] == {"used": 69389, "available": 990176}
    assert {kind: count["used"] for kind, count in result["resources"].items() if kind in ("FF", "URAM", "DSP48")} == {
        "FF": 91572,
        "URAM": 10,
        "DSP48": 414,
    }
    steps = [line.split()[:2] for line in fake() if line.startswith(("export_design", "v++"))]
    assert steps == [["export_design", "-format"], ["v++", "-c"], ["v++", "-c"], ["v++", "-l"]]
    assert (folder / "build.sh").read_text().splitlines()[-3:] == [line for line in fake() if line.startswith("v++")]


@pytest.mark.parametrize("step", ["-c", "-l"])
def test_a_failed_step_is_quoted_and_its_log_kept(
    step: str,
    run: Run,  # noqa: F811
    fake: Any,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EDT_FAKE_FAIL", step)
    with pytest.raises(ToolFailed, match=f"{step} failed as asked") as caught:
        synthesise(run, "u55c", build=True)
    assert Path(caught.value.log) == run.path / "synth-u55c.failed.log"


@pytest.mark.parametrize(
    "old, new, said",
    [
        ("send.packets:network.packets", "send.packets:network.answers", "not from master to slave"),
        ("stream_connect=network.answers:receive.answers\n", "", "not connected: network.answers, receive.answers"),
        ("sp=receive.memory:HBM[1]", "sp=receive.memory:DDR[0]", "no such port or bank"),
        ("sp=send.memory:HBM[0]\n", "", "not connected: send.memory"),
        ("nk=edt_send:1:send", "nk=edt_sends:1:send", "no such kernel"),
        ("[connectivity]\n", "", "belongs to"),
    ],
)
def test_the_fake_tool_rejects_wrong_connections(
    old: str,
    new: str,
    said: str,
    run: Run,  # noqa: F811
    fake: Any,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = card.config(U55C)
    assert text.count(old) == 1
    monkeypatch.setattr(card, "config", lambda _: text.replace(old, new))
    with pytest.raises(ToolFailed, match=said):
        synthesise(run, "u55c", build=True)


def test_a_missing_tool_is_said_before_anything_is_written(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr("edgendt.tools._folders", lambda: [])
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ToolMissing, match=r"v\+\+ was not found: install AMD Vitis"):
        synthesise(run, "u55c", build=True)


def test_a_card_has_no_engine_and_no_other_board_is_one(run: Run) -> None:  # noqa: F811
    program = Program.load(run.stage("quantize") / "program.edt")
    with pytest.raises(
        BadInput, match=r"board u55c has no engine, only `edgendt synth`'s firmware: name a board that has"
    ):
        usual_engine(program, U55C)
    with pytest.raises(BadInput, match="board u55c has no engine flow: use --flow hls4ml"):
        synthesise(run, "u55c", flow="engine")
    with pytest.raises(ValueError, match="board must have an alveo section, got kv260"):
        card.config(Board.named("kv260"))


def test_a_card_has_no_project_of_arrays(run: Run) -> None:  # noqa: F811
    with pytest.raises(BadInput, match="board u55c is a card, whose kernels meet by streams: take ports axis, or name"):
        synthesise(run, "u55c", config=FirmwareConfig(ports="arrays"))


def test_the_samples_are_read() -> None:
    assert vivado_reports.kernel_clock((REPORTS / "xclbin.info").read_text()) == (200.0, 200.0, "2022.2")
    used = vivado_reports.kernels((REPORTS / "kernel_util_routed.rpt").read_text())
    assert used["DSP48"] == {"used": 414, "available": 6830} and used["URAM"] == {"used": 10, "available": 940}


def test_reports_without_what_is_read_are_no_result() -> None:
    assert vivado_reports.kernels("| Name | LUT |") == {}
    with pytest.raises(ValueError, match="shows no clock that was asked for"):
        vivado_reports.kernel_clock("Clocks")
