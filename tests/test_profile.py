"""The profile's figures follow from cycles and clock, and each carries its stage."""

from __future__ import annotations

import dataclasses
import io
import sys

import numpy as np
import pytest
from needs import needs, needs_package
from networks import random_counts, random_ndt
from report_runs import BOARD, SYNTH, add_quantize, add_synth
from rich.console import Console

from edgendt.artifact import Run, read_json
from edgendt.data.stimulus import packed
from edgendt.data.tokens import END, spikes_last
from edgendt.engine.compile import compile_program
from edgendt.engine.config import Engine
from edgendt.engine.cycles import cycles_per_start
from edgendt.engine.keys import compile_for
from edgendt.engine.sources import board_sources, hashes
from edgendt.errors import BadInput, BoardUnknown, DoesNotFit
from edgendt.metrics import summary
from edgendt.profile import cpu as cpu_room
from edgendt.profile import latency as room
from edgendt.profile.latency import ANALYTIC, ASSUMED, POST_ROUTE, SIMULATED, Clock, Cycles, latency
from edgendt.synth.usual import check_room
from edgendt.wiring import Wiring

FILLING = Cycles(tuple(1000 + 10 * min(i, 9) for i in range(20)), tuple(500 + min(i, 9) for i in range(20)), SIMULATED)


def test_windows_without_room_are_told_where_there_is_some():
    needs_package("torch")
    from poyos import random_poyo, windows

    compiled = compile_for(random_poyo(0, depth=1), Engine.named("tokens"))
    check_room("tokens", compiled, windows())
    many = max(len(given["token_ms"]) for given in windows())
    said = rf"windows of up to {many:,} tokens do not fit engine tiny \(room for 3\); take --board ulx3s-85f"
    with pytest.raises(DoesNotFit, match=said):
        check_room("tiny", dataclasses.replace(compiled, most=3), windows())


def test_quantiles_are_cycles_that_some_bin_took():
    by_bin = [100, 200, 900]
    assert summary(room.over_trials(by_bin, [3, 3, 1])) == {"p50": 200, "p99": 900, "max": 900}


def test_bins_beyond_a_trials_end_do_not_count():
    assert room.over_trials([5, 6, 7], [1, 3]) == [5, 5, 6, 7]
    assert latency(FILLING, [2, 2], Clock(100, POST_ROUTE), None)["cycles"]["max"] == 1010


def test_microseconds_are_cycles_over_megahertz():
    got = latency(FILLING, [20], Clock(80.0, POST_ROUTE), 0.02)
    assert got["cycles"] == {"p50": 1090, "p99": 1090, "max": 1090}
    assert got["latency_us"]["max"] == round(1090 / 80, 3)
    assert got["bin_share"]["max"] == round(100 * 1090 / 80 / 20_000, 4)
    assert (got["cycles_stage"], got["clock_stage"]) == (SIMULATED, POST_ROUTE)


def test_efficiency_is_the_bound_of_the_median_bin_over_its_cycles():
    got = latency(FILLING, [20, 3, 3, 3, 3, 3, 3, 3], Clock(80.0, POST_ROUTE), None)
    assert got["cycles"]["p50"] == FILLING.by_bin[got["median_bin"]] < got["cycles"]["max"]
    assert got["bound_cycles"] == FILLING.bounds[got["median_bin"]]
    assert got["efficiency"] == round(got["bound_cycles"] / got["cycles"]["p50"], 4)


def test_without_a_routed_design_the_clock_is_called_assumed():
    small, full = Engine.named("small"), Engine.named("full")
    routed = {"fmax_mhz": 88.5, "stage": "post-route", "engine": small.parameters(), "clock_mhz": 60.0}
    routed["sources"] = hashes(board_sources("edt_top_uart"))
    assert room.clock_of(None, small, 25.0) == Clock(25.0, ASSUMED)
    assert room.clock_of(routed | {"fmax_mhz": None, "stage": "project"}, small, 25.0) == Clock(25.0, ASSUMED)
    assert room.clock_of(routed, full, 25.0) == Clock(25.0, ASSUMED)
    assert room.clock_of(routed | {"sources": {"edt_core.sv": "0"}}, small, 25.0) == Clock(25.0, ASSUMED)
    assert room.clock_of(routed | {"sources": {}}, small, 25.0) == Clock(25.0, ASSUMED)
    assert room.clock_of(routed, small, 25.0) == Clock(88.5, "post-route", 60.0)
    assert room.clock_words(ASSUMED) == "at an assumed clock"


def test_the_cpu_is_quoted_at_its_best_thread_count(monkeypatch):
    program = random_ndt(1)
    times = {1: 50.0, 2: 40.0}
    made = tuple(cpu_room.CpuTime(threads, 9, us, us, us) for threads, us in times.items())
    monkeypatch.setattr(cpu_room, "measure", lambda *_: made)
    got = room.cpu(program, [random_counts(program, 2, 9)])
    assert got["cpu_us"] == 40.0
    assert [run["threads"] for run in got["cpu"]["runs"]] == [1, 2]


@pytest.fixture
def run(tmp_path):
    run = Run(tmp_path / "run")
    add_quantize(run)
    return run


@pytest.fixture
def quick_cpu(monkeypatch):
    monkeypatch.setattr(cpu_room, "measure", lambda *_: (cpu_room.CpuTime(1, 9, 40.0, 50.0, 60.0),))


KEYS = "board cycles by_op bound_cycles efficiency latency_us cycles_stage clock_stage cpu_us".split()


def test_a_profile_counts_every_bin_in_simulation(run, quick_cpu):
    for tool in room.SIMULATOR:
        needs(tool)
    built = hashes(board_sources("edt_top_uart"))
    add_synth(run, engine=Engine.named("small").parameters(), clock_mhz=60.0, sources=built)
    got = room.profile(run, BOARD, bins=100)
    assert set(KEYS) <= set(got) and got["board"] == BOARD
    assert (got["cycles_stage"], got["clock_stage"], got["trials"], got["bins"]) == (SIMULATED, POST_ROUTE, 2, 100)
    assert got["latency_us"]["p99"] == round(got["cycles"]["p99"] / SYNTH["fmax_mhz"], 3)
    assert got["built"]["max"] == round(got["cycles"]["max"] / 60.0, 3)
    assert got["cycles_by_bin"][got["median_bin"]] == got["cycles"]["p50"]
    assert sum(got["by_op"].values()) == got["cycles"]["p50"]
    assert 0 < got["bound_cycles"] < got["cycles"]["p50"]
    assert got["cpu_us"] == 40.0
    assert read_json(run.stage(f"profile-{BOARD}") / "profile.json") == got


def test_a_network_of_whole_windows_is_profiled_by_the_window(tmp_path):
    for tool in room.SIMULATOR:
        needs(tool)
    run, program = Run(tmp_path / "run"), random_ndt(4, channels=30, d=16, outputs=30, bins=50, causal=False)
    add_quantize(run)
    program.save(run.stage("quantize") / "program.edt")
    got = room.profile(run, BOARD, "window", bins=100)
    assert (got["whole_window"], got["trials"], got["cycles_stage"]) == (50, 2, SIMULATED)
    assert got["cycles"]["max"] == got["cycles"]["p50"] == sum(got["by_op"].values()) > got["behind_last_bin"]["cycles"]
    console = Console(width=100, file=io.StringIO())
    console.print(room.render(got))
    text = console.file.getvalue()
    assert "one window of 50 bins" in text and "from the last bin's counts on" in text
    assert "CPU not measured: it is timed bin by bin" in text


SIZES = {"segments": 1, "lanes": 4, "acc_bits": 28, "act_depth": 4096, "res_depth": 1024, "kv_depth": 8192}
SIZES |= {"prog_depth": 256, "rotary": 1, "windows": 1, "tokens": 1}


def test_a_network_of_tokens_is_profiled_from_the_last_spike_on(tmp_path):
    needs_package("torch")
    from poyos import random_poyo, windows

    for tool in room.SIMULATOR:
        needs(tool)
    run, program = Run(tmp_path / "run"), random_poyo(0, depth=1)
    with run.write("quantize") as folder:
        program.save(folder / "program.edt")
        np.savez(folder / "stimulus.npz", **packed([spikes_last(one) for one in windows()]))
    (tmp_path / "small.toml").write_text("".join(f"{name} = {size}\n" for name, size in SIZES.items()))
    got = room.profile(run, BOARD, str(tmp_path / "small.toml"))
    assert got["tokens"]["counts"]["max"] == max(len(one["tokens"]) for one in windows()) <= got["tokens"]["most"]
    assert (got["trials"], got["cycles_stage"], got["whole_window"]) == (3, SIMULATED, None)
    assert got["cycles"]["p50"] == sum(got["by_op"].values()) > got["tokens"]["query_cycles"] > 0
    console = Console(width=120, file=io.StringIO())
    console.print(room.render(got))
    text = " ".join(console.file.getvalue().split())  # a title breaks where the table ends
    assert "from the last spike to the first answer" in text and "each token before the last" in text


def test_what_a_window_holds_behind_its_last_spike_counts():
    needs_package("torch")
    from poyos import random_poyo, windows

    compiled = compile_program(random_poyo(0, depth=1), Engine(**SIZES))
    for window in windows():  # their ends come last
        each, ends = cycles_per_start(compiled, window)[0], int((window["tokens"][:, 1] == END).sum())
        late, soon = (room.behind_last(compiled, given).total for given in (window, spikes_last(window)))
        assert late == soon + ends * each and ends


def test_without_a_simulator_cycles_are_called_analytic(run, quick_cpu, monkeypatch):
    monkeypatch.setattr(room, "find_tool", lambda name: None if name == "verilator" else name)
    got = room.profile(run, BOARD)
    assert (got["cycles_stage"], got["cycles_reason"]) == (ANALYTIC, "not simulated: verilator not found")
    assert got["clock_stage"] == ASSUMED


def test_an_engine_that_takes_other_cycles_than_its_model_is_an_error(monkeypatch):
    for tool in room.SIMULATOR:
        needs(tool)
    program = random_ndt(2)
    compiled = compile_program(program, Engine.named("small"))
    exact = room.cycles_of
    wrong = {3: 1}

    def late(compiled, at):
        found = exact(compiled, at)
        return dataclasses.replace(found, total=found.total + wrong.get(at, 0))

    monkeypatch.setattr(room, "cycles_of", late)
    with pytest.raises(room.CyclesDiffer) as caught:
        room.count(compiled, [random_counts(program, 1, 3), random_counts(program, 2, 6)])
    assert (caught.value.trial, caught.value.start) == (1, 3)
    assert caught.value.model == caught.value.took + 1
    assert "trial 1, bin 3" in str(caught.value)
    assert "in window 1, start 3;" in str(room.CyclesDiffer(1, 3, 7, 8, streams=False))


def test_the_table_shows_every_op_and_every_stage(run, quick_cpu, monkeypatch):
    monkeypatch.setattr(room, "find_tool", lambda name: None)
    got = room.profile(run, BOARD)
    console = Console(width=100, file=io.StringIO())
    console.print(room.render(got))
    text = console.file.getvalue()
    assert all(f"{cycles:,}" in text and name in text for name, cycles in got["by_op"].items())
    assert "analytic" in text and "at an assumed clock" in text and "CPU µs, 1 thread" in text
    assert "not simulated: verilator, g++, make not found" in text


def test_the_options_of_a_load_stand_in_the_title_and_in_the_file(run, quick_cpu, monkeypatch):
    monkeypatch.setattr(room, "find_tool", lambda name: None)
    plain, wired = room.profile(run, BOARD), room.profile(run, BOARD, wiring=Wiring(outputs="0:2", dead="1"))
    assert plain["wiring"] is None and wired["wiring"] == "--outputs 0:2 --dead 1"
    console = Console(width=200, file=io.StringIO())
    console.print(room.render(wired))
    assert f"run --outputs 0:2 --dead 1: one bin on {BOARD}" in " ".join(console.file.getvalue().split())


def test_a_missing_onnxruntime_is_said_not_hidden(run, monkeypatch):
    monkeypatch.setattr(room, "find_tool", lambda name: None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    got = room.profile(run, BOARD)
    assert (got["cpu_us"], got["cpu"]) == (None, None)
    assert "pip install 'edgendt[report]'" in got["cpu_reason"]
    console = Console(width=200, file=io.StringIO())
    console.print(room.render(got))
    assert got["cpu_reason"] in console.file.getvalue()


def test_a_stream_between_channels_is_not_timed_on_a_cpu_and_says_so():
    program = random_ndt(1, d=6, window=4, bins=5, layers=1, spatial=1)
    got = room.cpu(program, [random_counts(program, 1, 5)])
    assert got == {"cpu_us": None, "cpu": None, "cpu_reason": "no network is timed whose channels attend to each other"}


def test_an_engine_larger_than_the_part_is_not_profiled(run):
    with pytest.raises(DoesNotFit, match="MULT18X18D"):
        room.profile(run, "ulx3s-45f", engine="full")


def test_an_unknown_board_lists_the_known_ones(run):
    with pytest.raises(BoardUnknown, match=BOARD):
        room.profile(run, "nope")


def test_a_run_without_a_program_names_the_command(tmp_path):
    with pytest.raises(BadInput, match="run `edgendt quantize` first"):
        room.profile(Run(tmp_path), BOARD)
