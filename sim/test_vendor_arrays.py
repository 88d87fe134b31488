"""RTL with the ports that an HLS tool gives the plain top's arrays, driven by `edgendt sim --rtl`: a stand-in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from firmware_cases import CASES, MOST
from needs import needs
from standin_arrays import GLUE, library, verilog
from test_synth_hls4ml import NETWORKS, quantized

from edgendt.compare import Mismatch
from edgendt.errors import BadInput, ToolFailed
from edgendt.firmware import build
from edgendt.firmware.arrays import Ports, codes_of, word
from edgendt.program import Program
from edgendt.sim import regress, vendor

FAULTS = {  # what a tool could get wrong: in which networks it is looked for, what is said of it
    "a bit of every element that comes in": (r"\+: (\d+)\]\)\)", r"+: \1] ^ 1))", "NDT STNDT", "expected"),
    "an input's elements in the other order": (r"put\(0, i,", "put(0, {last} - i,", "NDT STNDT POYO", "expected"),
    "a bit of an element": (r"\? code_q\[3\]", "? code_q[3] ^ 1", "NDT STNDT POYO", "expected"),
    "two elements in each other's place": (r"\? code_q\[1\]", "? code_q[2]", "NDT", "index 1: expected"),
    "an element never valid": (r"(_2_ap_vld = ).*;", r"\1 1'b0;", "NDT STNDT POYO", "call 0 ended without layer"),
    "an element valid before a call": (r"(_2_ap_vld = beat_q ==) 3", r"\1 0", "NDT", "seen with no call"),
    "an input taken before it is valid": (r"ap_start && valid", "ap_start", "NDT", "before every input was valid"),
    "a reset that is not seen": (r"put\(1, i, 32'\(", "put(1, i, 0 & 32'(", "NDT", "expected"),
    "a bin that is computed twice": (r"(edt_dpi_call\(\);\n)(?!  import)", r"\1edt_dpi_call();\n", "NDT", "expected"),
    "a number of rows that is one less": (r"(put\(5, i, 32')(\(.*\))\);", r"\1(\2 - 1));", "POYO", "expected"),
    "no end": (r"(ap_done  = ).*;", r"\1 1'b0;", "NDT", "no ap_done within 500 cycles"),
    "an end before its time": (r"(ap_done  = beat_q ==) Last", r"\1 2", "NDT", "ap_done without ap_ready"),
    "no sign that inputs are taken": (r"(ap_ready = ).*;", r"\1 1'b0;", "NDT", "ap_done without ap_ready"),
    "no sign of work": (r"(ap_idle  = ).*;", r"\1 1'b1;", "NDT", "ap_idle is high in a call"),
    "no sign of rest": (r"(ap_idle  = ).*;", r"\1 1'b0;", "NDT", "ap_idle is low with no call"),
}
SEEDED = [(fault, name) for fault, (*_, where, _) in FAULTS.items() for name in where.split()]


@dataclass(frozen=True)
class Case:
    """A network whose compiled firmware is behind the stand-in; trials, or windows of other numbers of rows."""

    kind: str
    program: Program
    trials: list[Any]
    rtl: str

    def folder(self, at: Path) -> Path:
        """What the tool leaves."""
        at.mkdir()
        (at / "edgendt.sv").write_text(self.rtl)
        (at / GLUE.name).write_text(GLUE.read_text())
        return at


def _trials(program: Program, given: Any) -> list[Any]:
    if not program.inputs:
        return [given, given[::-1]]
    from poyos import windows  # needs torch

    return list(windows())


@pytest.fixture(scope="module", params=NETWORKS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    needs("verilator"), needs("g++")
    program, given = CASES[NETWORKS[request.param]]()
    firmware = build(program, tmp_path_factory.mktemp("firmware"), most=MOST if program.inputs else None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDT_FIRMWARE", str(library(firmware)))
        yield Case(request.param, program, _trials(program, given), verilog(firmware.folder / "firmware"))


def test_every_trial_at_the_arrays_of_the_rtl_equals_the_program(case: Case, tmp_path: Path) -> None:
    tally = vendor.simulated(case.program, case.trials, case.folder(tmp_path / "rtl"), tmp_path)
    assert tally.first is None
    assert tally.codes == sum(case.program.run(given).size for given in case.trials)


@pytest.mark.parametrize(("fault", "case"), SEEDED, indirect=["case"])
def test_a_fault_in_the_rtl_is_seen(fault: str, case: Case, tmp_path: Path) -> None:
    old, new, _, said = FAULTS[fault]
    (many,) = re.findall(r"i < (\d+); i\+\+\) edt_dpi_put\(0,", case.rtl)
    mutant = re.sub(old, new.replace("{last}", str(int(many) - 1)), case.rtl)
    assert mutant != case.rtl
    folder = case.folder(tmp_path / "rtl")
    (folder / "edgendt.sv").write_text(mutant)
    try:
        tally = vendor.simulated(case.program, case.trials, folder, tmp_path, timeout=500)
    except ToolFailed as error:
        assert said in str(error)
    else:
        assert isinstance(tally.first, Mismatch) and said in str(tally.first)


def test_sim_has_a_link_more(case: Case, tmp_path: Path) -> None:
    run, program = quantized(case.kind, tmp_path / "r")
    links = regress(run, ["stream"], 4, quiet=True, rtl=case.folder(tmp_path / "rtl"))["links"]
    (link,) = [one for one in links if one["name"] == "rtl"]
    assert link["status"] == "pass" and link["codes"] > 0, link["reason"]
    assert link["bins"] == 0 and link["output_bins"] * program.outputs == link["codes"], "outputs alone are looked at"


def test_another_networks_ports_are_one_sentence(case: Case, tmp_path: Path) -> None:
    run, program = quantized(case.kind, tmp_path / "r")
    of = re.escape(program.name)
    first = re.findall(r"input  \[\d+:0\] (\w+);", case.rtl)[0]
    for old, new, said in (
        (rf"input   {first}_ap_vld;", "", f"module edgendt has no port {first}_ap_vld: give .* made of {of}"),
        (r"ap_idle", "ap_quiet", "module edgendt has no port ap_idle: give the Verilog"),
        (r"input ap_start;", "input ap_start;\ninput ap_ce;", "port ap_ce of edgendt is not known, and nothing drives"),
        (
            r"input ap_start;",
            "input ap_start;\noutput ap_more;",
            "port ap_more of edgendt is not known, and nothing reads",
        ),
        (r"output +ap_idle;", "input ap_idle;", "port ap_idle of edgendt is an input and must be an output: give"),
        (rf"input  (\[\d+:0\] {first};)", r"output \1", rf"port {first} of edgendt is an output and must be an input"),
        (rf"\b{first}(_ap_vld)?\b", rf"{first}_V\1", r"module edgendt has (no port .*_V: give|\d+ outputs)"),  # not all
        (rf"\[\d+:0\] {first};", f"[2:0] {first};", rf"port {first} of edgendt has 3 bits, {of} needs \d+"),
        (
            r"(layer\d+_out)_1;",
            r"\1_9999;",
            r"port layer\d+_out_9999 of edgendt is not known, and nothing reads it: give",
        ),
        (
            r"(layer\d+_out)_1(_ap_vld)?\b",
            r"\1_9999\2",
            rf"edgendt has \d+ outputs with _ap_vld, {of} needs \d+ of 16 bits",
        ),
        (r"output  \[15:0\]", "output  [14:0]", rf"edgendt has \d+ outputs with _ap_vld, {of} needs \d+ of 16 bits"),
    ):
        folder = case.folder(tmp_path / f"rtl{len(list(tmp_path.iterdir()))}")
        (folder / "edgendt.sv").write_text(re.sub(old, new, case.rtl))
        with pytest.raises(BadInput, match=said):
            regress(run, ["stream"], 4, quiet=True, rtl=folder)
    assert not run.has("sim")


@pytest.mark.parametrize("case", ["POYO"], indirect=True)
def test_a_window_without_room_in_the_rtl_is_one_sentence(case: Case) -> None:
    ports = Ports.of(case.program, case.rtl)
    assert dict(ports.room) == MOST
    with pytest.raises(BadInput, match="module edgendt has room for 1 queries, the window has "):
        Ports(ports.widths, ports.outputs, {**MOST, "queries": 1}).calls(case.program, case.trials[0])


def vivado(case: Case) -> Case:
    """The stand-in under the names that vivado_hls gives its ports."""
    names = re.findall(r"(?:input|output)\s+\[\d+:0\] (\w+);", case.rtl)
    return replace(case, rtl=re.sub(rf"\b({'|'.join(names)})(_ap_vld)?\b", r"\1_V\2", case.rtl))


def test_names_of_vivado_hls_are_the_same_ports(case: Case, tmp_path: Path) -> None:
    other = vivado(case)
    ports, others = (Ports.of(one.program, one.rtl) for one in (case, other))
    assert list(others.widths) == [f"{name}_V" for name in ports.widths]
    assert others.outputs == tuple(f"{name}_V" for name in ports.outputs) and others.room == ports.room
    tally = vendor.simulated(case.program, case.trials[:1], other.folder(tmp_path / "rtl"), tmp_path)
    assert tally.first is None and tally.codes == case.program.run(case.trials[0]).size


def test_ports_are_read_as_a_tool_writes_them() -> None:
    program, counts = CASES["bin by bin"]()
    written = """// input ap_clk wanted
`timescale 1 ns / 1 ps
(* CORE_GENERATION_INFO="edgendt,hls_ip" *)
module edgendt (ap_clk, ap_rst);
input   ap_clk; input   ap_rst; input   ap_start;
output   ap_done; output   ap_idle; output   ap_ready;
input  [19:0] counts; input   counts_ap_vld; input  [0:0] reset; input   reset_ap_vld;
output  [15:0] layer17_out_1; output   layer17_out_1_ap_vld;
output  [15:0] layer17_out_0; output   layer17_out_0_ap_vld;
output  [15:0] layer17_out_2; output   layer17_out_2_ap_vld;
output  [15:0] layer17_out_3; output   layer17_out_3_ap_vld;
reg [15:0] layer17_out_0;
endmodule
module edgendt_other (input wire ap_clk, output wire [3:0] other, output wire other_ap_vld);
endmodule
"""
    ports = Ports.of(program, written)
    assert ports.widths == {"counts": 20, "reset": 1}
    assert ports.outputs == tuple(f"layer17_out_{at}" for at in range(4))
    calls = ports.calls(program, counts)
    assert [call[1] for call in calls] == [1] + [0] * 11
    assert calls[0][0] == sum(int(count) << 4 * at for at, count in enumerate(counts[0]))


def test_codes_go_through_words_and_back() -> None:
    program, counts = CASES["bin by bin"]()
    codes = program.run(counts)[0]
    codes[0], codes[1] = program.output_format.lo, program.output_format.hi
    assert (codes_of(word(codes, program.output_format.bits), 4, program) == codes).all()
