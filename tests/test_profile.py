"""The profile's figures follow from cycles and clock, and each carries its stage."""

from __future__ import annotations

from networks import random_counts, random_ndt

from edgendt import profile as room
from edgendt.engine.config import Engine
from edgendt.profile import ASSUMED, POST_ROUTE, SIMULATED, Clock, Cycles, latency

FILLING = Cycles(tuple(1000 + 10 * min(i, 9) for i in range(20)), tuple(500 + min(i, 9) for i in range(20)), SIMULATED)


def test_quantiles_are_cycles_that_some_bin_took():
    by_bin = [100, 200, 900]
    assert room.summary(room.over_trials(by_bin, [3, 3, 1])) == {"p50": 200, "p99": 900, "max": 900}


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
    assert room.clock_of(None, small, 25.0) == Clock(25.0, ASSUMED)
    assert room.clock_of(routed | {"fmax_mhz": None, "stage": "project"}, small, 25.0) == Clock(25.0, ASSUMED)
    assert room.clock_of(routed, full, 25.0) == Clock(25.0, ASSUMED)
    assert room.clock_of(routed, small, 25.0) == Clock(88.5, "post-route", 60.0)
    assert room.clock_words(ASSUMED) == "at an assumed clock"


def test_the_cpu_is_quoted_at_its_best_thread_count(monkeypatch):
    program = random_ndt(1)
    times = {1: 50.0, 2: 40.0}
    from edgendt import cpu

    monkeypatch.setattr(cpu, "measure", lambda *_: tuple(cpu.CpuTime(t, 9, us, us, us) for t, us in times.items()))
    got = room.cpu(program, [random_counts(program, 2, 9)])
    assert got["cpu_us"] == 40.0
    assert [run["threads"] for run in got["cpu"]["runs"]] == [1, 2]
