"""Options of `edgendt quantize`: what is refused before training, limits, what follows from the data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from needs import needs_package

needs_package("torch")

from networks import random_ndt  # noqa: E402
from test_quantize import config  # noqa: E402

from edgendt.config import load_config  # noqa: E402
from edgendt.engine.config import Engine  # noqa: E402
from edgendt.engine.formats import check_formats  # noqa: E402
from edgendt.engine.image import Image, Section  # noqa: E402
from edgendt.errors import BadInput, UnsupportedOp  # noqa: E402
from edgendt.fixed import Int  # noqa: E402
from edgendt.ops import Attention  # noqa: E402
from edgendt.program import ACCUMULATOR  # noqa: E402
from edgendt.qat.job import Job  # noqa: E402
from edgendt.qat.limits import LIMITS  # noqa: E402
from edgendt.qat.recipe import ModelConfig, QuantizeConfig, resolve  # noqa: E402
from edgendt.quantize import quantize  # noqa: E402


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("model.heads=3", "heads must divide d_model"),
        ("model.kind=gru", "model.kind must be one of ndt, stndt, poyo, got 'gru'"),
        ("model.d_model=60 model.lookup=2 model.most=300", "model: most must be at most 255, what bits.counts can say"),
        ("model.d_model=60 model.lookup=2 model.most=60", "22 channels of 60 counts are 1320 inputs, at most 1024"),
        ("model.d_model=60 model.most=4", "model: lookup and most must be at least 1, or 0 both, got 0 and 4"),
        ("model.kind=stndt model.d_model=30 model.post_norm=true", "post_norm must be false with a spatial stream"),
        ("model.causal=false model.max_bins=60", "model.max_bins must be 50, the longest trial, for whole windows"),
        (
            "model.kind=stndt model.d_model=30 model.causal=true model.spatial_heads=3",
            "must be a power of two that divides 32 bins",
        ),
        (
            "model.kind=stndt model.d_model=30 model.spatial_heads=4",
            "spatial_heads must be a power of two that divides 50 bins",
        ),
        ("model.kind=stndt", "d_model must be above 29, a channel's own column, got 8"),
        ("train.contrast=-1", "train.contrast must be 0 to below 100"),
        ("model.max_bins=10", "longest trial of lorenz has 50 bins"),
        ("model.window=0", "window must be at least 1"),
        ("model.window=300", "model: window must be at most 256, got 300"),
        ("model.heads=16 model.d_model=16", "model: heads must be at most 8, got 16"),
        ("model.heads=0", "heads must be at least 1"),
        ("model.d_model=258", "model: d_model must be at most 256, got 258"),
        ("model.ffn=2000", "model: ffn must be at most 1024, got 2000"),
        ("model.ffn=513 model.activation=gelu", "model: ffn must be at most 512 with gelu, got 513"),
        ("model.activation=tanh", "activation must be one of relu, gelu, got tanh"),
        ("model.position=rotary model.max_bins=90", "max_bins must not be given with rotary position"),
        ("model.position=fourier", "position must be one of learned, sinusoidal, rotary, got fourier"),
        ("model.max_bins=70000", "model: max_bins must be at most 65535, got 70000"),
        ("bits.weight=9", "bits of weight must be 2..8"),
        ("bits.overrides.layer9.q=8", "layer9"),
        ("data.source=nothing", "lorenz, chaotic_rnn or a FILE"),
        ("data.val=0.7", "data.val must be a share"),
        ("train.steps=0", "train.steps must be at least 1"),
        ("train.lr=-1", "train.lr must be positive"),
        ("qat.steps=-5", "qat.steps must be at least 1"),
        ("train.mask_bins=1.5", "train.mask_bins must be a share"),
        ("train.thin=1", "train.thin must be a share of 0 to below 1"),
        ("train.val_every=-1", "train.val_every must be at least 0"),
        ("qat.surrogate=2", "qat.surrogate must be a share"),
        ("seed=-1", "seed must be 0 to"),
        ("data.conditions=0", "data.conditions must be at least 1"),
    ],
)
def test_options_that_cannot_be_are_refused_before_training(override: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=sentence):
        quantize(config(*override.split()), tmp_path, quiet=True)
    assert not list(tmp_path.iterdir())


def test_a_recording_of_more_channels_than_an_engine_has_is_refused_before_training(tmp_path: Path) -> None:
    np.savez(tmp_path / "wide.npz", spikes=np.ones((6, 3, 300), int))
    with pytest.raises(BadInput, match="channels of the data must be at most 256, got 300"):
        Job.of(config(f"data.source={tmp_path / 'wide.npz'}"))


@pytest.mark.parametrize("name", LIMITS)
def test_the_limits_are_those_of_the_engine(name: str) -> None:
    """What comes after training holds the largest value and refuses the next one."""
    words = {"d_model": "d", "max_bins": "bins"}
    fields = {"d": 8, "heads": 1, "ffn": 8, "channels": 2, "outputs": 2, "window": 2, "bins": 2, "layers": 1}

    def refused(value: int) -> bool:
        wide = {"d": 16 * value} if name == "heads" else {}
        program = random_ndt(0, **fields | {words.get(name, name): value} | wide)
        try:
            check_formats(program, Engine())
            Image({}, program.channels, program.outputs, program.max_bins or 0, (Section(0, 0, np.ones(1, np.uint64)),))
        except (UnsupportedOp, ValueError):
            return True
        return False

    assert not refused(LIMITS[name]) and refused(LIMITS[name] + 1)


def test_within_the_limits_no_attention_leaves_its_accumulator() -> None:
    form = Int(8, 4)
    Attention(LIMITS["d_model"], 1, LIMITS["window"], form, form, form, form).check(ACCUMULATOR)


def test_the_recipe_follows_the_data_and_yields_to_what_is_asked() -> None:
    synthetic = resolve(QuantizeConfig(), 50, 30)
    recording = resolve(replace(synthetic, data=replace(synthetic.data, source="lab.npz")), 50, 30)
    assert synthetic == recording or synthetic.train == recording.train  # what is asked is kept
    fresh = resolve(load_config(QuantizeConfig, None, ["data.source=lab.npz", "train.lr=0.5"]), 50, 30)
    assert fresh.train.lr == 0.5 and fresh.model.dropout != synthetic.model.dropout


def test_an_stndt_has_a_column_per_channel_and_whole_windows() -> None:
    model = resolve(QuantizeConfig(model=ModelConfig("stndt")), 45, 31).model
    assert (model.d_model, model.window, model.spatial_heads, model.causal) == (32, 45, 1, False)
    whole = resolve(QuantizeConfig(model=ModelConfig("stndt")), 50, 30)
    assert (whole.model.spatial_heads, whole.train.thin, whole.train.contrast) == (2, 0.25, 0.01)
    causal = resolve(QuantizeConfig(), 50, 30)
    assert (causal.model.window, causal.model.d_model, causal.train.thin, causal.train.contrast) == (32, 64, 0.0, 0.0)


def test_heads_that_cannot_be_are_named_also_where_the_width_follows_from_them() -> None:
    with pytest.raises(BadInput, match="heads must be at least 1, got 0"):
        Job.of(load_config(QuantizeConfig, None, ["data.conditions=4", "model.kind=stndt", "model.heads=0"]))


def test_a_poyos_options_are_refused_for_another_network() -> None:
    with pytest.raises(BadInput, match=r"poyo\.\* describes a poyo"):
        Job.of(config("poyo.dim=16"))
