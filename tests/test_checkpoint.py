"""Checkpoints of other code: torch's own encoder with the public key names against our network; what is refused."""

from __future__ import annotations

import math
import os
import pickle
import sys
import types
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from needs import needs_package

torch = needs_package("torch")
from torch import Tensor, nn  # noqa: E402

from edgendt.artifact import Run  # noqa: E402
from edgendt.config import load_config  # noqa: E402
from edgendt.engine.compile import compile_program  # noqa: E402
from edgendt.engine.config import ENGINES  # noqa: E402
from edgendt.errors import BadInput  # noqa: E402
from edgendt.models.checkpoint import Checkpoint, read  # noqa: E402
from edgendt.models.ndt import NDT  # noqa: E402
from edgendt.program import Axis, Program  # noqa: E402
from edgendt.qat.job import geometry_of  # noqa: E402
from edgendt.qat.recipe import ModelConfig, QuantizeConfig, geometry, of_checkpoint  # noqa: E402
from edgendt.quantize import quantize  # noqa: E402

CHANNELS, D, LAYERS, FFN, BINS = 30, 12, 2, 20, 50  # channels and bins of the Lorenz data
MOST = 6  # counts with a row of their own
QUICK = ["data.conditions=4", "qat.steps=4"]
SAID = {"NUM_HEADS": 2, "PRE_NORM": True, "ACTIVATION": "relu", "LOGRATE": True, "CONTEXT_FORWARD": 0}


class Positions(nn.Module):
    """Rows for `bins` tokens, under the public names: learned, or the fixed ones of a buffer."""

    def __init__(self, bins: int, d: int, learned: bool) -> None:
        super().__init__()
        self.learned = learned
        self.register_buffer("pe", torch.arange(bins)[:, None] if learned else torch.randn(bins, 1, d))
        if learned:
            self.pos_embedding = nn.Embedding(bins, d)

    def forward(self, x: Tensor) -> Tensor:
        """x [tokens, batch, d]."""
        return x + (self.pos_embedding(self.pe) if self.learned else self.pe)


class Public(nn.Module):
    """An NDT of torch's own encoder layers, with the names of the public code's modules."""

    def __init__(
        self, embedder: str = "linear", learned: bool = True, post_norm: bool = False, activation: str = "relu"
    ) -> None:
        super().__init__()
        d = {"linear": D, "identity": CHANNELS, "rows": 2 * CHANNELS}[embedder]
        self.scale, self.rows = math.sqrt(d), embedder == "rows"
        self.embedder = nn.Linear(CHANNELS, d) if embedder == "linear" else nn.Identity()
        if self.rows:
            self.embedder = nn.Sequential(nn.Embedding(MOST + 2, 2), nn.Flatten(start_dim=-2))
        self.pos_encoder = Positions(BINS, d, learned)
        layer = nn.TransformerEncoderLayer(d, 2, FFN, 0.0, activation, norm_first=not post_norm)
        self.transformer_encoder = nn.TransformerEncoder(layer, LAYERS, nn.LayerNorm(d), enable_nested_tensor=False)
        self.decoder = nn.Sequential(nn.Linear(d, CHANNELS))
        for parameter in self.parameters():  # LayerNorms and copied layers too
            nn.init.normal_(parameter, std=0.3)

    def forward(self, counts: Tensor, seen: Tensor) -> Tensor:
        """counts [batch, bins, channels], seen [bins, bins] -> log-rates."""
        x = counts.transpose(0, 1)
        h = self.pos_encoder(self.embedder(x.long() if self.rows else x) * self.scale)
        out: Tensor = self.decoder(self.transformer_encoder(h, mask=~seen)).transpose(0, 1)
        return out


class PublicLayer(nn.TransformerEncoderLayer):
    """A layer of an STNDT: torch's own in time, torch's attention between channels of which the weights are used."""

    def __init__(self) -> None:
        super().__init__(CHANNELS, 2, FFN, dropout=0.0, norm_first=True)
        self.spatial_self_attn = nn.MultiheadAttention(BINS, 2)
        self.spatial_norm1 = nn.LayerNorm(BINS)
        self.ts_norm1, self.ts_norm2 = nn.LayerNorm(CHANNELS), nn.LayerNorm(CHANNELS)
        self.ts_linear1, self.ts_linear2 = nn.Linear(CHANNELS, FFN), nn.Linear(FFN, CHANNELS)

    def both(self, x: Tensor, courses: Tensor, mask: Tensor) -> Tensor:
        """x [bins, batch, channels], courses [channels, batch, bins] -> as x."""
        x, tokens = self(x, src_mask=mask), self.spatial_norm1(courses)
        _, weights = self.spatial_self_attn(tokens, tokens, tokens)  # [batch, channels, channels]
        x = x + torch.einsum("bij,tbj->tbi", weights, self.ts_norm1(x))
        return x + self.ts_linear2(torch.relu(self.ts_linear1(self.ts_norm2(x))))


class PublicSTNDT(nn.Module):
    """An STNDT with the names of the public code's modules, and what it has for training alone."""

    def __init__(self, embedder: bool = True, learned: bool = True) -> None:
        super().__init__()
        self.embedder, self.spatial_embedder = (
            nn.Sequential(nn.Linear(size, size)) if embedder else nn.Identity() for size in (CHANNELS, BINS)
        )
        self.src_pos_encoder = Positions(BINS, CHANNELS, learned)
        self.spatial_pos_encoder = Positions(CHANNELS, BINS, learned)
        self.projector = nn.Linear(CHANNELS, CHANNELS)
        self.transformer_encoder = nn.Module()
        self.transformer_encoder.layers = nn.ModuleList(PublicLayer() for _ in range(LAYERS))
        self.transformer_encoder.norm = nn.LayerNorm(CHANNELS)
        self.src_decoder = nn.Sequential(nn.Linear(CHANNELS, CHANNELS))
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.3)

    def forward(self, counts: Tensor, seen: Tensor) -> Tensor:
        """counts [batch, bins, channels], seen [bins, bins] -> log-rates."""
        courses = self.spatial_pos_encoder(self.spatial_embedder(counts.permute(2, 0, 1)) * math.sqrt(BINS))
        x = self.src_pos_encoder(self.embedder(counts.transpose(0, 1)) * math.sqrt(CHANNELS))
        for layer in self.transformer_encoder.layers:
            x, courses = (y := layer.both(x, courses, ~seen)), y.permute(2, 1, 0)
        out: Tensor = self.src_decoder(self.transformer_encoder.norm(x)).transpose(0, 1)
        return out


def sees(ahead: int, back: int) -> Tensor:
    """[bins, bins]: the keys of each query; a negative number is all."""
    before = torch.arange(BINS)[:, None] - torch.arange(BINS)
    return (before <= back if back >= 0 else before > -BINS) & (-before <= ahead if ahead >= 0 else before < BINS)


def saved(path: Path, network: nn.Module, **said: Any) -> Path:
    torch.save({"state_dict": network.state_dict(), "config": {"MODEL": SAID | said}}, path)
    return path


def differs(public: nn.Module, found: Checkpoint, held_in: list[int], seen: Tensor) -> float:
    """By how much our network of a checkpoint and the public one disagree, in double precision."""
    model = geometry(of_checkpoint(ModelConfig(), found), BINS, CHANNELS)
    ours = NDT(geometry_of(model, CHANNELS, held_in))
    ours.load_state_dict(found.of_inputs(held_in, CHANNELS))
    counts = torch.poisson(torch.full((3, BINS, CHANNELS), 1.0)).clamp(max=MOST).double()
    counts[:, :, [i for i in range(CHANNELS) if i not in held_in]] = 0  # as where the checkpoint was trained
    with torch.no_grad():
        theirs = public.double()(counts, seen)
        return float((ours.double()(counts[:, :, held_in]) - theirs).abs().max())


HALF, ALL = list(range(0, CHANNELS, 2)), list(range(CHANNELS))


@pytest.mark.parametrize("learned", [True, False], ids=["learned", "fixed"])
@pytest.mark.parametrize("embedder", ["linear", "identity", "rows"])
@pytest.mark.parametrize(("window", "post_norm"), [(BINS, False), (7, False), (7, True)])
def test_a_checkpoint_is_the_same_network(
    tmp_path: Path, embedder: str, learned: bool, window: int, post_norm: bool
) -> None:
    torch.manual_seed(1)
    public = Public(embedder, learned, post_norm).eval()
    found = read(saved(tmp_path / "ndt.pth", public, CONTEXT_BACKWARD=window - 1, PRE_NORM=not post_norm))
    said = {"heads": 2, "activation": "relu", "causal": True, "window": window, "post_norm": post_norm}
    assert found.settings == said
    assert differs(public, found, HALF, sees(0, window - 1)) < 1e-9


@pytest.mark.parametrize(("ahead", "back"), [(4, 8), (-1, 3), (2, -1)])
def test_one_that_sees_ahead_is_the_same_network(ahead: int, back: int, tmp_path: Path) -> None:
    torch.manual_seed(2)
    public = Public().eval()
    found = read(saved(tmp_path / "ndt.pth", public, CONTEXT_FORWARD=ahead, CONTEXT_BACKWARD=back))
    said = {"heads": 2, "activation": "relu", "causal": False, "back": back, "ahead": ahead, "post_norm": False}
    assert found.settings == said
    assert differs(public, found, ALL, sees(ahead, back)) < 1e-9


def test_one_with_gelu_is_the_same_network(tmp_path: Path) -> None:
    torch.manual_seed(4)
    public = Public(activation="gelu").eval()
    found = read(saved(tmp_path / "ndt.pth", public, CONTEXT_BACKWARD=6, ACTIVATION="gelu"))
    assert found.settings["activation"] == "gelu"
    assert differs(public, found, ALL, sees(0, 6)) < 1e-9


@pytest.mark.parametrize("learned", [True, False], ids=["learned", "fixed"])
@pytest.mark.parametrize("embedder", [True, False], ids=["linear", "identity"])
@pytest.mark.parametrize(("ahead", "back"), [(0, 6), (4, 8), (-1, -1)])
def test_an_stndt_is_the_same_network(embedder: bool, learned: bool, ahead: int, back: int, tmp_path: Path) -> None:
    torch.manual_seed(3)
    public = PublicSTNDT(embedder, learned).eval()
    found = read(saved(tmp_path / "stndt.pth", public, CONTEXT_FORWARD=ahead, CONTEXT_BACKWARD=back))
    assert (found.model["kind"], found.settings["spatial_heads"], found.settings["causal"]) == ("stndt", 2, False)
    assert differs(public, found, HALF, sees(ahead, back)) < 1e-9


def test_quantize_starts_from_rows_per_count_with_norms_behind_the_sums(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = saved(tmp_path / "ndt.pth", Public("rows", post_norm=True), CONTEXT_BACKWARD=9, PRE_NORM=False)
    quantize(load_config(QuantizeConfig, None, QUICK, {"train.checkpoint": str(path)}), tmp_path, "mine", quiet=True)
    stage = Run.open("mine", tmp_path).stage("quantize")
    program = Program.load(stage / "program.edt")
    assert program.node("steps").op.size == MOST * program.channels
    assert program.node("layer1.skip2").inputs == ("layer1.ln1",)
    rows = torch.load(stage / "float.pt", weights_only=True)["weights"]["embed.weight"]
    assert torch.equal(rows, read(path).weights["embed.weight"]) and len(rows) == MOST + 1


def test_quantize_starts_from_an_stndt(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = saved(tmp_path / "stndt.pth", PublicSTNDT(), FULL_CONTEXT=True)
    config = load_config(QuantizeConfig, None, QUICK, {"train.checkpoint": str(path)})
    told: list[str] = []
    quantize(config, tmp_path, "mine", quiet=True, warn=told.append)
    program = Program.load(Run.open("mine", tmp_path).stage("quantize") / "program.edt")
    assert program.bins == BINS and program.axis("course") == program.axis("courses") == Axis("channels", CHANNELS)
    assert told == [] and compile_program(program, ENGINES["window"])


def test_a_limited_context_is_opened_where_that_is_asked_for(tmp_path: Path) -> None:
    found = read(saved(tmp_path / "stndt.pth", PublicSTNDT(), CONTEXT_FORWARD=4, CONTEXT_BACKWARD=8))
    kept = geometry(of_checkpoint(ModelConfig(), found), BINS, CHANNELS)
    opened = geometry(of_checkpoint(ModelConfig(back=-1, ahead=-1), found), BINS, CHANNELS)
    assert (kept.back, kept.ahead) == (8, 4) and opened == replace(kept, back=-1, ahead=-1)
    with pytest.raises(BadInput, match=r"model.ahead is 9, but checkpoint .* has 4: leave it out"):
        of_checkpoint(ModelConfig(ahead=9), found)


@pytest.mark.parametrize(
    ("change", "setting", "said"),
    [
        (lambda state: state | {"embedder.0.weight": torch.zeros(9, 1)}, {}, "a row per count"),
        (lambda state: state, {"PRE_NORM": False}, "LayerNorm behind the sums"),
        (lambda state: state | {"spatial_norm.weight": torch.zeros(9)}, {}, "has unknown spatial_norm.weight"),
        (
            lambda state: state | {"spatial_pos_encoder.pe": torch.zeros(9, 1, BINS)},
            {},
            r"spatial_pos_encoder.pe \[9, 1, 50\] instead of \[30, 1, 50\]",
        ),
    ],
)
def test_an_stndt_that_cannot_be_held_is_refused(
    tmp_path: Path, change: Any, setting: dict[str, Any], said: str
) -> None:
    state = change(PublicSTNDT(embedder=False, learned=False).state_dict())
    torch.save({"state_dict": state, "config": {"MODEL": SAID | setting}}, tmp_path / "stndt.pth")
    with pytest.raises(BadInput, match=said):
        read(tmp_path / "stndt.pth")


def test_quantize_starts_from_it(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = saved(tmp_path / "ndt.pth", Public(), CONTEXT_BACKWARD=9)
    config = load_config(QuantizeConfig, None, QUICK, {"train.checkpoint": str(path)})
    quantize(config, tmp_path, "mine", quiet=True)
    stage = Run.open("mine", tmp_path).stage("quantize")
    kept = torch.load(stage / "float.pt", weights_only=True)
    assert (kept["config"]["window"], kept["config"]["d_model"], kept["config"]["heads"]) == (10, D, 2)
    asked = read(path).weights["layers.1.f2.weight"]
    assert torch.equal(kept["weights"]["layers.1.f2.weight"], asked)  # no float training
    assert not torch.equal(kept["control"]["layers.1.f2.weight"], asked)  # trained on, as the integer network is
    assert "ndt.pth" in (stage / "manifest.json").read_text()


def test_weights_alone_are_enough_once_the_options_say_what_a_bin_sees(tmp_path: Path) -> None:
    path = tmp_path / "state.pth"
    torch.save({f"module.{name}": value for name, value in Public().state_dict().items()}, path)
    config = load_config(QuantizeConfig, None, ["data.conditions=4", "qat.steps=2"], {"train.checkpoint": str(path)})
    with pytest.raises(BadInput, match="does not say what a bin sees"):
        quantize(config, tmp_path, "mine", quiet=True)
    config = load_config(
        QuantizeConfig,
        None,
        ["data.conditions=4", "qat.steps=2", "model.causal=false"],
        {"train.checkpoint": str(path)},
    )
    assert set(quantize(config, tmp_path, "mine", quiet=True)["metrics"]) == {"float", "control", "integer", "baseline"}


def _without(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if not name.endswith(("1.norm2.bias", "norm.bias"))}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_without, "misses transformer_encoder.layers.1.norm2.bias, transformer_encoder.norm.bias"),
        (lambda state: state | {"decoder.2.weight": torch.zeros(3)}, "has unknown decoder.2.weight"),
        (
            lambda state: _without(state) | {"decoder.2.weight": torch.zeros(3)},
            r"misses transformer_encoder.layers.1.norm2.bias, .*, and has unknown decoder.2.weight: it is no NDT",
        ),
        (
            lambda state: state | {"transformer_encoder.layers.0.linear2.weight": torch.zeros(5, 5)},
            r"layers.0.linear2.weight \[5, 5\] instead of \[12, 20\]",
        ),
        (lambda state: state | {"embedder.0.weight": torch.zeros(9, 2)}, "has unknown embedder.weight, embedder.bias"),
        (lambda _: {"unit_emb.weight": torch.zeros(3)}, "a POYO"),
        (lambda _: {"fc.weight": torch.zeros(3)}, "no network of a known layout"),
        (lambda _: {}, "holds no state dict"),
        (lambda state: {"config": {}, "weights": dict(state), "control": {}}, "is of a run, not of public code: give"),
    ],
)
def test_other_layouts_are_named(tmp_path: Path, change: Any, said: str) -> None:
    torch.save(change(Public().state_dict()), tmp_path / "other.pth")
    with pytest.raises(BadInput, match=said):
        read(tmp_path / "other.pth")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"ACTIVATION": "glu"}, "another activation than ReLU or GELU"),
        ({"LOGRATE": False}, "rates instead of log-rates"),
    ],
)
def test_networks_that_cannot_be_held_are_refused(tmp_path: Path, setting: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        read(saved(tmp_path / "ndt.pth", Public(), **setting))


def test_options_that_contradict_it_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "ndt.pth", Public(), CONTEXT_BACKWARD=9)
    config = load_config(QuantizeConfig, None, ["model.d_model=64"], {"train.checkpoint": str(path)})
    with pytest.raises(BadInput, match=r"model.d_model is 64, but checkpoint .* has 12: leave it out"):
        quantize(config, tmp_path, "mine", quiet=True)
    assert not (tmp_path / "mine").exists()


def test_another_recording_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "ndt.pth", Public(), CONTEXT_BACKWARD=9)
    with pytest.raises(BadInput, match="30 inputs and 30 outputs, the recording 20 held-in of 31 channels"):
        read(path).of_inputs(range(20), 31)


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("write", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value, 2))])
def test_a_hostile_pickle_runs_nothing(tmp_path: Path, write: Any) -> None:
    mark = tmp_path / "ran"
    write({"state_dict": Public().state_dict(), "config": Hostile(mark)}, tmp_path / "evil.pth")
    with pytest.raises(BadInput, match="could run code"):
        read(tmp_path / "evil.pth")
    assert not mark.exists()


def test_configurations_of_yacs_are_read_as_dicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = type("CfgNode", (dict,), {"__module__": "yacs.config"})
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "yacs", types.ModuleType("yacs"))
        module = types.ModuleType("yacs.config")
        module.CfgNode = node  # type: ignore[attr-defined]
        patched.setitem(sys.modules, "yacs.config", module)
        config = node(MODEL=node(SAID | {"CONTEXT_BACKWARD": 3}))
        config.__dict__["__immutable__"] = True
        torch.save({"state_dict": OrderedDict(Public().state_dict()), "config": config}, tmp_path / "ndt.pth")
    assert read(tmp_path / "ndt.pth").settings["window"] == 4


def test_a_missing_and_a_damaged_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="does not exist"):
        read(tmp_path / "none.pth")
    path = saved(tmp_path / "ndt.pth", Public())
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(BadInput, match=r"no file of torch.save"):
        read(path)
