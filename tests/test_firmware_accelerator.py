"""hls4ml's own board flow: what it writes, compiles and predicts of whole windows equals the Program at every op."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import hls4ml
import numpy as np
import pytest
from firmware_ast import faults
from firmware_cases import CASES
from goldens import is_golden
from needs import needs, needs_package
from networks import keep_run, one_trial, random_counts, random_ndt
from test_firmware_project import fake  # noqa: F401

from edgendt.boards import Board
from edgendt.compare import compare
from edgendt.errors import BadInput, DoesNotFit, ToolFailed
from edgendt.firmware import build
from edgendt.firmware.accelerator import BOARDS, accelerator
from edgendt.firmware.folding import plan
from edgendt.firmware.project import write_project
from edgendt.firmware.room import layer_names
from edgendt.firmware.target import ACCELERATOR, VIVADO, FirmwareConfig, Target
from edgendt.fixed import Codes, Int
from edgendt.program import Program
from edgendt.synth import synthesise
from edgendt.synth.design import hls4ml_script

PACKAGE = Path(hls4ml.__file__).parent
KNOWN = PACKAGE / "backends" / "vivado_accelerator" / "supported_boards.json"
DRIVER = "axi_stream_driver.py"
CHOSEN = FirmwareConfig(backend=ACCELERATOR)


def ndt() -> Program:
    return random_ndt(10, 5, 6, 1, 2, 7, outputs=3, bins=4, causal=False)


def stndt() -> Program:
    return CASES["whole window"]()[0]


NETWORKS = {"NDT": ndt, "STNDT": stndt}


def windows(program: Program, many: int = 3) -> Codes:
    """[windows, bins, channels], the first of zeros, another at the limit."""
    assert program.bins is not None
    given = np.stack([random_counts(program, seed, program.bins) for seed in range(many)])
    given[0], given[1] = 0, program.input.hi
    return given


def codes(program: Program, name: str, values: Any) -> Codes:
    """Values of a node's rows, as hls4ml gives them -> codes [rows, size], all of them whole."""
    op = program.node(name).op
    scaled = np.asarray(values, np.float64).reshape(-1, op.size) / op.y.scale
    assert np.array_equal(scaled, np.rint(scaled))
    return scaled.astype(np.int64)


def traced(program: Program, model: Any, given: Codes) -> dict[str, Codes]:
    """Every op's codes of all windows; hls4ml writes and compiles the project for that."""
    _, every = model.trace(given.astype(np.float32))
    names = layer_names(program)
    return {node.name: codes(program, node.name, every[names[node.name]]) for node in program.nodes}


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_whole_window_is_equal_through_hls4mls_own_board_project(name: str, board: str, tmp_path: Path) -> None:
    needs("g++")
    program = NETWORKS[name]()
    model = accelerator(program, Board.named(board), tmp_path / "project")
    given = windows(program)
    traces = [program.trace(window) for window in given]
    expected = {node.name: np.concatenate([trace[node.name] for trace in traces]) for node in program.nodes}
    tally = compare("hls4ml", expected, traced(program, model, given))
    assert tally.mismatches == 0, tally.first
    found = codes(program, program.output, model.predict(given.astype(np.float32)))
    assert found.shape == (given.shape[0] * given.shape[1], program.outputs)
    np.testing.assert_array_equal(found, expected[program.output])


def test_a_wrong_weight_is_found(tmp_path: Path) -> None:
    needs("g++")
    program = ndt()
    model = accelerator(program, Board.named("pynq-z2"), tmp_path)
    model.compile()
    path = tmp_path / "firmware" / "weights" / f"{model.graph['readout'].weights['weight'].name}.txt"
    values = path.read_text().split(", ")
    op = program.node("readout").op
    values[op.inputs] = str(float(values[op.inputs]) + op.w.scale)  # of output 1
    path.write_text(", ".join(values))
    given = windows(program)
    found = codes(program, "readout", model.predict(given.astype(np.float32)))
    expected = np.concatenate([program.run(window) for window in given])
    tally = compare("hls4ml", {"readout": expected}, {"readout": found})
    assert tally.first is not None and (tally.first.op, tally.first.index) == ("readout", 1)
    assert 0 < tally.mismatches <= len(expected)


@pytest.mark.parametrize("board", BOARDS)
def test_hls4ml_writes_its_project_of_the_board(board: str, tmp_path: Path) -> None:
    """What its package ships and copies needs no golden: design.tcl and the driver."""
    part = Board.named(board)
    assert json.loads(KNOWN.read_text())[board]["part"] == part.part
    result = write_project(ndt(), part, tmp_path, config=CHOSEN)
    shipped = PACKAGE / "templates" / "vivado_accelerator" / board
    for file, source in (("design.tcl", "tcl_scripts/axi_stream_design.tcl"), (DRIVER, f"python_drivers/{DRIVER}")):
        assert (tmp_path / file).read_bytes() == (shipped / source).read_bytes()
    for name in ("project.tcl", "run_hls.tcl"):
        is_golden((tmp_path / name).read_text(), f"hls4ml/accelerator.{board}.{name}")
    is_golden(hls4ml_script(part), f"vivado/hls4ml.{board}.tcl")
    assert (result["backend"], result["stage"], result["ports"]) == (ACCELERATOR, "project", "floats")
    top, header = ((tmp_path / "firmware" / f"edgendt_axi.{suffix}").read_text() for suffix in ("cpp", "h"))
    assert "void edgendt_axi(input_axi_t in[N_IN], output_axi_t out[N_OUT])" in top
    for port in ("in", "out"):
        assert f"#pragma HLS INTERFACE axis port={port}\n" in top
    for said in ("unsigned N_IN = 20", "unsigned N_OUT = 12"):
        assert f"static const {said};\n" in header
    assert "typedef float T_in;\ntypedef float T_out;\n" in header
    assert not (tmp_path / "build_prj.tcl").exists()


def test_the_tool_runs_in_its_order_and_exports_the_ip_that_hls4mls_design_names(fake: Path, tmp_path: Path) -> None:  # noqa: F811
    result = write_project(ndt(), Board.named("pynq-z2"), tmp_path, build=True, config=CHOSEN)
    steps = [line.split()[0] for line in fake.read_text().splitlines() if "_design" in line]
    assert steps == ["csim_design", "csynth_design", "cosim_design", "export_design"]
    assert (result["stage"], result["cycles_per_window"]) == ("hls-estimate", 5304)
    catalogue = (tmp_path / "edgendt_prj" / "solution1" / "impl" / "ip" / "component.xml").read_text()
    assert catalogue == "xilinx.com:hls:edgendt_axi:1.0 in_r:slave out_r:master\n"


CALLS = """\
create_project update_ip_catalog create_bd_design create_bd_cell apply_bd_automation group_bd_cells make_wrapper \
add_files launch_runs wait_on_run open_run report_utilization get_property report_timing_summary"""


def exported(folder: Path, board: str) -> Path:
    """The project that `synth` writes, with what the HLS tool exports of it."""
    program = ndt()
    run = keep_run(folder / "r", program, **one_trial(program, windows(program)[2]))
    synthesise(run, board, flow="hls4ml", config=CHOSEN)
    project = run.stage(f"synth-{board}")
    subprocess.run(["vivado_hls", "-f", "run_hls.tcl"], cwd=project, check=True, capture_output=True)
    return project


@pytest.mark.parametrize("board", BOARDS)
def test_hls4mls_design_is_run_to_a_bitstream(
    board: str,
    fake: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By --build; its calls in their order, each with options that Vivado has."""
    needs_package("tkinter")
    monkeypatch.setenv("EDT_FAKE_RELEASE", "2020.1")
    program = ndt()
    run = keep_run(tmp_path / "r", program, **one_trial(program, windows(program)[2]))
    result = synthesise(run, board, flow="hls4ml", build=True, config=CHOSEN)
    assert (result["stage"], result["bitstream"], result["clock_mhz"]) == ("post-route", f"{board}.bit", 100.0)
    assert (result["tool_versions"], result["cycles_per_window"]) == ({"vivado": "2020.1"}, 5304)
    folder = run.stage(f"synth-{board}")
    assert json.loads((folder / "synth.json").read_text()) == result
    assert ((folder / f"{board}.bit").read_text(), (folder / f"{board}.hwh").read_text()) == ("bits", "hardware")
    steps = [line.split()[0] for line in fake.read_text().partition("\nexit\n")[2].splitlines()]
    assert [name for name in dict.fromkeys(steps) if name in CALLS.split()] == CALLS.split()
    command = "vivado -mode batch -nojournal -nolog -source build.tcl\n"
    assert (folder / "build.sh").read_text().endswith(f"fi\n{command}")


def test_build_sh_comes_to_the_same_files(fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    needs_package("tkinter")
    monkeypatch.setenv("EDT_FAKE_RELEASE", "2020.1")
    project = exported(tmp_path, "pynq-z2")
    shutil.rmtree(project / "edgendt_prj")
    subprocess.run(["sh", "build.sh"], cwd=project, check=True, capture_output=True)
    assert all((project / name).is_file() for name in ("pynq-z2.bit", "pynq-z2.hwh", "timing.rpt", "utilization.rpt"))


WRONG = {  # in hls4ml's design, or around it: what Vivado says
    "a stream": ("axi_0/in_r]", "axi_0/out_r]", {}, "edgendt_axi_0/out_r is no slave"),
    "a clock": ("bd_rule:clkrst", "bd_rule:clock", {}, "apply_bd_automation: no rule xilinx.com:bd_rule:clock"),
    "an IP": ("_axi:1.0", "_axi:2.0", {}, "no block xilinx.com:hls:edgendt_axi:2.0"),
    "an option": ("-to_step", "-to", {}, "launch_runs: unknown option -to"),
    "a port left out": ("CONFIG.PCW_USE_S_AXI_HP0 {1}", "CONFIG.PCW_USE_S_AXI_HP0 {0}", {}, "no interface"),
    "an interconnect": ("intc_ip {/axi_mem_intercon}", "intc_ip {/axi_smc}", {}, "no interconnect /axi_smc"),
    "nothing, and a newer release": ("", "", {"EDT_FAKE_RELEASE": "2020.2"}, "design_1_wrapper.v does not exist"),
    "nothing, and a run that fails": ("", "", {"EDT_FAKE_PROGRESS": "60%"}, "Run 'impl_1' failed. Unable to open"),
    "nothing, and a missed clock": ("", "", {"EDT_FAKE_WNS": "-1"}, None),
}


def test_what_is_wrong_with_hls4mls_design_is_said(fake: Path, tmp_path: Path) -> None:  # noqa: F811
    needs_package("tkinter")
    project = exported(tmp_path, "pynq-z2")
    right = (project / "design.tcl").read_text()
    for fault, (old, new, env, said) in WRONG.items():
        copy = tmp_path / fault
        copy.mkdir()
        shutil.copytree(project / "edgendt_prj", copy / "edgendt_prj")
        for name in ("project.tcl", "build.tcl"):
            shutil.copyfile(project / name, copy / name)
        assert old in right
        (copy / "design.tcl").write_text(right.replace(old, new) if old else right)
        command = ["vivado", "-mode", "batch", "-source", "build.tcl"]
        environment = {**os.environ, "EDT_FAKE_RELEASE": "2020.1"} | env
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, (said or "") in done.stdout) == (int(said is not None), True), (fault, done.stdout)


def test_a_missed_clock_of_hls4mls_design_is_no_result(
    fake: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    needs_package("tkinter")
    monkeypatch.setenv("EDT_FAKE_RELEASE", "2020.1")
    monkeypatch.setenv("EDT_FAKE_WNS", "-2.5")
    program = ndt()
    run = keep_run(tmp_path / "r", program, **one_trial(program, windows(program)[2]))
    said = r"reaches 80\.0 MHz and the clock is 100: hls4ml's design has no other, so take ports axis"
    with pytest.raises(ToolFailed, match=said):
        synthesise(run, "pynq-z2", flow="hls4ml", build=True, config=CHOSEN)
    assert not run.has("synth-pynq-z2")


FAULTS = {  # in the vectors, or in hls4ml's wrapper: what the bench says of it
    "a vector": ("tb_data/layer0_tokens.dat", "", "", "op layer0.tokens, window 0, channel 0, index 0: expected"),
    "an order": ("firmware/edgendt_axi.cpp", "in[i].data", "in[N_IN - 1 - i].data", "op embed"),
    "an end": ("firmware/edgendt_axi.cpp", "(i == N_OUT - 1)", "(i == N_OUT - 2)", "the top refused call 0"),
    "no code": ("firmware/edgendt_axi.cpp", "= out_local[i]", "= float(out_local[i]) / 3", "the top refused call 0"),
}


@pytest.mark.parametrize("fault", [None, *FAULTS])
def test_the_bench_compares_every_op_through_the_top_that_is_synthesised(
    fault: str | None,
    fake: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    needs("g++")
    write_project(stndt(), Board.named("zcu102"), tmp_path, config=CHOSEN)
    said, step = "PASS: 8 bins equal", "exit"
    if fault:
        file, right, wrong, what = FAULTS[fault]
        text = (tmp_path / file).read_text()
        first = text.split()[0]
        assert right in text
        changed = text.replace(right, wrong) if right else text.replace(first, str(int(first) ^ 1), 1)
        (tmp_path / file).write_text(changed)
        said, step = f"FAIL: {what}", "csim_design"
    monkeypatch.setenv("EDT_FAKE_AP", str(PACKAGE / "templates" / "vivado" / "ap_types"))
    command = ["vivado_hls", "-f", "run_hls.tcl"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (said in done.stdout, done.returncode) == (True, int(fault is not None)), done.stdout
    assert fake.read_text().split("\n")[-2].startswith(step)


def test_floats_are_in_hls4mls_wrapper_alone(tmp_path: Path) -> None:
    """Of all that is synthesised; nothing of it allocates or calls itself."""
    write_project(stndt(), Board.named("pynq-z2"), tmp_path, config=CHOSEN)
    assert {line.partition(" has a ")[0] for line in faults(tmp_path, VIVADO)} == {"edgendt_axi"}


def test_its_firmware_is_that_of_the_backend_vivado(tmp_path: Path) -> None:
    program, names = stndt(), ("edgendt_axi.cpp", "edgendt_axi.h")
    accelerator(program, Board.named("pynq-z2"), tmp_path / "board", plan(program)).write()
    build(program, tmp_path / "vivado", plan(program), target=Target(backend=VIVADO))
    board, vivado = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (tmp_path / name / "firmware" for name in ("board", "vivado"))
    )
    assert {path: text for path, text in board.items() if path.name not in names} == vivado and len(board) > len(vivado)


def test_networks_of_more_inputs_are_refused_in_a_sentence(tmp_path: Path) -> None:
    instead = "take ports axis of the backend Vitis or Vivado"
    for name, more in (("bin by bin", "counts and a reset"), ("tokens", "inputs and their numbers of rows")):
        program, _ = CASES[name]()
        said = f"^VivadoAccelerator takes one input, windows of counts; {program.name} has {more}: {instead}$"
        with pytest.raises(BadInput, match=said):
            accelerator(program, Board.named("pynq-z2"), tmp_path / "project")
    assert not (tmp_path / "project").exists()


def test_codes_that_are_no_floats_are_refused(tmp_path: Path) -> None:
    program = ndt()
    readout = program.nodes[-1]
    for bits in (25, 26):
        wide = replace(readout, op=replace(readout.op, y=Int(bits, 10)))
        given = replace(program, nodes=(*program.nodes[:-1], wide)), Board.named("pynq-z2"), tmp_path
        if bits == 25:
            accelerator(*given)
        else:
            with pytest.raises(
                BadInput, match="passes floats, exact up to 16777216; outputs of random10 reach 33554432"
            ):
                accelerator(*given)


def test_what_the_part_or_the_flow_has_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match=r"^VivadoAccelerator has a design of pynq-z2 and zcu102, got kv260: take the ba"
    ):
        accelerator(ndt(), Board.named("kv260"), tmp_path)
    for config in (replace(CHOSEN, ports="axis"), replace(CHOSEN, weights="reload")):
        with pytest.raises(
            BadInput, match="VivadoAccelerator has streams of its own, of floats, and weights rom: take"
        ):
            write_project(ndt(), Board.named("pynq-z2"), tmp_path, config=config)
    with pytest.raises(DoesNotFit, match=r"the firmware needs at least \d+ multipliers, the board has 10 for it"):
        accelerator(ndt(), replace(Board.named("pynq-z2"), multipliers=10), tmp_path)
