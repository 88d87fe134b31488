"""Spike times: recorded or jittered, every wrong file one sentence; windows of tokens cover what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from needs import shared

from edgendt.data import Dataset, load, split
from edgendt.data.events import SpikeTimes, jittered, read_times
from edgendt.data.lorenz import lorenz_sessions
from edgendt.data.tokens import END, SPIKE, START, Cut, causal, ending_at, gather, last_spike, spikes_last, whole
from edgendt.errors import BadInput

DATA = lorenz_sessions(0, sessions=2, trials=4, bins=15, channels=5, bin_s=0.1)
SESSIONS = tuple(jittered(data, 3) for data in DATA)


def test_jitter_keeps_every_spike_in_its_bin() -> None:
    for data, times in zip(DATA, SESSIONS, strict=True):
        counts = np.zeros_like(data.spikes)
        trial = np.repeat(np.arange(data.trials), np.diff(times.first))
        np.add.at(counts, (trial, times.ms // 100, times.unit), 1)
        assert np.array_equal(counts, data.spikes)
        assert all((np.diff(times.trial(t, 0, 1500)[1]) >= 0).all() for t in range(data.trials))
        assert "jittered within bins of 100 ms" in times.source and times.drawn


def test_jitter_repeats_its_seed_and_only_its_seed() -> None:
    assert np.array_equal(jittered(DATA[0], 3).ms, SESSIONS[0].ms)
    assert not np.array_equal(jittered(DATA[0], 4).ms, SESSIONS[0].ms)


def test_bins_of_a_millisecond_keep_their_times() -> None:
    counts = np.zeros((1, 9, 2), np.int64)
    counts[0, [2, 7], [1, 0]] = 1
    times = jittered(Dataset("a", counts, np.array([9]), 0.001, vel=np.zeros((1, 9, 2))))
    assert times.ms.tolist() == [2, 7] and times.unit.tolist() == [1, 0]


def test_times_need_velocity_and_whole_milliseconds() -> None:
    with pytest.raises(BadInput, match="it has no `vel`"):
        jittered(load("lorenz", conditions=2))
    with pytest.raises(BadInput, match=r"at least 1 ms long, got bin_s 0\.0005"):
        jittered(Dataset("a", np.ones((1, 2, 2), np.int64), np.array([2]), 0.0005, vel=np.zeros((1, 2, 2))))


def test_sessions_share_a_system_and_no_trajectory() -> None:
    first, second = DATA
    assert first.vel is not None and second.vel is not None and first.rates is not None
    assert np.abs(first.vel).max() <= 1 and not np.array_equal(first.vel, second.vel)
    again = lorenz_sessions(0, sessions=2, trials=4, bins=15, channels=5, bin_s=0.1)[1]
    assert np.array_equal(again.spikes, second.spikes)
    starts = np.concatenate([first.vel[:, 0], second.vel[:, 0]])
    assert len(np.unique(starts, axis=0)) == 8


RECORDED: dict[str, Any] = {
    "times": np.array([10.25, 10.003, 10.0, 10.499, 10.5, 11.2, 9.0]),
    "units": np.array([2, 0, 1, 2, 1, 0, 0]),
    "trials": np.array([[10.0, 10.55], [11.0, 11.3]]),
    "vel": np.stack([np.arange(41.0), -np.arange(41.0)], 1),
    "vel_times": 8.0 + 0.1 * np.arange(41),
}


def save(folder: Path, **arrays: Any) -> Path:
    path = folder / "times.npz"
    np.savez(path, **arrays)
    return path


def test_recorded_times_are_read_to_the_millisecond(tmp_path: Path) -> None:
    data = read_times(save(tmp_path, **RECORDED), bin_s=0.1)
    assert data.trial(0, 0, 10_000)[1].tolist() == [0, 3, 250, 499]  # whole bins only: 500 is beyond
    assert data.trial(0, 0, 10_000)[0].tolist() == [1, 0, 2, 2]
    assert data.trial(1, 0, 10_000)[1].tolist() == [200] and data.binned.lengths.tolist() == [5, 3]
    assert data.binned.spikes.sum() == 5 and data.binned.spikes[0, :, 2].tolist() == [0, 0, 1, 0, 1]
    assert np.allclose(data.vel[0, :, 0], 20.5 + np.arange(5)) and not data.vel[1, 3:].any()
    assert data.source.endswith("recorded times") and not data.drawn and data.units == 3


def test_a_session_of_recorded_times_is_chosen_by_name(tmp_path: Path) -> None:
    path = save(tmp_path, **{f"{s}/{key}": value for s in "ab" for key, value in RECORDED.items()})
    assert read_times(path, "b").units == 3
    with pytest.raises(BadInput, match="several sessions, choose one with --session NAME: a, b"):
        read_times(path)


WRONG = {
    "no times": ({"times": None}, "no key `times`; it has"),
    "no trials": ({"trials": None}, "no key `trials`; spike times need times, units, trials, vel, vel_times"),
    "counts": ({"times": np.ones((3, 2))}, r"times must be numbers of 1 dimension, got float64 of shape \[3, 2\]"),
    "text": ({"times": np.array(["1"] * 7)}, "times must be numbers"),
    "nan": ({"times": np.full(7, np.nan)}, r"times has NaN or infinity at \[0\]"),
    "fewer units": ({"units": np.zeros(6)}, "units must be as many as times, got 6 and 7"),
    "fewer samples": ({"vel_times": np.arange(5.0)}, "vel_times must be as many as vel, got 5 and 41"),
    "fraction": ({"units": np.full(7, 0.5)}, "units must be whole numbers 0..65535, got 0.5..0.5"),
    "negative unit": ({"units": np.full(7, -1)}, r"got -1\.\.-1"),
    "backwards": ({"trials": np.array([[10.5, 10.0]])}, "each a start and a later stop"),
    "three columns": ({"trials": np.ones((2, 3))}, "each a start and a later stop"),
    "overlap": ({"trials": np.array([[10.0, 10.6], [10.5, 10.9]])}, "trials overlap"),
    "standing time": ({"vel_times": np.zeros(41)}, "vel_times must increase"),
    "outside": ({"trials": np.array([[1.0, 2.0]])}, "trials must lie within vel_times, 8.0 to 12.0 s"),
    "short": ({"trials": np.array([[10.0, 10.001]])}, "trial 0 is shorter than one bin of 0.1 s"),
    "silent": ({"trials": np.array([[8.0, 8.9]])}, "no spike lies within a trial"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_bad_file_gets_one_sentence_with_its_name(tmp_path: Path, case: str) -> None:
    changed, sentence = WRONG[case]
    path = save(tmp_path, **{key: value for key, value in (RECORDED | changed).items() if value is not None})
    with pytest.raises(BadInput, match=sentence) as caught:
        read_times(path, bin_s=0.1)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_window_holds_its_spikes_and_two_tokens_of_every_unit() -> None:
    cut = Cut(1, 2, 300, 900, 4, 8)
    windows = gather(SESSIONS, [cut])
    unit, ms = SESSIONS[1].trial(2, 300, 900)
    n = len(unit)
    assert windows.length.tolist() == [n + 10] and windows.session.tolist() == [1]
    assert windows.kind[0].tolist() == [START] * 5 + [SPIKE] * n + [END] * 5
    assert windows.unit[0].tolist() == [5, 6, 7, 8, 9, *(unit + 5), 5, 6, 7, 8, 9]
    assert windows.ms[0].tolist() == [0] * 5 + (ms - 300).tolist() + [600] * 5
    assert windows.query_ms[0].tolist() == [150, 250, 350, 450]
    assert np.array_equal(windows.vel[0], SESSIONS[1].vel[2, 4:8])


def test_a_window_is_sent_with_its_spikes_last() -> None:
    found = gather(SESSIONS, [Cut(0, 0, 0, 1000, 0, 10)])
    kept = {"tokens": np.stack([found.unit[0], found.kind[0]], 1), "token_ms": found.ms[0], "query_ms": found.query_ms}
    sent, units, n = spikes_last(kept), SESSIONS[0].units, len(found.kind[0])
    assert sent["tokens"][:, 1].tolist() == [START] * units + [END] * units + [SPIKE] * (n - 2 * units)
    assert sent["token_ms"].tolist() == [0] * units + [1000] * units + found.ms[0, units:-units].tolist()
    assert sent["query_ms"] is kept["query_ms"]
    assert (last_spike(sent), last_spike(kept)) == (n - 1, n - units - 1)
    silent = {"tokens": np.array([[0, START], [0, END]]), "token_ms": np.array([0, 1000])}
    assert last_spike(silent) == 1


def test_units_that_are_not_kept_have_no_token_at_all() -> None:
    kept = np.array([True, False, True, False, False])
    windows = gather(SESSIONS, [Cut(0, 0, 0, 1000, 0, 10)], [kept])
    assert set(windows.unit[0, : windows.length[0]].tolist()) == {0, 2}


def test_padding_is_an_index_range() -> None:
    windows = gather(SESSIONS, [Cut(0, 0, 0, 200, 0, 2), Cut(0, 0, 0, 1000, 0, 10)])
    assert windows.asked.sum(1).tolist() == [2, 10]
    assert not windows.unit[0, windows.length[0] :].any() and not windows.query_ms[0, 2:].any()


@pytest.mark.parametrize("cuts", [causal, whole])
def test_every_bin_is_asked_for_once_and_lies_in_its_window(cuts: Any) -> None:
    data, asked = SESSIONS[0], np.zeros((4, 15), int)
    for cut in cuts(data, 0, np.arange(4), 1000):
        asked[cut.trial, cut.first : cut.last] += 1
        assert cut.start_ms <= cut.first * 100 and cut.last * 100 <= cut.stop_ms <= cut.start_ms + 1000
    assert (asked == 1).all()


def test_a_causal_window_ends_with_the_bin_it_asks_for() -> None:
    found = [(c.start_ms, c.stop_ms, c.first, c.last) for c in causal(SESSIONS[0], 0, np.array([1]), 1000)]
    assert found[0] == (0, 100, 0, 1) and found[9] == (0, 1000, 9, 10) and found[14] == (500, 1500, 14, 15)
    assert ending_at(SESSIONS[0], 0, 1, 15, 1000).first == 5


def real(name: str) -> SpikeTimes:
    return jittered(load(str(shared("realdata/miller_reach_myow.npz")), session=name))


def test_the_real_sessions_are_read_as_times() -> None:
    data = real("chewie_20131219_100ms_moving")
    assert data.units == 155 and len(data.ms) == data.binned.spikes.sum()
    parts = split(data.binned, 0, held_out=0)
    assert not set(parts.train) & set(parts.test) and not set(parts.val) & (set(parts.test) | set(parts.train))


def test_recorded_milliseconds_come_back_as_times(tmp_path: Path) -> None:
    with np.load(shared("realdata/mc_maze_2trials_1ms.npz"), allow_pickle=False) as file:
        ms = [file[f"trial_{n}/spikes"] for n in (748, 1356)]
        t_s = [file[f"trial_{n}/t_s"] for n in (748, 1356)]
        vel = np.concatenate([file[f"trial_{n}/hand_vel"] for n in (748, 1356)])
    where = [np.nonzero(part) for part in ms]
    path = save(
        tmp_path,
        times=np.concatenate([t[row] for t, (row, _) in zip(t_s, where, strict=True)]),
        units=np.concatenate([unit for _, unit in where]),
        trials=np.array([[t[0], t[-1]] for t in t_s]),
        vel=vel,
        vel_times=np.concatenate(t_s),
    )
    data = read_times(path)
    for trial, (row, unit) in enumerate(where):
        seen = row < data.edges_ms(data.binned.lengths[trial])
        assert np.array_equal(data.trial(trial, 0, 10_000)[1], row[seen])
        assert np.array_equal(np.bincount(data.trial(trial, 0, 10_000)[0]), np.bincount(unit[seen]))
