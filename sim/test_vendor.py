"""RTL with the ports that an HLS tool gives the firmware, driven by `edgendt sim --rtl`: a stand-in, and its faults."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench import mutate
from firmware_cases import CASES
from needs import needs
from test_firmware_axis import Streams
from test_synth_hls4ml import quantized

from edgendt.compare import Mismatch
from edgendt.data.stimulus import stimulus
from edgendt.errors import BadInput, EdgendtError, ToolFailed
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
    assert links["rtl"]["codes"] == program.run(stimulus(run, program, 12)[0]).size
    assert (links["stream"]["status"], links["engine"]["status"]) == (
        "pass" if program.streams else "skipped",
        "skipped",
    )


@pytest.mark.parametrize("case", ["POYO"], indirect=True)
def test_a_window_without_room_in_the_rtl_is_said(case: Case, tmp_path: Path) -> None:
    given = case.trials[0]
    queries = [item.name for item in case.program.inputs if item.axis == case.program.axis(case.program.output)]
    longer = {**given, **{name: np.resize(given[name], (17, *given[name].shape[1:])) for name in queries}}
    with pytest.raises(ToolFailed, match="the first 1, instead of 0 and 34: it refused the packet"):
        vendor.simulated(case.program, [longer], STANDIN, tmp_path)


def test_a_folder_without_the_top_is_one_sentence(tmp_path: Path) -> None:
    run, _ = quantized("NDT", tmp_path / "r")
    with pytest.raises(BadInput, match="has no Verilog module edgendt or edgendt_axis: give the syn") as error:
        regress(run, ["stream"], 12, quiet=True, rtl=tmp_path)
    assert isinstance(error.value, EdgendtError) and not run.has("sim")
