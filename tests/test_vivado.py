"""The Vivado project: goldens, the whole path through a fake tool that knows the blocks' pins, reports, complaints."""

import json
from pathlib import Path

import numpy as np
import pytest
from goldens import GOLDEN, is_golden
from needs import needs_package
from networks import random_ndt

from edgendt.artifact import Run
from edgendt.boards import Board, known
from edgendt.engine.config import Engine
from edgendt.engine.image import Image, engine_id
from edgendt.engine.sources import axi_sources, engine_sources, hashes
from edgendt.errors import BadInput, DoesNotFit, ToolFailed, ToolMissing
from edgendt.firmware.target import AMD, VIVADO, FirmwareConfig
from edgendt.firmware.vendor import build_script
from edgendt.synth import design, synthesise, vivado, vivado_reports

HERE = Path(__file__).parent
REPORTS = HERE / "reports"
BOARDS = [name for name in known() if Board.named(name).zynq]
KV260 = Board.named("kv260")
SMALL, FULL = Engine.named("small"), Engine.named("full")


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """The fake tool first on the path; returns the commands it ran, line by line."""
    needs_package("tkinter")  # whose Tcl reads the script
    monkeypatch.setattr("edgendt.tools._folders", lambda: [HERE / "fakes"])
    monkeypatch.setenv("EDT_FAKE_LOG", str(tmp_path / "commands"))
    return lambda: (tmp_path / "commands").read_text().splitlines()


@pytest.fixture
def run(tmp_path):
    """A run with a small network."""
    run = Run(tmp_path / "runs" / "r")
    with run.write("quantize") as folder:
        random_ndt(3, 6, 16, 1, 2, 16, 8, 5, 20).save(folder / "program.edt")
        np.savez(folder / "stimulus.npz", counts=np.ones((1, 9, 6), np.int64), lengths=np.array([9]))
    return run


@pytest.mark.parametrize("name", BOARDS)
def test_the_script_is_the_golden_one(name):
    is_golden(design.script(Board.named(name), design.ENGINE), f"vivado/build.{name}.tcl")


def test_the_wrapper_is_the_golden_one():
    """Parameters, which change with the engine, by what they say."""
    golden = (GOLDEN / "vivado" / "engine.v").read_text()
    values = {"EngineId": f"32'h{engine_id(SMALL.parameters()):08x}"} | SMALL.parameters()
    said = ",\n    ".join(f".{name}({value})" for name, value in values.items())
    number = f"{engine_id(SMALL.parameters()):08x}"
    assert vivado.wrapper(SMALL) == golden.replace("PARAMETERS", said).replace("ID", number)


@pytest.mark.parametrize("name", BOARDS)
def test_the_project_is_complete_without_the_tool_and_knows_no_machine(run, name):
    result = synthesise(run, name, engine="small")
    folder = run.stage(f"synth-{name}")
    assert json.loads((folder / "synth.json").read_text()) == result and result["simulated"] is None
    assert (result["flow"], result["stage"], result["fmax_mhz"]) == ("engine", "project", None)
    assert result["sources"] == hashes(axi_sources()) and hashes(engine_sources()).items() <= result["sources"].items()
    assert hashes((folder / "rtl").iterdir()) == result["sources"]
    assert Image.load(folder / "image.edi").engine_id == result["engine_id"]
    assert (folder / "build.sh").read_text() == "set -e\nvivado -mode batch -nojournal -nolog -source build.tcl\n"
    assert not any(str(run.path) in path.read_text() for path in folder.glob("*.[tvs]*"))


@pytest.mark.parametrize("name", BOARDS)
def test_the_whole_path_ends_with_a_bitstream_and_a_clock(run, fake, name):
    said = []
    result = synthesise(run, name, engine="small", build=True, progress=said.append)
    mhz, folder = Board.named(name).clock_mhz, run.stage(f"synth-{name}")
    assert (result["stage"], result["clock_mhz"]) == ("post-route", mhz)
    assert result["fmax_mhz"] == round(1e3 / (1e3 / mhz - 0.25), 2)
    assert result["resources"] == {
        "LUT": {"used": 31234, "available": 117120},
        "FF": {"used": 29345, "available": 234240},
        "RAMB18": {"used": 207, "available": 288},
        "URAM": {"used": 6, "available": 64},
        "DSP48": {"used": 145, "available": 1248},
    }
    assert result["tool_versions"] == {"vivado": "2024.1"} and len(said) == 1
    assert (folder / result["bitstream"]).read_text() == "bits"
    assert (folder / f"{name}.hwh").read_text() == "hardware"
    assert "connect_bd_intf_net dma/M_AXIS_MM2S engine/s_axis" in fake()


@pytest.mark.parametrize("command", ["create_bd_cell", "validate_bd_design", "launch_runs", "report_timing_summary"])
def test_a_failed_step_is_quoted_and_its_log_kept(run, fake, monkeypatch, command):
    monkeypatch.setenv("EDT_FAKE_FAIL", command)
    with pytest.raises(ToolFailed, match=rf"vivado failed \(.*{command}: failed as asked") as error:
        synthesise(run, "kv260", build=True)
    assert not run.has("synth-kv260") and "failed as asked" in Path(error.value.log).read_text()


def test_a_run_that_stops_is_a_failed_tool(run, fake, monkeypatch):
    monkeypatch.setenv("EDT_FAKE_PROGRESS", "60%")
    with pytest.raises(ToolFailed, match="implementation stopped at route_design ERROR"):
        synthesise(run, "pynq-z2", build=True)


def test_a_missed_clock_is_explained(run, fake, monkeypatch):
    monkeypatch.setenv("EDT_FAKE_WNS", "-1.250")
    with pytest.raises(
        ToolFailed, match=r"reaches 160\.0 MHz and the clock is 200: choose a lower clock_mhz in boards"
    ):
        synthesise(run, "kv260", build=True)


def test_a_missed_hold_time_is_no_result(run, fake, monkeypatch):
    monkeypatch.setenv("EDT_FAKE_HOLD", "1")
    with pytest.raises(ToolFailed, match=r"a hold time or pulse width is missed: .*timing\.rpt shows where"):
        synthesise(run, "kv260", build=True)


@pytest.mark.parametrize(
    "old, new, said",
    [
        ("dma/M_AXIS_MM2S engine/s_axis", "dma/M_AXIS_MM2S engine/m_axis", "engine/m_axis is no slave"),
        ("engine/aresetn dma/axi_resetn", "engine/aresetn", "dma has unconnected pins"),
        ("control/aclk memory/aclk", "control/aclk memory/clock", "no pin memory/clock"),
        ("engine.v]", "]", "a module reference is a Verilog module"),
        ("CONFIG.NUM_MI 2", "CONFIG.NUM_MI 1", "no interface control/M01_AXI"),
    ],
)
def test_the_fake_tool_rejects_a_wrong_script(tmp_path, fake, monkeypatch, old, new, said):
    text = design.script(KV260, design.ENGINE)
    assert text.count(old) == 1
    monkeypatch.setattr(vivado, "script", lambda *_: text.replace(old, new))
    with pytest.raises(ToolFailed, match=said):
        vivado.build(KV260, SMALL, tmp_path / "p", run=True)


@pytest.mark.parametrize("name", BOARDS)
def test_the_design_of_a_firmware_is_the_golden_one(name):
    is_golden(design.script(Board.named(name), design.FIRMWARE), f"vivado/firmware.{name}.tcl")


@pytest.mark.parametrize(
    "options", [{"ports": "axis"}, {"weights": "reload"}, {"backend": VIVADO}, {"rows": {"tokens": 5}}]
)
def test_options_of_the_firmware_are_refused_with_the_engine(run, options):
    with pytest.raises(BadInput, match=f"--{next(iter(options))}.* to --flow hls4ml: the engine has streams"):
        synthesise(run, "pynq-z2", config=FirmwareConfig(**options))


BUILT = [*((name, AMD, 5120) for name in BOARDS), ("pynq-z2", VIVADO, 5304)]


@pytest.mark.parametrize("name, backend, cycles", BUILT)
def test_a_firmware_behind_streams_ends_with_a_bitstream(run, fake, name, backend, cycles):
    """HLS exports what Vivado then finds and joins to the DMA."""
    config = FirmwareConfig("axis", "reload", backend)
    result = synthesise(run, name, flow="hls4ml", build=True, config=config)
    folder = run.stage(f"synth-{name}")
    assert (result["stage"], result["bitstream"], result["cycles_per_bin"]) == ("post-route", f"{name}.bit", cycles)
    assert json.loads((folder / "synth.json").read_text()) == result
    assert {"connect_bd_intf_net dma/M_AXIS_MM2S firmware/packets", "export_design"} <= {
        line.split(" -")[0] for line in fake()
    }
    assert (folder / "build.sh").read_text() == build_script(backend) + " ".join(design.COMMAND) + "\n"


@pytest.mark.parametrize(
    "old, new, said",
    [
        ("ip_repo_paths edgendt_prj", "ip_repo_paths rtl", "no block edgendt:hls:edgendt_axis"),
        ("firmware/ap_rst_n dma/axi_resetn", "dma/axi_resetn", "firmware has unconnected pins"),
        ("MM2S firmware/packets", "MM2S firmware/answers", "firmware/answers is no slave"),
        (
            "NUM_MI 1} [create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect control]",
            "NUM_MI 2} [create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect control]",
            "control has unconnected pins",
        ),
    ],
)
def test_the_fake_tool_rejects_a_wrong_design_of_a_firmware(run, fake, monkeypatch, old, new, said):
    text = design.script(KV260, design.FIRMWARE)
    assert text.count(old) == 1
    monkeypatch.setattr(vivado, "script", lambda *_: text.replace(old, new))
    with pytest.raises(ToolFailed, match=said):
        synthesise(run, "kv260", flow="hls4ml", build=True, config=FirmwareConfig(ports="axis"))


def test_a_missing_tool_is_said_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr("edgendt.tools._folders", lambda: [])
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ToolMissing, match="vivado was not found: install AMD Vivado"):
        vivado.build(KV260, SMALL, tmp_path / "p", run=True)
    assert not (tmp_path / "p").exists()


def test_an_engine_larger_than_the_part_is_refused(tmp_path):
    with pytest.raises(DoesNotFit, match=r"the engine needs .* and xc7z020clg400-1 has"):
        vivado.build(Board.named("pynq-z2"), Engine(segments=32, weight_depth=2048), tmp_path / "p")
    assert not (tmp_path / "p").exists()


def test_the_samples_are_read():
    timing, used = ((REPORTS / name).read_text() for name in ("timing.rpt", "utilization.rpt"))
    assert vivado_reports.clock(timing) == (200.0, 1e3 / (5.0 - 0.25))
    assert vivado_reports.version(timing) == vivado_reports.version(used) == "2024.1"
    assert {kind: (count["used"], count["available"]) for kind, count in vivado_reports.utilisation(used).items()} == {
        "LUT": (31234, 117120),
        "FF": (29345, 234240),
        "RAMB18": (207, 288),
        "URAM": (6, 64),
        "DSP48": (145, 1248),
    }


def test_a_report_without_a_clock_is_no_result():
    with pytest.raises(ValueError, match="the timing report shows no clock and slack"):
        vivado_reports.clock("all constraints are met")


def test_reports_of_older_tools_have_no_prohibited_column():
    """Nor do all versions write thousands alike."""
    assert vivado_reports.utilisation("| Slice LUTs* | 2,150 |     0 |    14,600 | 14.73 |") == {
        "LUT": {"used": 2150, "available": 14600}
    }


def test_a_board_without_a_zynq_has_no_project(run):
    with pytest.raises(ValueError, match="board must have a zynq section, got ulx3s-85f"):
        design.script(Board.named("ulx3s-85f"), design.ENGINE)
    with pytest.raises(BadInput, match="ulx3s-85f has no hls4ml flow"):
        synthesise(run, "ulx3s-85f", flow="hls4ml")
