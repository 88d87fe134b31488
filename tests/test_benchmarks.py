"""The benchmarks' runner and page; place and route with stand-ins for the tools."""

import json
import re
import runpy
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "examples"))

from benchmarks import amd, cycles, published, route, rtl, run  # noqa: E402
from benchmarks.cut import cut_to  # noqa: E402
from needs import needs_package  # noqa: E402
from networks import random_ndt  # noqa: E402
from reference_board import ReferenceBoard  # noqa: E402

from edgendt.artifact import Run  # noqa: E402
from edgendt.boards import Board, known  # noqa: E402
from edgendt.compare import compare  # noqa: E402
from edgendt.engine.compile import compile_program  # noqa: E402
from edgendt.engine.config import Engine  # noqa: E402
from edgendt.engine.cycles import cycles_per_bin, steady  # noqa: E402
from edgendt.engine.reference import TINY  # noqa: E402
from edgendt.errors import BadInput, Mismatch, ToolFailed  # noqa: E402
from edgendt.synth.size import part  # noqa: E402
from edgendt.wiring import choose_outputs  # noqa: E402

HERE = Path(__file__).parent
REPORT = HERE / "golden" / "synth" / "route.json"


@pytest.fixture
def fakes(tmp_path, monkeypatch):
    """The fake tools first on the path."""
    monkeypatch.setattr("edgendt.tools._folders", lambda: [HERE / "fakes"])
    monkeypatch.setattr("edgendt.synth.engine.check_nothing_pruned", lambda *_: None)  # one report for all engines
    monkeypatch.setenv("EDT_FAKE_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("EDT_FAKE_REPORT", str(REPORT))
    return tmp_path / "log"


def test_the_page_is_what_the_kept_results_say():
    kept = json.loads(run.KEPT.read_text())
    assert run.PAGE.read_text() == run.render(kept)
    assert set(kept) <= {one.name for one in run.BENCHMARKS}


def test_every_figure_has_its_stage_and_its_source():
    for name, result in json.loads(run.KEPT.read_text()).items():
        assert result["rows"] and all(row["stage"] for row in result["rows"]), name
        assert all(result[key] for key in ("command", "commit", "date", "cpu")), name


def test_the_documented_cycles_are_those_of_the_compiler():
    assert json.loads(run.KEPT.read_text())["cycles"]["rows"] == cycles.table()


def test_the_documented_cycles_of_windows_are_those_of_the_compiler():
    needs_package("torch")
    assert json.loads(run.KEPT.read_text())["windows"]["rows"] == cycles.windows()


def test_an_array_is_cut_to_a_network_and_to_the_part():
    board = Board.named("tang-primer-20k")
    found = list(cut_to(TINY, board))
    assert len(found) > 1
    for engine, said in found:
        part(board, engine)
        assert steady(compile_program(TINY.program(), engine)).total == said


def test_one_benchmark_replaces_its_own_section_alone(tmp_path, monkeypatch, capsys):
    kept, page = tmp_path / "kept.json", tmp_path / "page.md"
    rows = [{"what": "a", "value": 1234, "stage": "analytic"}]
    ones = tuple(run.Benchmark(name, f"Title {name}", lambda: rows, "Note.") for name in ("one", "two"))
    monkeypatch.setattr(run, "BENCHMARKS", ones)
    assert run.main([], kept, page) == 0
    first = page.read_text()
    assert re.findall(r"^## (.*)", first, re.MULTILINE) == ["Title one", "Title two"]
    rows = [{"what": "b", "value": 0.125, "stage": "measured"}, {"what": "c", "extra": True, "stage": "measured"}]
    assert run.main(["two"], kept, page) == 0
    assert page.read_text().split("## Title two")[0] == first.split("## Title two")[0]
    assert "| what | value | extra | stage |" in page.read_text() and "| b | 0.125 |  | measured |" in page.read_text()
    assert "| a | 1,234 | analytic |" in page.read_text() and "`make bench ONLY=two`" in page.read_text()


def test_an_unknown_name_is_one_sentence_and_changes_nothing(tmp_path, capsys):
    assert run.main(["cycles", "nope"], tmp_path / "kept.json", tmp_path / "page.md") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and error.startswith("error: ONLY must name some of cycles, windows, recordings,")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_keeps_what_was_done_before_it(tmp_path, monkeypatch, capsys):
    def fails():
        raise ToolFailed("yosys", "yosys.log", "no such file")

    rows = [{"what": "a", "stage": "analytic"}]
    ones = (run.Benchmark("one", "One", lambda: rows, "Note."), run.Benchmark("two", "Two", fails, "Note."))
    monkeypatch.setattr(run, "BENCHMARKS", ones)
    assert run.main([], tmp_path / "kept.json", tmp_path / "page.md") == 1
    assert capsys.readouterr().err.splitlines()[-1] == "error: yosys failed (no such file): see yosys.log"
    assert list(json.loads((tmp_path / "kept.json").read_text())) == ["one"]


def test_every_open_board_is_routed_with_every_seed(fakes, monkeypatch):
    monkeypatch.setenv("SEEDS", "2")
    targets = [name for name in known() if Board.named(name).family == "ecp5" and Board.named(name).hosted]
    monkeypatch.setattr(route, "known", lambda: targets)  # the tools of the others have no stand-in
    rows = route.boards()
    assert [(row["board"], row["seed"]) for row in rows] == [(name, seed) for name in targets for seed in (1, 2)]
    seeds = re.findall(r"^nextpnr .*--seed (\d+)", fakes.read_text(), re.MULTILINE)
    assert seeds == ["1", "1", "2", "2"] * len(targets)  # placed, then routed
    report = json.loads(REPORT.read_text())
    assert rows[0]["fmax MHz"] == round(min(clock["achieved"] for clock in report["fmax"].values()), 1)
    kinds = ("DP16KD", "MULT18X18D", "TRELLIS_COMB", "TRELLIS_FF")
    assert sorted(rows[0]["cells"].split(", ")) == sorted(
        f"{report['utilization'][kind]['used']:,} {kind}" for kind in kinds
    )
    assert {row["network"] for row in rows} == {"default"} and rows[0]["µs"] == round(rows[0]["cycles"] / 87.5, 1)


def test_a_clock_that_is_missed_is_a_result_and_another_failure_is_not(fakes, monkeypatch, tmp_path):
    slow = tmp_path / "slow.json"
    report = json.loads(REPORT.read_text())
    for clock in report["fmax"].values():
        clock["achieved"] = 10.0
    slow.write_text(json.dumps(report))
    monkeypatch.setenv("EDT_FAKE_REPORT", str(slow))
    monkeypatch.setenv("EDT_FAKE_REACH", "0")
    (row,) = route.on_default("full")
    assert (row["fmax MHz"], row["network"]) == (10.0, "S") and row["µs"] == row["cycles"] / 10
    monkeypatch.setenv("EDT_FAKE_FAIL", "place")
    with pytest.raises(ToolFailed):
        route.on_default("full")


def test_core_line_and_round_trip_of_a_bin_have_the_same_quantiles(monkeypatch):
    """On the reference device, which costs no build: answers, bytes and cycles are the engine's, the time is not."""
    whole, _ = rtl._case(rtl.ASKED)
    few = compile_program(choose_outputs(whole.program, range(rtl.VELOCITY)), whole.engine)
    board = rtl.Counted(ReferenceBoard(whole, few))
    monkeypatch.setattr(rtl, "_board", lambda: board)
    monkeypatch.setattr(rtl, "reached", lambda: 10.0)
    rows = rtl.link()
    assert [row["how"].split(",")[0] for row in rows] == ["core", "line", "round trip"] * 2
    for row in rows:
        assert 0 < row["p50 µs"] <= row["p99 µs"] <= row["max µs"] and row["stage"]
    core, line, _ = rows[3:]
    assert core["max µs"] == max(cycles_per_bin(few, rtl.ASKED)) / 10
    assert 98 <= line["p50 µs"] * 3 / 10 <= line["max µs"] * 3 / 10 < 108  # bytes at 3 Mbaud, escapes included


def test_a_size_is_the_rest_and_every_segment_and_is_made_once_for_boards_that_share_it(monkeypatch):
    made = []

    def pieces(board, engine):
        made.append((board.name, engine))
        return Counter({"LUT": 1000, "URAM": 0}), Counter({"LUT": 10, "URAM": 2})

    monkeypatch.setattr(amd, "pieces", pieces)
    rows = amd.sizes()
    assert [name for name, _ in made] == ["aup-zu3", "kv260", "pynq-z2", "zcu102"]  # the ZCU104's is the ZCU102's
    assert {row["board"] for row in rows} == {name for name in known() if Board.named(name).zynq}
    for row in rows:
        engine = Engine.named(row["engine"].strip("`"))
        assert row["in all"] == {"LUT": 1000 + 10 * engine.segments, "URAM": 2 * engine.segments}.get(row["kind"], 0)
        assert (row["estimated"], row["of"]) == tuple(part(Board.named(row["board"]), engine)[row["kind"]].values())
        assert row["share"] == round(row["in all"] / row["of"], 3) and row["id"] == route.id_of(engine)


@pytest.mark.parametrize("text", ["0", "-1", "two"])
def test_a_wrong_number_of_seeds_is_refused(text, monkeypatch):
    monkeypatch.setenv("SEEDS", text)
    with pytest.raises(BadInput, match="SEEDS must be a count of at least 1, got"):
        route.seeds()


def test_our_row_beside_the_published_ones_has_the_clock_that_was_routed(monkeypatch, tmp_path):
    kept, today = tmp_path / "kept.json", route.id_of(rtl.FULL)
    clocks = (70.0, today), (75.5, today), (99.0, "12345678"), (71.0, today)
    rows = [{"fmax MHz": clock, "asked MHz": 87.5, "id": engine} for clock, engine in clocks]
    faster = {"fmax MHz": 88.7, "asked MHz": 87.5, "id": today}
    monkeypatch.setattr(route, "KEPT", kept)
    kept.write_text(json.dumps({"route-full": {"rows": [*rows, faster]}}))
    assert published.table()[-1]["figure"].endswith("cycles at 87.5 MHz")  # what the PLL makes
    kept.write_text(json.dumps({"route-full": {"rows": rows}}))
    ours = published.table()[-1]
    assert ours["figure"].endswith("cycles at 75.5 MHz") and ours["stage"] == "analytic cycles, post-route clock"
    kept.write_text(json.dumps({"route-full": {"rows": rows[2:3]}}))
    with pytest.raises(
        BadInput, match=f"no clock of `full` as it is \\({today}\\): run make bench ONLY=route-full first"
    ):
        published.table()


def test_windows_of_a_run_are_counted_and_a_difference_is_raised(monkeypatch, tmp_path, capsys):
    """On a stand-in for the core, which costs no build."""
    program = random_ndt(3, 6, 16, 1, 2, 16, 8, 5, 20)
    trials = np.random.default_rng(0).integers(0, 4, (3, 9, program.channels))
    with Run(tmp_path / "runs" / "r").write("quantize") as folder:
        program.save(folder / "program.edt")
        np.savez(folder / "stimulus.npz", counts=trials, lengths=np.full(3, 9))
    off = []

    class Core:
        def __init__(self, engine):
            assert engine == Engine.named("small")

        def load(self, compiled):
            assert compiled.program == program

        def compared(self, given):
            codes = program.run(given)
            return compare("engine", {"output": codes}, {"output": codes + len(off)})

    example = runpy.run_path(str(ROOT / "examples" / "windows.py"))["main"]
    monkeypatch.setitem(example.__globals__, "FastCore", Core)
    monkeypatch.setattr(sys, "argv", ["windows.py", str(tmp_path / "runs" / "r"), "--most", "2"])
    example()
    assert capsys.readouterr().out.splitlines()[-1] == f"2 windows, 1 ops: {2 * 9 * program.outputs} codes, 0 differ"
    off.append(1)
    with pytest.raises(Mismatch, match="output"):
        example()
