"""Spike data: seeded generators, a lab's .npz with every way it can be wrong, splits by trial and channel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mutants import mutants
from needs import shared

from edgendt.data import Dataset, load, split
from edgendt.data.chaotic_rnn import MAX_HZ, chaotic_rnn
from edgendt.data.lorenz import lorenz
from edgendt.data.spikes import read
from edgendt.errors import BadInput

RNG = np.random.default_rng(0)
COUNTS = RNG.poisson(0.5, (6, 8, 3))


def save(folder: Path, **arrays: Any) -> Path:
    path = folder / "lab.npz"
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("make", [lorenz, chaotic_rnn])
def test_a_generator_repeats_its_seed_and_only_its_seed(make: Any) -> None:
    first, again, other = make(3, 4, 2), make(3, 4, 2), make(4, 4, 2)
    assert np.array_equal(first.spikes, again.spikes) and np.array_equal(first.rates, again.rates)
    assert not np.array_equal(first.spikes, other.spikes)


def test_generators_have_the_customary_shapes() -> None:
    assert lorenz().spikes.shape == (65 * 20, 50, 30)
    assert chaotic_rnn().spikes.shape == (130 * 10, 100, 50)


@pytest.mark.parametrize("make", [lorenz, chaotic_rnn])
def test_spikes_have_the_true_rates(make: Any) -> None:
    data = make(1, 5, 400)
    assert data.rates.min() >= 0
    # 400 Poisson repeats of each rate: the mean is within six standard errors everywhere.
    mean = data.spikes.reshape(5, 400, data.bins, data.channels).mean(1)
    rate = data.rates.reshape(5, 400, data.bins, data.channels)[:, 0]
    assert (np.abs(mean - rate) < 6 * np.sqrt(rate / 400) + 0.05).all()


def test_trials_of_one_condition_share_their_rates() -> None:
    rates = lorenz(0, 3, 4).rates
    assert rates is not None
    assert np.array_equal(rates[0], rates[3]) and not np.array_equal(rates[3], rates[4])


def test_the_random_network_stays_within_its_rates() -> None:
    data = chaotic_rnn(0, 3, 2)
    assert data.rates is not None and data.rates.max() <= MAX_HZ * data.bin_s


def test_padded_trials_are_read_as_they_are(tmp_path: Path) -> None:
    data = read(save(tmp_path, spikes=COUNTS, bin_s=0.05, vel=np.ones((6, 8, 2))))
    assert np.array_equal(data.spikes, COUNTS) and data.spikes.dtype == np.int64
    assert data.mask.all() and data.bin_s == 0.05
    assert data.vel is not None and data.vel.shape == (6, 8, 2)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32, bool])
def test_whole_counts_of_any_type_are_read(tmp_path: Path, dtype: Any) -> None:
    counts = np.minimum(COUNTS, 1).astype(dtype)
    assert np.array_equal(read(save(tmp_path, spikes=counts)).spikes, np.minimum(COUNTS, 1))


def test_trials_of_different_lengths_are_padded_and_masked(tmp_path: Path) -> None:
    trial = np.repeat([7, 3, 9], [2, 4, 1])
    spikes = np.arange(1, 22).reshape(7, 3)
    data = read(save(tmp_path, spikes=spikes, trial=trial, rates=spikes / 2.0, vel=spikes[:, :2] * 1.0))
    assert data.lengths.tolist() == [2, 4, 1]
    assert data.mask.sum() == 7
    assert np.array_equal(data.spikes[data.mask], spikes)
    assert data.rates is not None and np.array_equal(data.rates[data.mask], spikes / 2)
    assert data.vel is not None and np.array_equal(data.vel[data.mask], spikes[:, :2])
    assert not data.spikes[~data.mask].any()


def test_what_stands_in_padding_is_dropped(tmp_path: Path) -> None:
    lengths = np.array([8, 3, 8, 8, 8, 8])
    data = read(save(tmp_path, spikes=np.ones((6, 8, 3), int), lengths=lengths))
    assert data.lengths.tolist() == lengths.tolist()
    assert data.spikes[1, :3].all() and not data.spikes[1, 3:].any()


def test_what_stands_in_padding_may_be_anything(tmp_path: Path) -> None:
    spikes, rates, vel = np.ones((6, 8, 3)), np.ones((6, 8, 3)), np.ones((6, 8, 2))
    spikes[1, 3:], spikes[2, 7], rates[1, 4:], vel[1, 3:] = np.nan, -0.5, -1, np.inf
    lengths = np.array([8, 3, 7, 8, 8, 8])
    data = read(save(tmp_path, spikes=spikes, rates=rates, vel=vel, lengths=lengths))
    assert data.rates is not None and data.vel is not None
    for values in (data.spikes, data.rates, data.vel):
        assert (values[data.mask] == 1).all() and not values[~data.mask].any()
    spikes[1, 2, 1] = np.nan
    with pytest.raises(BadInput, match=r"NaN or infinity at \[1, 2, 1\]"):
        read(save(tmp_path, spikes=spikes, lengths=lengths))


def test_one_session_needs_no_name_and_several_are_listed(tmp_path: Path) -> None:
    one = save(tmp_path, **{"a/spikes": COUNTS, "a/bin_s": 0.1})
    assert read(one).bin_s == 0.1
    two = save(tmp_path, **{"a/spikes": COUNTS, "b/spikes": COUNTS[:4]})
    with pytest.raises(BadInput, match=r"several sessions, choose one with --session NAME: a, b"):
        read(two)
    assert read(two, "b").trials == 4
    with pytest.raises(BadInput, match="no session c; it has a, b"):
        read(two, "c")


def changed(where: tuple[int, ...], value: float) -> np.ndarray:
    counts = COUNTS.astype(float)
    counts[where] = value
    return counts


WRONG = {
    "negative": ({"spikes": changed((1, 2, 0), -1)}, r"negative count at \[1, 2, 0\]"),
    "negative integer": ({"spikes": -np.ones((6, 8, 3), int)}, "negative count"),
    "fraction": ({"spikes": changed((0, 1, 2), 0.5)}, r"whole counts, got a fraction at \[0, 1, 2\]"),
    "nan": ({"spikes": changed((0, 0, 1), np.nan)}, r"NaN or infinity at \[0, 0, 1\]"),
    "infinity": ({"spikes": changed((0, 0, 1), np.inf)}, "NaN or infinity"),
    "one channel": ({"spikes": COUNTS[:, :, :1]}, "one channel; at least two"),
    "one dimension": ({"spikes": COUNTS[0, 0]}, r"\[trials, bins, channels\]"),
    "four dimensions": ({"spikes": COUNTS[None]}, "got shape"),
    "empty": ({"spikes": COUNTS[:0]}, "empty"),
    "silent": ({"spikes": COUNTS * 0}, "no spike at all"),
    "text": ({"spikes": np.full((6, 8, 3), "1")}, "must be numbers"),
    "missing key": ({"counts": COUNTS}, "no key `spikes`; it has counts"),
    "spike times": ({"times": COUNTS}, "no key `spikes`; it has times; spike times are for --model poyo"),
    "no arrays": ({}, "no key `spikes`; it has no arrays"),
    "no trial": ({"spikes": COUNTS[0]}, "`trial`"),
    "trial shape": ({"spikes": COUNTS[0], "trial": np.zeros(5)}, r"trial must be \[8\]"),
    "trial nan": ({"spikes": COUNTS[0], "trial": np.full(8, np.nan)}, "trial has NaN"),
    "trial returns": ({"spikes": COUNTS[0], "trial": np.repeat([0, 1, 0], [3, 3, 2])}, "comes back"),
    "rates shape": ({"spikes": COUNTS, "rates": np.ones((6, 8, 4))}, "rates has shape .* disagrees with spikes"),
    "vel shape": ({"spikes": COUNTS, "vel": np.ones((6, 7, 2))}, "vel has shape .* disagrees with spikes"),
    "vel nan": ({"spikes": COUNTS, "vel": np.full((6, 8, 2), np.nan)}, "vel has NaN"),
    "no axis": ({"spikes": COUNTS, "vel": np.ones((6, 8, 0))}, "vel has shape .* disagrees with spikes"),
    "vel a number": ({"spikes": COUNTS, "vel": 1.0}, r"vel has shape \[\], which disagrees"),
    "trial beside trials": ({"spikes": COUNTS, "trial": np.zeros(8)}, "goes with `lengths`, not with `trial`: leave"),
    "lengths beside bins": ({"spikes": COUNTS[0], "lengths": [8]}, "goes with `trial`, not with `lengths`: leave"),
    "trial records": ({"spikes": COUNTS[0], "trial": np.zeros(8, "i4,i4")}, "trial must be numbers or names"),
    "negative rate": ({"spikes": COUNTS, "rates": -np.ones((6, 8, 3))}, "negative rate"),
    "complex vel": ({"spikes": COUNTS, "vel": np.ones((6, 8, 2), complex)}, "vel must be real"),
    "bin_s zero": ({"spikes": COUNTS, "bin_s": 0.0}, "bin_s must be a positive"),
    "bin_s nan": ({"spikes": COUNTS, "bin_s": np.nan}, "bin_s must be a positive"),
    "bin_s array": ({"spikes": COUNTS, "bin_s": np.ones(3)}, "bin_s must be one number"),
    "lengths shape": ({"spikes": COUNTS, "lengths": np.ones(4, int)}, "lengths must be 6 whole numbers"),
    "lengths range": ({"spikes": COUNTS, "lengths": np.full(6, 9)}, r"lengths must be 1\.\.8"),
    "pickled": ({"spikes": np.array([{}, {}], object)}, "pickled objects, which are never loaded"),
    "huge": ({"spikes": changed((0, 0, 0), 1e12)}, "no bin can hold"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_bad_file_gets_one_sentence_with_its_name(tmp_path: Path, case: str) -> None:
    arrays, sentence = WRONG[case]
    path = save(tmp_path, **arrays)
    with pytest.raises(BadInput, match=sentence) as caught:
        read(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04broken"])
def test_an_unreadable_file_gets_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "lab.npz"
    path.write_bytes(content)
    with pytest.raises(BadInput, match="cannot be read"):
        read(path)


def test_a_cut_file_and_a_damaged_member_get_one_sentence(tmp_path: Path) -> None:
    path = save(tmp_path, spikes=COUNTS)
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    with pytest.raises(BadInput, match="cannot be read"):
        read(path)
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1 :])
    with pytest.raises(BadInput, match="cannot be read"):
        read(path)


@pytest.mark.parametrize("save_as", [np.savez, np.savez_compressed])
def test_no_damage_escapes_as_anything_but_one_sentence(tmp_path: Path, save_as: Any) -> None:
    path, vel = tmp_path / "lab.npz", np.arange(96.0).reshape(6, 8, 2)
    save_as(path, spikes=COUNTS, vel=vel, bin_s=0.05)
    refused = 0
    for spoilt in mutants(path.read_bytes(), 400):
        path.write_bytes(spoilt)
        try:
            data = read(path)
        except BadInput as error:
            refused += 1
            assert str(path) in str(error) and "\n" not in str(error)
        else:  # damage that zip has no use for, or a member that lost its name
            assert np.array_equal(data.spikes, COUNTS) and (data.vel is None or np.array_equal(data.vel, vel))
    assert refused > 300


@pytest.mark.parametrize("content", [b"\x80\x04K\x01.", b"GIF89a", b"spikes,trial\n1,2\n"])
def test_only_pickled_objects_are_called_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "lab.npz"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"cannot be read: it is no \.npz file, or is cut short"):
        read(path)


def test_a_member_that_claims_fewer_values_than_it_holds_is_damaged(tmp_path: Path) -> None:
    path = save(tmp_path, spikes=COUNTS)
    path.write_bytes(path.read_bytes().replace(b"'shape': (6, 8, 3)", b"'shape': (5, 8, 3)"))
    with pytest.raises(BadInput, match="Bad CRC-32"):
        read(path)


def test_sources_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="does not exist"):
        load(str(tmp_path / "absent.npz"))
    with pytest.raises(BadInput, match="does not exist"):
        load(str(tmp_path) + "/.npz")
    with pytest.raises(BadInput, match=r"lorenz, chaotic_rnn or a FILE\.npz, got lorentz"):
        load("lorentz")
    with pytest.raises(BadInput, match="built in and has none"):
        load("lorenz", session="a")
    np.save(tmp_path / "array.npy", COUNTS)
    (tmp_path / "array.npy").rename(tmp_path / "array.npz")
    with pytest.raises(BadInput, match=r"a single array, not an \.npz"):
        load(str(tmp_path / "array.npz"))


def test_splits_share_no_trial_and_no_channel_and_repeat_their_seed() -> None:
    data = lorenz(0, 5, 4)
    parts, again, other = split(data, 1), split(data, 1), split(data, 2)
    trials = np.concatenate([parts.train, parts.val, parts.test])
    channels = np.concatenate([parts.held_in, parts.held_out])
    assert sorted(trials) == list(range(20)) and sorted(channels) == list(range(30))
    assert np.array_equal(parts.test, again.test) and np.array_equal(parts.held_out, again.held_out)
    assert not np.array_equal(parts.test, other.test)


def test_held_out_channels_are_active_and_silent_ones_alike() -> None:
    spikes = np.zeros((10, 5, 8), np.int64)
    spikes[..., :4] = 9
    for seed in range(20):
        out = split(Dataset("d", spikes, np.full(10, 5), 0.1), seed).held_out
        assert len(out) == 2 and min(out) < 4 <= max(out)


def test_nothing_is_held_out_when_nothing_is_asked() -> None:
    parts = split(lorenz(0, 5, 4), 0, held_out=0)
    assert len(parts.held_out) == 0 and len(parts.held_in) == 30


@pytest.mark.parametrize("trials", [1, 2, 4])
def test_too_few_trials_are_refused(trials: int) -> None:
    data = Dataset("few", np.ones((trials, 5, 4), np.int64), np.full(trials, 5), 0.1)
    with pytest.raises(BadInput, match=f"few: {trials} trials are too few .*; at least 5 are needed"):
        split(data, 0)
    with pytest.raises(BadInput, match="at least 21 are needed"):
        split(data, 0, 0.45, 0.45)


def test_too_few_trials_of_a_file_name_its_path(tmp_path: Path) -> None:
    path = save(tmp_path, **{"a/spikes": COUNTS[:4]})
    with pytest.raises(BadInput) as caught:
        split(read(path, "a"), 0)
    assert str(caught.value).startswith(f"{path} (a): 4 trials are too few")


@pytest.mark.parametrize("shares", [{"val": 0.0}, {"test": 0.6}, {"held_out": 1.0}, {"held_out": -0.1}])
def test_shares_out_of_range_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(BadInput, match=f"data.{next(iter(shares))} must be a share"):
        split(lorenz(0, 5, 4), 0, **shares)


def test_a_real_recording_is_read_by_session() -> None:
    path = shared("realdata/miller_reach_myow.npz")
    data = read(path, "chewie_20131003_100ms_all")
    assert (data.trials, data.channels, int(data.lengths.sum())) == (159, 174, 1640)
    assert data.bin_s == pytest.approx(0.1) and data.vel is not None
    with pytest.raises(BadInput, match="mihi_20140303_100ms_moving"):
        read(path)
