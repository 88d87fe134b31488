"""What `edgendt quantize` can be asked for, and the recipe it takes where nothing is asked."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from edgendt.data.load import BUILT_IN
from edgendt.errors import BadInput
from edgendt.models.checkpoint import Checkpoint
from edgendt.ops.attention import ALL
from edgendt.qat.formats import Bits


@dataclass(frozen=True)
class DataConfig:
    """source: `lorenz`, `chaotic_rnn` or FILE.npz; session inside the file; conditions of a built-in system; val and
    test are shares of the trials, held_out of the channels.

    held_out = 0 makes every channel an input, as a device without co-bps would want it.
    """

    source: str = "lorenz"
    session: str = ""
    conditions: int | None = None
    val: float = 0.1
    test: float = 0.2
    held_out: float = 0.25


@dataclass(frozen=True)
class ModelConfig:
    """Geometry. max_bins: rows of the position table; the longest trial by default.

    kind: `ndt`, or `stndt`, which has a spatial stream, a column per channel and whole windows; what is not given
    follows from it. Or `poyo`, whose geometry is poyo.* and nothing that follows here. window: bins that a bin sees,
    its own included. causal = false: every bin sees the whole window, the longest trial, or `back` bins before it and
    `ahead` behind it (-1: all, which may also be asked of a checkpoint that has others). position: `learned`,
    `sinusoidal`, or `rotary`, which has no last bin: a causal network streams for as long as it is fed, and max_bins
    must not be given. identity: no learned embedder, each input channel has its own column. lookup: a count enters as a
    row of so many columns, from a table that ends with the largest count of the training trials, or with `most`.
    post_norm: LayerNorms behind the sums of a layer. spatial_heads: attention heads between an stndt's channels.
    courses: tokens of its first layer are the counts' own time courses. activation: `relu` or `gelu`.
    """

    kind: str = "ndt"
    d_model: int | None = None
    layers: int = 2
    heads: int = 2
    ffn: int = 128
    window: int | None = None
    max_bins: int | None = None
    dropout: float | None = None
    causal: bool | None = None
    position: str = "learned"
    identity: bool | None = None
    spatial_heads: int | None = None
    back: int | None = None
    ahead: int | None = None
    lookup: int = 0
    most: int | None = None
    post_norm: bool = False
    courses: bool = False
    activation: str = "relu"


@dataclass(frozen=True)
class PoyoConfig:
    """A POYO: preset `compact`, `small` or `1.3m`, and what shall differ from it. Of every training window a random
    share of the units is heard, least_units up to all.
    """

    preset: str = "compact"
    dim: int | None = None
    depth: int | None = None
    latents: int | None = None
    step_ms: int | None = None
    window_ms: int | None = None
    cross_heads: int | None = None
    self_heads: int | None = None
    head_size: int | None = None
    dropout: float | None = None
    least_units: float = 0.5


@dataclass(frozen=True)
class TrainConfig:
    """Float training. None takes the recipe of the data's kind.

    mask_* are shares of inputs hidden in training, thin the share of the spikes of every other input. contrast: weight
    of the contrastive loss between two views of a trial, masked apart. val_every = 0 trains on the validation trials
    too and keeps the last weights; else those that are best on validation are kept. checkpoint: a file of weights that
    were trained elsewhere; the float network is then these, and its phase is left out (models/checkpoint.py).
    """

    checkpoint: str = ""

    steps: int | None = None
    batch: int | None = None
    lr: float | None = None
    weight_decay: float | None = None
    warmup: float = 0.3
    mask_bins: float | None = None
    mask_channels: float | None = None
    mask_entries: float | None = None
    thin: float | None = None
    contrast: float | None = None
    val_every: int | None = None


@dataclass(frozen=True)
class QatConfig:
    """Quantization-aware training, and the float control of the same steps. surrogate: share of float surrogates."""

    steps: int = 300
    lr: float | None = None
    warmup: float = 0.05
    surrogate: float = 0.9
    calibration_trials: int = 64


@dataclass(frozen=True)
class QuantizeConfig:
    """Everything that decides a run's network. seed: splits, initial weights, masks, synthetic data."""

    seed: int = 0
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    qat: QatConfig = field(default_factory=QatConfig)
    bits: Bits = field(default_factory=Bits)
    poyo: PoyoConfig | None = None


@dataclass(frozen=True)
class Recipe:
    """The choices that a kind of data decides: many trials of a synthetic system, or a short recording."""

    steps: int
    batch_bins: int  # a batch holds about so many bins, whatever the length of a trial
    lr: float
    weight_decay: float
    dropout: float
    mask_bins: float
    mask_channels: float
    mask_entries: float
    thin: float
    val_every: int
    qat_lr: float


SYNTHETIC = Recipe(1000, 1600, 5e-3, 1e-4, 0.0, 0.1, 0.1, 0.1, 0.0, 50, 5e-4)
TOKENS = Recipe(800, 0, 2e-3, 1e-2, 0.2, 0.0, 0.0, 0.0, 0.0, 100, 5e-4)  # of a POYO
RECORDING = Recipe(600, 450, 5e-4, 1.0, 0.3, 0.1, 0.0, 0.0, 0.25, 0, 1e-4)
C = TypeVar("C", ModelConfig, PoyoConfig, TrainConfig, QatConfig)


LEAST_BATCH = 8  # trials
WINDOWS = 16  # in a batch of a POYO
POYO = "poyo"
KINDS = ("ndt", "stndt", POYO)
CONTRAST = 0.01  # of an STNDT
THIN = 0.25  # where a channel's counts reach its own rate: what the network sees must then be trained, too


def of_checkpoint(model: ModelConfig, checkpoint: Checkpoint) -> ModelConfig:
    """The model that a checkpoint is. BadInput where another was asked for, or where nothing says what a bin sees."""
    fixed = {**checkpoint.model, **checkpoint.settings}
    # What a bin sees is in no weights: it may be asked to see all.
    fixed |= {name: ALL for name in ("back", "ahead") if name in fixed and getattr(model, name) == ALL}
    for name, found in fixed.items():
        asked = getattr(model, name)
        if asked not in (getattr(ModelConfig(), name), found):
            raise BadInput(f"model.{name} is {asked}, but checkpoint {checkpoint.path} has {found}: leave it out")
    if model.causal is None and model.window is None and "causal" not in checkpoint.settings:
        raise BadInput(
            f"checkpoint {checkpoint.path} does not say what a bin sees: add model.causal=false for whole windows, or "
            "model.window=BINS, its own bin included"
        )
    return replace(model, **fixed)


def geometry(model: ModelConfig, bins: int, channels: int) -> ModelConfig:
    """The model with what follows from its kind written out. BadInput for a kind that is not known."""
    if model.kind not in KINDS:
        raise BadInput(f"model.kind must be one of {', '.join(KINDS)}, got {model.kind!r}")
    spatial = model.kind == "stndt"
    model = _fill(model, causal=not spatial, identity=spatial, back=ALL, ahead=ALL)
    heads = max(model.heads, 1)  # fewer are refused, as heads
    columns = -(-channels * max(1, model.lookup) // heads) * heads  # of every channel, up to a multiple of the heads
    window = bins if model.max_bins is None else model.max_bins
    model = _fill(
        model,
        d_model=columns if model.identity or model.lookup else 64,
        window=32 if model.causal else window,
    )
    return _fill(model, spatial_heads=(1 if (model.window or 1) % 2 else 2) if spatial else 0)


def resolve(config: QuantizeConfig, bins: int, channels: int) -> QuantizeConfig:
    """The config with the recipe written out, so that a run can be read and repeated. bins: of the longest trial."""
    if config.poyo is not None:
        raise BadInput("poyo.* describes a poyo: give model.kind=poyo, or leave it out")
    model = geometry(config.model, bins, channels)
    recipe = SYNTHETIC if config.data.source in BUILT_IN else RECORDING
    return replace(
        config,
        model=_fill(model, dropout=recipe.dropout),
        train=_fill(
            config.train,
            batch=max(LEAST_BATCH, recipe.batch_bins // bins),
            contrast=CONTRAST if model.kind == "stndt" else 0.0,
            **{key: getattr(recipe, key) for key in _keys(TrainConfig)}
            | {"thin": THIN if model.identity else recipe.thin},
        ),
        qat=_fill(config.qat, lr=recipe.qat_lr),
    )


def resolve_poyo(config: QuantizeConfig) -> QuantizeConfig:
    """The same of a POYO. BadInput for options that it does not have: they would change nothing."""
    if config.model != ModelConfig(POYO):
        raise BadInput("model.* describes an NDT: of a poyo give only model.kind, and its geometry as poyo.*")
    for name in ("mask_bins", "mask_channels", "mask_entries", "thin", "contrast"):
        if getattr(config.train, name):
            raise BadInput(f"train.{name} is of an NDT: a poyo hears a random share of the units, poyo.least_units")
    if config.bits.per_output:
        raise BadInput("bits.per_output is of an NDT: a poyo's Linears have one weight scale each")
    return replace(
        config,
        data=replace(config.data, held_out=0.0),  # every unit is heard, and velocity is what is scored
        poyo=_fill(config.poyo or PoyoConfig(), dropout=TOKENS.dropout),
        train=_fill(
            config.train, batch=WINDOWS, contrast=0.0, **{key: getattr(TOKENS, key) for key in _keys(TrainConfig)}
        ),
        qat=_fill(config.qat, lr=TOKENS.qat_lr),
    )


def _keys(cls: type) -> list[str]:
    known = {item.name for item in fields(Recipe)}
    return [item.name for item in fields(cls) if item.name in known]


def _fill(config: C, **chosen: Any) -> C:
    """`config` with None replaced by what the recipe chose."""
    return replace(config, **{key: value for key, value in chosen.items() if getattr(config, key) is None})


def check_seed(seed: int) -> None:
    """BadInput for a seed that numpy or torch would not take."""
    if not 0 <= seed < 2**31:
        raise BadInput(f"seed must be 0 to {2**31 - 1}, got {seed}")


def check(config: QuantizeConfig) -> None:
    """BadInput for a number that no training can use; a resolved config."""
    train, qat = config.train, config.qat
    check_least("train.steps", train.steps)
    check_least("train.batch", train.batch)
    check_least("train.val_every", train.val_every, 0)
    check_least("qat.steps", qat.steps)
    check_least("qat.calibration_trials", qat.calibration_trials)
    for name, rate in (("train.lr", train.lr), ("qat.lr", qat.lr)):
        check_rate(name, rate)
    if train.weight_decay is None or not 0 <= train.weight_decay < 100:
        raise BadInput(f"train.weight_decay must be 0 to below 100, got {train.weight_decay}")
    names = ("warmup", "mask_bins", "mask_channels", "mask_entries")
    shares = {f"train.{key}": getattr(train, key) for key in names}
    for name, share in (shares | {"qat.warmup": qat.warmup, "qat.surrogate": qat.surrogate}).items():
        if not 0 <= share <= 1:
            raise BadInput(f"{name} must be a share of 0 to 1, got {share}")
    if train.contrast is None or not 0 <= train.contrast < 100:
        raise BadInput(f"train.contrast must be 0 to below 100, got {train.contrast}")
    if train.thin is None or not 0 <= train.thin < 1:
        raise BadInput(f"train.thin must be a share of 0 to below 1, got {train.thin}")


def check_rate(name: str, rate: float | None) -> None:
    """BadInput for a learning rate that trains nothing."""
    if not rate or not 0 < rate < 1:
        raise BadInput(f"{name} must be positive and below 1, got {rate}")


def check_least(name: str, value: int | None, least: int = 1) -> None:
    """BadInput for a number below the least."""
    if value is None or value < least:
        raise BadInput(f"{name} must be at least {least}, got {value}")
