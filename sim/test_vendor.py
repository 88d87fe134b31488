"""RTL with the ports that an HLS tool gives the firmware, driven by `edgendt sim --rtl`: a stand-in, and its faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench import mutate
from firmware_cases import CASES
from needs import needs
from test_firmware_axis import Streams
from test_firmware_reload import RELOADS
from test_synth_hls4ml import quantized

from edgendt.compare import Mismatch
from edgendt.data.stimulus import stimulus
from edgendt.errors import BadInput, EdgendtError, ToolFailed
from edgendt.firmware.reload import other, packet
from edgendt.program import Program
from edgendt.sim import regress, vendor
from edgendt.tools import share

STANDIN = share("sim") / "standin" / "vendor"
NETWORKS = {"NDT": "bin by bin", "STNDT": "whole window", "POYO": "tokens"}
FAULTS = {  # what a tool, or a wrapper, could get wrong; what is said of it
    "a bit of every word that comes in": ("(packets_TDATA, 32'(", "(packets_TDATA ^ 32'd2, 32'(", ""),
    "a bit of every word": ("= data_q;", "= data_q ^ 32'h4;", "instead of 0 and"),
    "a bit of large words": ("= data_q;", "= data_q ^ 32'(data_q[9]);", "expected"),
    "the last word is lost": ("count_q - 1;", "count_q - 2;", "words, the first 0, instead of"),
    "a packet never ends": ("place_q == count_q - 1;", "1'b0;", "no packet within"),
    "a word is taken before it is offered": ("if (packets_TVALID && packets_TREADY)", "if (packets_TREADY)", ""),
}


@dataclass(frozen=True)
class Case:
    """A network whose compiled firmware is behind the stand-in; trials, or windows of other numbers of rows."""

    kind: str
    program: Program
    trials: list[Any]

    @property
    def codes(self) -> int:
        """Of all outputs."""
        return sum(self.program.run(given).size for given in self.trials)


def library(name: str, folder: Path) -> Iterator[Case]:
    """Of one of NETWORKS, at the streams, for as long as it is asked for."""
    needs("verilator")
    program, given = CASES[NETWORKS[name]]()
    Streams(program, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDT_FIRMWARE", str(folder / "driver.so"))
        yield Case(name, program, _windows() if program.inputs else [given, given[::-1]])


def _windows() -> list[Any]:
    from poyos import windows  # needs torch

    return list(windows())


@pytest.fixture(scope="module", params=NETWORKS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    yield from library(request.param, tmp_path_factory.mktemp("firmware"))


def test_every_trial_at_the_streams_of_the_rtl_equals_the_program(case: Case, tmp_path: Path) -> None:
    tally = vendor.simulated(case.program, case.trials, STANDIN, tmp_path)
    assert tally.first is None and tally.codes == case.codes


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_rtl_is_seen(fault: str, case: Case, tmp_path: Path) -> None:
    old, new, said = FAULTS[fault]
    rtl = tmp_path / "rtl"
    rtl.mkdir()
    (mutant,) = mutate([STANDIN / "edgendt_axis.sv"], old, new)
    for path in (mutant, STANDIN / "packet_dpi.cpp"):
        (rtl / path.name).write_text(path.read_text())
    try:
        tally = vendor.simulated(case.program, case.trials[:1], rtl, tmp_path, timeout=2_000)
    except ToolFailed as error:
        assert said in str(error)
    else:
        assert isinstance(tally.first, Mismatch) and said in str(tally.first)


def test_sim_has_a_link_more(case: Case, tmp_path: Path) -> None:
    run, program = quantized(case.kind, tmp_path / "r")
    assert program == case.program
    links = {one["name"]: one for one in regress(run, ["stream"], 12, quiet=True, rtl=STANDIN)["links"]}
    assert list(links) == ["torch", "qonnx", "stream", "hls4ml", "engine", "rtl"]
    assert links["rtl"]["status"] == "pass", links["rtl"]["reason"]
    output = program.run(stimulus(run, program, 12)[0])
    assert links["rtl"]["codes"] == output.size
    assert (links["rtl"]["bins"], links["rtl"]["output_bins"]) == (0, len(output)), "outputs alone are looked at"
    assert (links["stream"]["status"], links["engine"]["status"]) == (
        "pass" if program.streams else "skipped",
        "skipped",
    )


def written(rtl: Path, *changes: tuple[str, str]) -> Path:
    """The stand-in with changes, in a folder."""
    rtl.mkdir()
    text = (STANDIN / "edgendt_axis.sv").read_text()
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (rtl / "edgendt_axis.sv").write_text(text)
    (rtl / "packet_dpi.cpp").write_text((STANDIN / "packet_dpi.cpp").read_text())
    return rtl


WITH_SIDES = (
    ("  output wire  [31:0] answers_TDATA,\n", "".join(
        f"  {way} wire [0:0] {stream}_{side},\n"
        for way, stream in (("input ", "packets"), ("output", "answers"))
        for side in ("TUSER", "TID", "TDEST")
    ) + "  output wire  [31:0] answers_TDATA,\n"),
    ("{answers_TKEEP, answers_TSTRB} = '1;", "{answers_TKEEP, answers_TSTRB} = '1;\n"
     "  assign {answers_TUSER, answers_TID, answers_TDEST} = '1;\n"
     "  initial if ({packets_TUSER, packets_TID, packets_TDEST} != '0) $error(\"a side channel is not tied\");"),
)  # fmt: skip


@pytest.mark.parametrize("case", ["NDT"], indirect=True)
def test_side_channels_of_vivado_hls_are_tied(case: Case, tmp_path: Path) -> None:
    rtl = written(tmp_path / "rtl", *WITH_SIDES)
    tally = vendor.simulated(case.program, case.trials, rtl, tmp_path)
    assert tally.first is None and tally.codes == case.codes


WATCHED = (
    ("  input  wire         ap_clk,\n", "  output wire ap_local_block, output wire ap_local_deadlock,\n"
     "  input  wire         ap_clk,\n"),
    ("{answers_TKEEP, answers_TSTRB} = '1;", "{answers_TKEEP, answers_TSTRB} = '1;\n"
     "  assign {ap_local_block, ap_local_deadlock} = '0;"),
)  # fmt: skip


@pytest.mark.parametrize("case", ["NDT"], indirect=True)
def test_outputs_by_which_vitis_hls_watches_itself_are_left(case: Case, tmp_path: Path) -> None:
    tally = vendor.simulated(case.program, case.trials[:1], written(tmp_path / "rtl", *WATCHED), tmp_path)
    assert tally.first is None and tally.codes == case.program.run(case.trials[0]).size


@pytest.mark.parametrize("case", ["NDT"], indirect=True)
def test_a_byte_of_an_answer_that_is_no_data_is_seen(case: Case, tmp_path: Path) -> None:
    rtl = written(tmp_path / "rtl", ("{answers_TKEEP, answers_TSTRB} = '1;", "{answers_TKEEP, answers_TSTRB} = 8'h7F;"))
    with pytest.raises(ToolFailed, match="a beat of an answer has bytes that are no data"):
        vendor.simulated(case.program, case.trials, rtl, tmp_path)


@pytest.mark.parametrize(
    "old, new, said",
    [
        ("[3:0]  packets_TKEEP,", "[3:0] packets_TLATE,", "port packets_TLATE of edgendt_axis is not known"),
        (
            "output wire  [3:0]  answers_TKEEP,",
            "output wire  [3:0]  answers_TLATE,",
            "TLATE of .* nothing reads it: give",
        ),
        (
            "input  wire  [3:0]  packets_TSTRB,",
            "output wire  [3:0]  packets_TSTRB,",
            "TSTRB of .* is an output and must be",
        ),
        (
            "output wire         answers_TVALID",
            "input  wire         answers_TVALID",
            "TVALID of .* is an input and must be",
        ),
        ("packets_TDATA,\n", "packets_V_TDATA,\n", "module edgendt_axis has no port packets_TDATA: give the"),
        ("[31:0] answers_TDATA", "[63:0] answers_TDATA", "answers_TDATA of edgendt_axis has 64 bits, packets need 32"),
    ],
)
def test_a_port_that_is_not_as_it_should_be_is_one_sentence(old: str, new: str, said: str, tmp_path: Path) -> None:
    run, _ = quantized("NDT", tmp_path / "r")
    with pytest.raises(BadInput, match=said):
        regress(run, ["stream"], 12, quiet=True, rtl=written(tmp_path / "rtl", (old, new)))
    assert not run.has("sim")


@pytest.fixture(scope="module")
def reloads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    """The stand-in computes with a firmware that was built with another network than the one that is simulated."""
    needs("verilator")
    program, given = CASES["bin by bin"]()
    folder = tmp_path_factory.mktemp("firmware")
    Streams(other(program, 5), folder, RELOADS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDT_FIRMWARE", str(folder / "driver.so"))
        yield Case("NDT", program, [given, given[::-1]])


def in_project(folder: Path) -> Path:
    """The stand-in where the tool would leave it, in the project of a firmware that takes networks."""
    rtl = folder / "edgendt_prj" / "solution1" / "syn" / "verilog"
    rtl.parent.mkdir(parents=True)
    (folder / "run_hls.tcl").touch()
    (folder / "load.bin").touch()
    return written(rtl)


def test_rtl_that_takes_networks_is_given_two(reloads: Case, tmp_path: Path) -> None:
    tally = vendor.simulated(reloads.program, reloads.trials, in_project(tmp_path / "p"), tmp_path)
    assert tally.first is None
    assert tally.codes == reloads.codes + reloads.program.run(reloads.trials[0]).size


def own() -> Program:
    return CASES["bin by bin"]()[0]


def flipped(place: int) -> Callable[[Any], Any]:
    """A packet with another bit in that word."""
    return lambda words: np.where(np.arange(len(words)) == place, words ^ 1, words)


LOADS = {  # a fault in a load: of the other network or of its own, the packet, what is said
    "another structure": (False, flipped(1), "the load of random10 was answered by 1 words, the first 1"),
    "the other's is of another structure": (True, flipped(1), "the load of random10, stirred was answered by 1 words"),
    "a code": (False, flipped(7), "the load of random10 was answered by 1 words, the first 1"),
    "the other network twice": (False, lambda _: packet(other(own())), "rtl: op readout, bin 0, index"),
    "its own network twice": (True, lambda _: packet(own()), "rtl, another network loaded: op readout, bin 0"),
}


@pytest.mark.parametrize("fault", LOADS)
def test_a_fault_in_a_load_is_seen(fault: str, reloads: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, change, said = LOADS[fault]
    made = lambda one: change(packet(one)) if (one is not reloads.program) == first else packet(one)  # noqa: E731
    monkeypatch.setattr(vendor, "packet", made)
    try:
        tally = vendor.simulated(reloads.program, reloads.trials, in_project(tmp_path / "p"), tmp_path)
    except ToolFailed as error:
        assert said in str(error)
    else:
        assert said in str(tally.first)


def test_a_load_is_sent_where_a_load_packet_says_that_it_can_be(tmp_path: Path) -> None:
    """In the project around the Verilog, or beside it where it was taken out of one."""
    program = own()
    inside, alone = in_project(tmp_path / "p"), written(tmp_path / "rtl")
    assert vendor.Rtl.of(inside, program).loads and not vendor.Rtl.of(alone, program).loads
    (alone / "load.bin").touch()
    assert vendor.Rtl.of(alone, program).loads
    (tmp_path / "p" / "load.bin").unlink()
    assert not vendor.Rtl.of(inside, program).loads


@pytest.mark.parametrize("case", ["POYO"], indirect=True)
def test_a_window_without_room_in_the_rtl_is_said(case: Case, tmp_path: Path) -> None:
    given = case.trials[0]
    queries = [item.name for item in case.program.inputs if item.axis == case.program.axis(case.program.output)]
    longer = {**given, **{name: np.resize(given[name], (17, *given[name].shape[1:])) for name in queries}}
    with pytest.raises(ToolFailed, match="the first 1, instead of 0 and 34: it refused the packet"):
        vendor.simulated(case.program, [longer], STANDIN, tmp_path)


def test_a_folder_without_the_top_is_one_sentence(tmp_path: Path) -> None:
    run, _ = quantized("NDT", tmp_path / "r")
    with pytest.raises(
        BadInput, match="has no Verilog module edgendt_axis, edgendt_axi or edgendt: give the syn"
    ) as error:
        regress(run, ["stream"], 12, quiet=True, rtl=tmp_path)
    assert isinstance(error.value, EdgendtError) and not run.has("sim")
