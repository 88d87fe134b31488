"""RTL with the ports that an HLS tool gives the firmware, driven by `edgendt sim --rtl`: a stand-in, and its faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bench import mutate
from firmware_cases import CASES
from needs import needs
from test_firmware_axis import Streams
from test_synth_hls4ml import quantized

from edgendt.compare import Mismatch
from edgendt.errors import BadInput, EdgendtError, ToolFailed
from edgendt.program import Program
from edgendt.sim import regress, vendor
from edgendt.tools import share

STANDIN = share("sim") / "standin" / "vendor"
FAULTS = {  # what a tool, or a wrapper, could get wrong; what is said of it
    "a bit of every word": ("= data_q;", "= data_q ^ 32'h4;", "instead of 0 and"),
    "a bit of large words": ("= data_q;", "= data_q ^ 32'(data_q[9]);", "expected"),
    "the last word is lost": ("count_q - 1;", "count_q - 2;", "words, the first 0, instead of"),
    "a packet never ends": ("place_q == count_q - 1;", "1'b0;", "no packet within"),
    "a word is taken before it is offered": ("if (packets_TVALID && packets_TREADY)", "if (packets_TREADY)", ""),
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> tuple[Program, Any]:
    """A network with its compiled firmware behind the stand-in."""
    needs("verilator")
    program, counts = CASES["bin by bin"]()
    folder = tmp_path_factory.mktemp("firmware")
    Streams(program, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDT_FIRMWARE", str(folder / "driver.so"))
        yield program, counts


def test_trials_at_the_streams_of_the_rtl_equal_the_program(library: tuple[Program, Any], tmp_path: Path) -> None:
    program, counts = library
    tally = vendor.simulated(program, [counts, counts[::-1]], STANDIN, tmp_path)
    assert tally.first is None and tally.codes == 2 * len(counts) * program.outputs


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_rtl_is_seen(fault: str, library: tuple[Program, Any], tmp_path: Path) -> None:
    (program, counts), (old, new, said) = library, FAULTS[fault]
    rtl = tmp_path / "rtl"
    rtl.mkdir()
    (mutant,) = mutate([STANDIN / "edgendt_axis.sv"], old, new)
    for path in (mutant, STANDIN / "packet_dpi.cpp"):
        (rtl / path.name).write_text(path.read_text())
    try:
        tally = vendor.simulated(program, [counts], rtl, tmp_path, timeout=2_000)
    except ToolFailed as error:
        assert said in str(error)
    else:
        assert isinstance(tally.first, Mismatch) and said in str(tally.first)


def test_sim_has_a_link_more(library: tuple[Program, Any], tmp_path: Path) -> None:
    run, program = quantized("NDT", tmp_path / "r")
    assert program == library[0]
    links = {one["name"]: one for one in regress(run, ["stream"], 12, quiet=True, rtl=STANDIN)["links"]}
    assert list(links) == ["torch", "qonnx", "stream", "hls4ml", "engine", "rtl"]
    assert (links["rtl"]["status"], links["stream"]["status"], links["engine"]["status"]) == ("pass", "pass", "skipped")
    assert links["rtl"]["codes"] == 12 * program.outputs


def test_a_folder_without_the_top_is_one_sentence(tmp_path: Path) -> None:
    run, _ = quantized("NDT", tmp_path / "r")
    with pytest.raises(BadInput, match="has no Verilog module edgendt_axis: give the syn/verilog folder") as error:
        regress(run, ["stream"], 12, quiet=True, rtl=tmp_path)
    assert isinstance(error.value, EdgendtError) and not run.has("sim")
