"""The vendor project: complete without the tool, a script equal to its golden, a test bench that can fail."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from goldens import is_golden
from needs import needs
from networks import random_ndt

from edgendt.boards import Board, known
from edgendt.errors import BadInput, DoesNotFit, ToolFailed, ToolMissing
from edgendt.firmware.folding import plan
from edgendt.firmware.project import of_board, write_project
from edgendt.firmware.reports import cosimulation, modules, synthesis
from edgendt.firmware.target import AMD, PORTS, VIVADO, FirmwareConfig
from edgendt.firmware.vendor import tcl
from edgendt.program import Program

HERE = Path(__file__).parent
BOARDS = {name: Board.named(name) for name in ("pynq-z2", "kv260")}
SMALL = BOARDS["pynq-z2"]
VENDOR = [board for board in map(Board.named, known()) if "hls4ml" in board.flows]
SCRIPTS = [(board.name, ports) for board in VENDOR for ports in PORTS if ports == "axis" or not board.alveo]


def small(causal: bool = True, spatial: int = 0) -> Program:
    """Compiles fast."""
    return random_ndt(10, 5, 6, 1, 2, 7, 3, 4, 12, causal=causal, spatial=spatial)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The fake tool on PATH; returns the log of its commands."""
    log = tmp_path / "commands"
    monkeypatch.setenv("PATH", os.pathsep.join([str(HERE / "fakes"), os.environ["PATH"]]))
    monkeypatch.setenv("EDT_FAKE_LOG", str(log))
    return log


@pytest.mark.parametrize("name", BOARDS)
def test_project_is_complete_without_the_vendor_tool(name: str, tmp_path: Path) -> None:
    result = write_project(random_ndt(9, 30, 64, 2, 2, 128, 32, 30, 60, counts=8), BOARDS[name], tmp_path)
    assert (result["board"], result["flow"], result["stage"]) == (name, "hls4ml", "project")
    assert result["fmax_mhz"] is None and result["bitstream"] is None
    assert result["analytic"]["multipliers"] <= BOARDS[name].multipliers
    assert result["analytic"]["blocks"] <= BOARDS[name].rams == result["analytic"]["blocks_available"]
    for file in (
        "firmware/edgendt.cpp",
        "firmware/edgendt.h",
        "edt_test.cpp",
        "edt_trace.h",
        "edt_vectors.h",
        "edt_network.h",
    ):
        assert (tmp_path / file).stat().st_size > 0
    for headers in ("edt_fixed", "edt_linear", "edt_add", "edt_position", "edt_layernorm", "edt_attention"):
        assert (tmp_path / "firmware" / "nnet_utils" / f"{headers}.h").exists()
    assert len((tmp_path / "tb_data" / "readout.dat").read_text().splitlines()) == 40
    script = (tmp_path / "run_hls.tcl").read_text()
    assert script.count(f"\nset_part {BOARDS[name].part}\n") == 1 and str(tmp_path) not in script


def test_golden_vectors_are_the_trial_given_clipped_and_cut(tmp_path: Path) -> None:
    program = random_ndt(9, 4, 6, 1, 2, 7, 3, 4, 60)
    counts = np.full((50, 4), 99)
    write_project(program, SMALL, tmp_path, counts)
    np.testing.assert_array_equal(np.loadtxt(tmp_path / "tb_data" / "counts.dat"), np.full((40, 4), 15))
    expected = program.run(np.full((40, 4), 15))
    np.testing.assert_array_equal(np.loadtxt(tmp_path / "tb_data" / "readout.dat"), expected)


@pytest.mark.parametrize(("name", "ports"), SCRIPTS)
def test_script_equals_its_golden(name: str, ports: str) -> None:
    script = tcl(small(), name, of_board(Board.named(name), FirmwareConfig(ports)))
    is_golden(script, f"hls4ml/run_hls.{name}.{ports}.tcl")


@pytest.mark.parametrize(("name", "ports"), [one for one in SCRIPTS if one[0] not in ("kv260", "u55c")])
def test_script_of_vivado_hls_equals_its_golden(name: str, ports: str) -> None:
    script = tcl(small(), name, of_board(Board.named(name), FirmwareConfig(ports, backend="vivado")))
    is_golden(script, f"hls4ml/vivado_hls.{name}.{ports}.tcl")


@pytest.mark.parametrize("old", ["# as it was before", None], ids=["another", "none"])
def test_a_golden_that_is_not_there_or_another_says_how_it_is_written(
    old: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("goldens.GOLDEN", tmp_path)
    monkeypatch.delenv("EDT_WRITE_GOLDENS", raising=False)
    if old is not None:
        (tmp_path / "x.tcl").write_text(old)
    with pytest.raises(AssertionError, match=r"x\.tcl: .*EDT_WRITE_GOLDENS=1"):
        is_golden("# as it is", "x.tcl")
    monkeypatch.setenv("EDT_WRITE_GOLDENS", "1")
    is_golden("# as it is", "x.tcl")
    assert (tmp_path / "x.tcl").read_text() == "# as it is"


MISSING = {  # what is said where a backend's tool is not
    AMD: "vitis-run or vitis_hls was not found: install AMD Vitis HLS and source its settings64.sh",
    VIVADO: "vivado_hls was not found: install AMD Vivado up to 2020.1, which brings it, and source its settings64.sh",
}
CALLS = {"vitis-run": "vitis-run --mode hls --tcl run_hls.tcl", "vitis_hls": "vitis_hls -f run_hls.tcl"}
CALLS["vivado_hls"] = "vivado_hls -f run_hls.tcl"


@pytest.mark.parametrize("backend", MISSING)
def test_build_without_the_tool_is_missing_tool(backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    with pytest.raises(ToolMissing) as caught:
        write_project(small(), SMALL, tmp_path / "project", build=True, config=FirmwareConfig(backend=backend))
    assert (str(caught.value), caught.value.exit_code) == (MISSING[backend], 1)
    assert not (tmp_path / "project").exists()


@pytest.mark.parametrize(
    "backend, there, called",
    [
        (AMD, ("vitis_hls",), "vitis_hls"),
        (AMD, ("vitis-run",), "vitis-run"),
        (AMD, ("vitis-run", "vitis_hls"), "vitis-run"),
        (AMD, ("vivado_hls",), None),
        (VIVADO, ("vivado_hls", "vitis_hls"), "vivado_hls"),
        (VIVADO, ("vitis_hls",), None),
    ],
)
def test_build_sh_takes_the_tool_that_is_there(
    backend: str, there: tuple[str, ...], called: str | None, tmp_path: Path
) -> None:
    write_project(small(), SMALL, tmp_path / "project", config=FirmwareConfig(backend=backend))
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in there:
        (tools / tool).write_text('#!/bin/sh\necho "${0##*/} $*"\n')
        (tools / tool).chmod(0o755)
    command, env = ["/bin/sh", "build.sh"], {"PATH": str(tools)}
    done = subprocess.run(command, cwd=tmp_path / "project", env=env, capture_output=True, text=True, check=False)
    said = (f"{CALLS[called]}\n", "", 0) if called else ("", f"error: {MISSING[backend]}\n", 1)
    assert (done.stdout, done.stderr, done.returncode) == said


BUILT = {  # backend: version, clock, cycles and multipliers of its tool's sample of a report
    AMD: ("vitis_hls", "2023.2", 136.99, 5120, 201),
    VIVADO: ("vivado_hls", "2020.1", 114.39, 5304, 207),
}


@pytest.mark.parametrize("backend", BUILT)
def test_build_runs_the_steps_in_order_and_reads_the_report(backend: str, fake: Path, tmp_path: Path) -> None:
    result = write_project(small(), SMALL, tmp_path / "project", build=True, config=FirmwareConfig(backend=backend))
    tool, version, clock, cycles, multipliers = BUILT[backend]
    steps = [line.split()[0] for line in fake.read_text().splitlines()]
    assert [step for step in steps if step.endswith("_design")] == [
        "csim_design",
        "csynth_design",
        "cosim_design",
        "export_design",
    ]
    assert steps[-1] == "exit" and (tmp_path / "project" / f"{tool}.log").exists()
    assert (result["stage"], result["backend"]) == ("hls-estimate", backend)
    assert (result["fmax_mhz"], result["cycles_per_bin"]) == (clock, cycles)
    assert result["resources"]["DSP"] == {"used": multipliers, "available": 220}
    assert result["tools"] == {tool: version}


def test_cycles_of_the_loops_of_the_tool_and_of_its_rtl_stand_side_by_side(fake: Path, tmp_path: Path) -> None:
    """The fake's module of config N takes 1000 + N cycles, in the RTL's simulation the longest call 3886."""
    program = small()
    result = write_project(program, SMALL, tmp_path / "project", build=True)
    assert result["notes"] == [] and len(result["modules"]) == len(program.nodes)
    assert result["cosimulation"] == {"status": "Pass", "shortest": 2318, "mean": 3102, "longest": 3886}
    sides, analytic = result["compared"], result["analytic"]["cycles"]
    assert sides["call"] == {"analytic": analytic, "hls_estimate": 5120}
    assert sides["golden_call"] == {"analytic": analytic, "simulated": 3886}  # 12 bins fill a window of 4
    rows = {row["name"]: row for row in sides["ops"]}
    assert list(rows) == [node.name for node in program.nodes]
    for number, op in enumerate(result["analytic"]["ops"], 3):  # two inputs lie before the first layer
        row = rows[op["name"]]
        assert (row["calls"], row["analytic"], row["hls_estimate"]) == (1, op["cycles"], 1000 + number)
        assert f"_config{number}_s" in row["module"]


def test_without_a_tool_the_analytic_side_stands_alone(tmp_path: Path) -> None:
    program = small(causal=False)
    result = write_project(program, SMALL, tmp_path / "project")
    sides = result["compared"]
    assert sides["call"] == {"analytic": result["analytic"]["cycles"], "hls_estimate": None}
    assert (sides["golden_call"]["simulated"], "modules" in result, "notes" in result) == (None, False, False)
    assert {row["hls_estimate"] for row in sides["ops"]} == {None}
    rows = {row["name"]: row for row in sides["ops"]}
    cycles = {op["name"]: op["cycles"] for op in result["analytic"]["ops"]}
    assert (rows["layer0.f1"]["calls"], rows["layer0.attention"]["calls"]) == (12, 1)
    assert cycles["layer0.f1"] == 12 * (rows["layer0.f1"]["analytic"] + 6 + 7)  # its rows, taken and put
    assert cycles["layer0.attention"] == rows["layer0.attention"]["analytic"]


def test_a_top_of_streams_is_compared_by_the_function_behind_them(fake: Path, tmp_path: Path) -> None:
    result = write_project(small(), SMALL, tmp_path / "project", build=True, config=FirmwareConfig("axis"))
    assert (result["cycles_per_bin"], result["compared"]["call"]["hls_estimate"]) == (5120, 4321)


def test_a_call_that_loads_is_not_taken_for_a_golden_one(fake: Path, tmp_path: Path) -> None:
    result = write_project(small(), SMALL, tmp_path, build=True, config=FirmwareConfig("axis", weights="reload"))
    assert (result["cosimulation"]["longest"], result["compared"]["golden_call"]["simulated"]) == (3886, None)
    (note,) = result["notes"]
    assert note.endswith("are loads of networks, too: co-simulated cycles of a bin or window are not known")


LOST = {  # of the tool's reports: what is said
    "*_config*_csynth.xml": [
        "the tool left no edgendt_prj/solution1/syn/report/*_csynth.xml but the top's: "
        "cycles of single ops are analytic alone"
    ],
    "*_config6_s_csynth.xml": ["no module of the tool's reports gives cycles of layer0.q: theirs are analytic alone"],
    "*_cosim.rpt": [
        "the tool left no edgendt_prj/solution1/sim/report/edgendt_cosim.rpt: co-simulated cycles are not known"
    ],
}


@pytest.mark.parametrize("lost", LOST)
def test_a_report_that_is_missing_is_said(
    lost: str, fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDT_FAKE_LOST", lost)
    result = write_project(small(), SMALL, tmp_path / "project", build=True)
    assert (result["notes"], result["stage"]) == (LOST[lost], "hls-estimate")


def test_a_top_without_a_report_is_a_failed_tool(fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDT_FAKE_LOST", "edgendt_csynth.xml")
    with pytest.raises(ToolFailed, match=r"it left no edgendt_prj/.*/edgendt_csynth\.xml"):
        write_project(small(), SMALL, tmp_path / "project", build=True)


def test_a_report_that_cannot_be_read_is_a_failed_tool(
    fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgendt.firmware.vendor.run_tool", lambda *_, cwd: damaged(cwd))
    with pytest.raises(ToolFailed, match=r"edgendt_csynth\.xml cannot be read: no element found"):
        write_project(small(), SMALL, tmp_path / "project", build=True)


def damaged(project: Path) -> None:
    """A report of a disk that was full."""
    report = project / "edgendt_prj" / "solution1" / "syn" / "report" / "edgendt_csynth.xml"
    report.parent.mkdir(parents=True)
    report.write_text((HERE / "reports" / "csynth.xml").read_text()[:200])


def test_a_co_simulation_that_differs_is_a_failed_tool(
    fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDT_FAKE_COSIM", "Fail")
    with pytest.raises(ToolFailed, match=r"co-simulation says Fail: see edgendt_prj/.*/edgendt_cosim\.rpt"):
        write_project(small(), SMALL, tmp_path / "project", build=True)


@pytest.mark.parametrize(
    "old, new, said",
    [
        (
            "-reset solution1",
            "-reset solution1 -flow_target vivado",
            "open_solution: unknown option -flow_target",
        ),
        ("c++0x", "c++14", "add_files: vivado_hls knows no"),
        ("config_compile", "config_interface", "invalid command name config_interface"),
        ("csynth_design\n", "", "cosim_design before csynth_design"),
        ("ip_catalog", "xo", "export_design: xo is not of"),
        ("ip_catalog", "xo -output edgendt.xo", "export_design: unknown option -output"),
    ],
)
def test_the_fake_of_vivado_hls_rejects_a_wrong_script(
    old: str, new: str, said: str, fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = tcl(small(), SMALL.name, of_board(SMALL, FirmwareConfig(backend=VIVADO)))
    assert old in text
    monkeypatch.setattr("edgendt.firmware.vendor.tcl", lambda *_: text.replace(old, new))
    with pytest.raises(ToolFailed) as caught:
        write_project(small(), SMALL, tmp_path / "project", build=True, config=FirmwareConfig(backend=VIVADO))
    assert re.search(said, Path(caught.value.log).read_text())


@pytest.mark.parametrize(
    "board, backend, said",
    [
        ("pynq-z2", "quartus", "backend must be one of Vitis, Vivado, VivadoAccelerator, got 'quartus'"),
        (
            "pynq-z2",
            "vivadoaccelerator",
            "VivadoAccelerator takes one input, windows of counts; random10 has counts and",
        ),
        (
            "kv260",
            VIVADO,
            "xck26-sfvc784-2LV-c is younger than vivado_hls, .*: take the backend Vitis",
        ),
    ],
)
def test_a_backend_without_a_project_for_the_board_is_one_sentence(
    board: str, backend: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=said):
        write_project(small(), Board.named(board), tmp_path / "project", config=FirmwareConfig(backend=backend))
    assert not (tmp_path / "project").exists()


def test_the_newer_tool_is_taken_where_it_is(fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.pathsep.join([str(HERE / "fakes" / "newer"), os.environ["PATH"]]))
    result = write_project(small(), SMALL, tmp_path / "project", build=True)
    assert (result["stage"], result["tools"]) == ("hls-estimate", {"vitis-run": "2023.2"})
    assert fake.read_text().splitlines()[-1] == "exit"


@pytest.mark.parametrize("step", ["csim_design", "csynth_design", "cosim_design", "export_design"])
def test_a_failed_step_is_a_failed_tool(step: str, fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDT_FAKE_FAIL", step)
    with pytest.raises(ToolFailed, match=r"vitis_hls failed \(exit status 1\): see .*vitis_hls.log") as caught:
        write_project(small(), SMALL, tmp_path / "project", build=True)
    assert f"{step}: failed as asked" in Path(caught.value.log).read_text()
    assert fake.read_text().splitlines()[-1].startswith(step)


@pytest.mark.parametrize(
    "causal, backend, faults",
    [
        (True, AMD, {("layer0.f1", 4): "bin 4", ("layer0.tokens", 2 * 6 + 3): "bin 2, channel 3"}),
        (False, AMD, {("layer0.f1", 4): "window 0, bin 4", ("layer0.tokens", 3): "window 0, channel 3"}),
        (True, VIVADO, {("layer0.f1", 4): "bin 4"}),
    ],
    ids=["bin by bin", "whole window", "vivado_hls"],
)
def test_c_simulation_passes_on_the_golden_vectors_and_names_the_first_difference(
    causal: bool,
    backend: str,
    faults: dict[tuple[str, int], str],
    fake: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The fake compiles the project with the very flags and paths of the script. faults: op and row in its vectors."""
    import hls4ml

    needs("g++")
    monkeypatch.setenv("EDT_FAKE_AP", str(Path(hls4ml.__file__).parent / "templates" / "vivado" / "ap_types"))
    project = tmp_path / "project"
    program = small(causal, spatial=1 if backend == AMD else 0)
    result = write_project(program, SMALL, project, build=True, config=FirmwareConfig(backend=backend))
    tool, _, _, cycles, _ = BUILT[backend]
    assert result["cycles_per_bin" if causal else "cycles_per_window"] == cycles
    assert (project / f"{tool}.log").read_text().count("PASS: 12 bins equal") == 2  # C simulation, co-simulation

    build = project / "edgendt_prj" / "solution1" / "csim" / "build"
    for (op, row), said in faults.items():
        vectors = build / "tb_data" / f"{op.replace('.', '_')}.dat"
        kept = vectors.read_text()
        rows = [line.split() for line in kept.splitlines()]
        got, rows[row][2] = rows[row][2], str(int(rows[row][2]) ^ 1)
        vectors.write_text("\n".join(map(" ".join, rows)) + "\n")
        done = subprocess.run([build / "csim.exe"], cwd=build, capture_output=True, text=True, check=False)
        expected = f"FAIL: op {op}, {said}, index 2: expected {rows[row][2]}, got {got}\n"
        assert (done.returncode, done.stdout) == (1, expected)
        vectors.write_text(kept)
    with (build / "tb_data" / "counts.dat").open("a") as counts:
        counts.write("0\n")
    done = subprocess.run([build / "csim.exe"], cwd=build, capture_output=True, text=True, check=False)
    each = "bins" if causal else "windows"
    assert (done.returncode, done.stdout) == (1, f"FAIL: counts.dat holds no whole {each}\n")


@pytest.mark.parametrize(
    "board, config, left",
    [
        ("pynq-z2", FirmwareConfig("arrays"), (220, 280, 0)),
        ("pynq-z2", FirmwareConfig("axis"), (220, 272, 0)),
        ("zcu104", FirmwareConfig("axis"), (1728, 616, 96)),
        ("zcu104", FirmwareConfig("axis", backend="Vivado"), (1728, 616, 0)),  # no UltraRAM by vivado_hls
        ("u55c", FirmwareConfig(), (6830, 3640, 940)),
    ],
)
def test_a_plan_leaves_out_what_the_streams_come_through(
    board: str, config: FirmwareConfig, left: tuple[int, int, int], tmp_path: Path
) -> None:
    analytic = write_project(small(), Board.named(board), tmp_path, config=config)["analytic"]
    assert tuple(analytic[f"{kind}_available"] for kind in ("multipliers", "blocks", "ultra_rams")) == left


@pytest.mark.parametrize("kind", ["multipliers", "rams"])
def test_a_part_with_too_little_is_refused(kind: str, tmp_path: Path) -> None:
    """With the folding that would be planned, and with one that is given."""
    part, words = replace(SMALL, **{kind: 10}), {"rams": "memory blocks of 18 kbit"}.get(kind, kind)
    with pytest.raises(
        DoesNotFit, match=rf"the firmware needs at least \d+ {words}, the board has 10 for it; choose a larger"
    ):
        write_project(small(), part, tmp_path)
    with pytest.raises(
        DoesNotFit, match=rf"the folding asks for \d+ {words}, the board has 10 for it; raise reuse or lower"
    ):
        write_project(small(), part, tmp_path, folding=plan(small()))
    assert not list(tmp_path.iterdir())


def test_rows_belong_to_windows_of_tokens(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="rows must be left out: this network has no windows of tokens, got tokens=5"):
        write_project(small(), SMALL, tmp_path, config=FirmwareConfig(rows={"tokens": 5}))


def test_the_sample_of_a_report_is_read() -> None:
    assert synthesis(HERE / "reports" / "csynth.xml") == {
        "stage": "hls-estimate",
        "fmax_mhz": 136.99,
        "cycles_per_bin": 5120,
        "resources": {
            "BRAM_18K": {"used": 97, "available": 280},
            "DSP": {"used": 201, "available": 220},
            "FF": {"used": 30123, "available": 106400},
            "LUT": {"used": 41234, "available": 53200},
            "URAM": {"used": 0, "available": 0},
        },
    }


def test_a_report_without_estimates_gives_nulls(tmp_path: Path) -> None:
    report = tmp_path / "csynth.xml"
    report.write_text("<profile><AreaEstimates/></profile>")
    assert synthesis(report) == {
        "stage": "hls-estimate",
        "fmax_mhz": None,
        "cycles_per_bin": None,
        "resources": {},
    }


def test_the_sample_of_a_co_simulation_is_read(tmp_path: Path) -> None:
    """By its row of the language that was simulated; streams that run by themselves have no calls to tell apart."""
    sample = HERE / "reports" / "cosim.rpt"
    assert cosimulation(sample) == {"status": "Pass", "shortest": 2318, "mean": 3102, "longest": 3886}
    report = tmp_path / "cosim.rpt"
    report.write_text(
        "|      VHDL|      Pass|     11|     12|     13|     12|     13|     14|\n"
        "|   Verilog|        NA|     NA|     NA|     NA|     NA|     NA|     NA|\n"
    )
    assert cosimulation(report) == {"status": "Pass", "shortest": 11, "mean": 12, "longest": 13}
    report.write_text("|   Verilog|      Pass|             NA|             NA|             NA|  NA|  NA|  NA|  37221|")
    assert cosimulation(report) == {"status": "Pass", "shortest": None, "mean": None, "longest": None}
    failed = {"status": "Fail", "shortest": None, "mean": None, "longest": None}
    for one in ("Verilog|      Fail|     NA|     NA|     NA|  NA|  NA|  NA|", "Verilog | Fail | of another form |"):
        report.write_text(f"|      VHDL|      Pass|     11|     12|     13|     12|     13|     14|\n|   {one}\n")
        assert cosimulation(report) == failed
    report.write_text("RTL: Pass")
    with pytest.raises(ValueError, match="it shows no simulation of Verilog or VHDL"):
        cosimulation(report)


def test_a_module_is_told_by_the_config_in_its_name(tmp_path: Path) -> None:
    """A name that was cut, another function and a module whose worst case is not known are none's."""
    text = (HERE / "reports" / "module_csynth.xml").read_text()
    cut = "x" * 70 + "_config2_1"
    for name in ("top", "add_config2_s", "add_config21_s", "dense_config2", "take", cut):
        (tmp_path / f"{name}_csynth.xml").write_text(text)
    (tmp_path / "table_config3_s_csynth.xml").write_text(text.replace(">1000<", ">?<"))
    (tmp_path / "csynth.xml").write_text(text)
    found = {one["name"]: (one["op"], one["cycles"]) for one in modules(tmp_path, "top", {2: "x", 21: "y", 3: "z"})}
    told = {"add_config2_s": ("x", 1000), "add_config21_s": ("y", 1000), "table_config3_s": ("z", None)}
    assert found == told | dict.fromkeys(("dense_config2", "take", cut), (None, 1000))
