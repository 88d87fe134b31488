"""RTL with the ports that vivado_hls gives hls4ml's own wrapper, in `edgendt sim --rtl`: a stand-in, and faults."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from needs import needs
from test_firmware_accelerator import CHOSEN, NETWORKS, windows
from test_synth_hls4ml import quantized
from test_vendor import STANDIN

from edgendt.boards import Board
from edgendt.compare import Mismatch
from edgendt.errors import BadInput, ToolFailed
from edgendt.firmware.library import flags
from edgendt.firmware.project import of_board, write_project
from edgendt.program import Program
from edgendt.sim import regress, vendor
from edgendt.tools import run_tool

BOARD = Board.named("pynq-z2")
# As in port lists that vivado_hls wrote of published projects of that backend.
PORTS = """\
ap_clk in_r_TDATA in_r_TVALID in_r_TREADY in_r_TLAST ap_rst_n out_r_TDATA out_r_TVALID out_r_TREADY out_r_TLAST"""
# Bits of floats in, those of the answer out; -1: TLAST was not at the answer's last word alone.
DRIVER = """
#include "firmware/edgendt_axi.h"
#include "firmware/nnet_utils/edt_fixed.h"
#include "nnet_utils/nnet_helpers.h"

#include "edt_trace.h"
#include <cstring>
extern "C" int32_t packet(const int32_t *words, int32_t n, int32_t *answer) {
    static input_axi_t given[N_IN];
    static output_axi_t out[N_OUT];
    if (n != int32_t(N_IN)) return -1;
    for (unsigned i = 0; i < N_IN; i++) {
        std::memcpy(&given[i].data, &words[i], 4);
        given[i].last = i == N_IN - 1;
    }
    edgendt_axi(given, out);
    for (unsigned i = 0; i < N_OUT; i++) {
        std::memcpy(&answer[i], &out[i].data, 4);
        if (out[i].last != (i == N_OUT - 1)) return -1;
    }
    return N_OUT;
}
"""
FAULTS = {  # what a tool could get wrong; what is said of it
    "the sign of every word that comes in": ("(in_r_TDATA, 32'(", "(in_r_TDATA ^ 32'h8000_0000, 32'(", "expected"),
    "a bit of every word": ("= data_q;", "= data_q ^ 32'h1;", "of the answer to call 0, word 0, "),
    "the sign of every word": ("= data_q;", "= data_q ^ 32'h8000_0000;", "expected"),
    "no number": ("= data_q;", "= 32'h7FC0_0000;", "word 0, nan, is no code"),
    "the last word is lost": ("count_q - 1;", "count_q - 2;", "words instead of"),
    "a packet never ends": ("place_q == count_q - 1;", "1'b0;", "no packet within"),
}


def verilog() -> str:
    """The stand-in of the packets' top under these names, without side channels."""
    text = (STANDIN / "edgendt_axis.sv").read_text().replace("edgendt_axis", "edgendt_axi")
    text = re.sub(r"(?m)^.*T(KEEP|STRB).*\n", "", text)
    return text.replace("packets_", "in_r_").replace("answers_", "out_r_")


def folder(at: Path, text: str) -> Path:
    """What the tool leaves; the plain top is a module in it, too."""
    at.mkdir()
    (at / "edgendt_axi.sv").write_text(text)
    (at / "edgendt.v").write_text("module edgendt (input wire ap_clk);\nwire unused = ap_clk;\nendmodule\n")
    (at / "packet_dpi.cpp").write_text((STANDIN / "packet_dpi.cpp").read_text())
    return at


@pytest.fixture(scope="module", params=NETWORKS)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A network whose compiled wrapper is behind the stand-in."""
    needs("verilator"), needs("g++")
    made, project = NETWORKS[request.param](), tmp_path_factory.mktemp("project")
    write_project(made, BOARD, project, config=CHOSEN)
    (project / "driver.cpp").write_text(DRIVER)
    sources = [f"firmware/{stem}.cpp" for stem in of_board(BOARD, CHOSEN).sources]
    words = ("g++", *flags(project), *sources, "driver.cpp", "-o", "driver.so")
    run_tool(words, project / "driver.log", cwd=project)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDT_FIRMWARE", str(project / "driver.so"))
        yield made


def test_the_stand_in_has_the_ports_of_a_tool() -> None:
    assert set(re.findall(r"(?:input|output) +wire +(?:\[\d+:0\])? *(\w+)", verilog())) == set(PORTS.split())


def test_every_window_at_the_streams_of_hls4mls_wrapper_equals_the_program(program: Program, tmp_path: Path) -> None:
    trials = list(windows(program))
    tally = vendor.simulated(program, trials, folder(tmp_path / "rtl", verilog()), tmp_path)
    assert tally.first is None
    assert tally.codes == sum(program.run(window).size for window in trials)


@pytest.mark.parametrize("program", ["STNDT"], indirect=True)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_rtl_is_seen(fault: str, program: Program, tmp_path: Path) -> None:
    old, new, said = FAULTS[fault]
    assert verilog().count(old) == 1
    rtl = folder(tmp_path / "rtl", verilog().replace(old, new))
    try:
        tally = vendor.simulated(program, windows(program)[2:], rtl, tmp_path, timeout=2_000)
    except ToolFailed as error:
        assert said in str(error)
    else:
        assert isinstance(tally.first, Mismatch) and said in str(tally.first)


@pytest.mark.parametrize("program", ["STNDT"], indirect=True)
def test_sim_has_a_link_more(program: Program, tmp_path: Path) -> None:
    run, same = quantized("STNDT", tmp_path / "r")
    assert same == program
    links = regress(run, ["stream"], 4, quiet=True, rtl=folder(tmp_path / "rtl", verilog()))["links"]
    (link,) = [one for one in links if one["name"] == "rtl"]
    assert link["status"] == "pass" and link["codes"] > 0, link["reason"]


def test_a_network_that_hls4mls_wrapper_does_not_take_is_one_sentence(tmp_path: Path) -> None:
    run, _ = quantized("NDT", tmp_path / "r")
    rtl = folder(tmp_path / "rtl", verilog())
    with pytest.raises(BadInput, match="VivadoAccelerator takes one input, windows of counts; random10 has counts and"):
        regress(run, ["stream"], 4, quiet=True, rtl=rtl)
    assert not run.has("sim")


def test_a_port_that_is_not_as_it_should_be_is_one_sentence(tmp_path: Path) -> None:
    run, _ = quantized("STNDT", tmp_path / "r")
    for number, (old, new, said) in enumerate((
        ("in_r_TDATA", "in_TDATA", "module edgendt_axi has no port in_r_TDATA: give the Verilog of a "),
        ("output wire         in_r_TREADY", "input wire in_r_TREADY", "port in_r_TREADY of edgendt_axi is an input"),
        ("[31:0] out_r_TDATA", "[15:0] out_r_TDATA", "port out_r_TDATA of edgendt_axi has 16 bits, packets need 32"),
    )):  # fmt: skip
        assert old in verilog()
        with pytest.raises(BadInput, match=said):
            regress(run, ["stream"], 4, quiet=True, rtl=folder(tmp_path / f"rtl{number}", verilog().replace(old, new)))
