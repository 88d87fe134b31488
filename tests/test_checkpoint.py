"""Checkpoints of other code: torch's own encoder with the public key names against our network; what is refused."""

from __future__ import annotations

import math
import os
import pickle
import sys
import types
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
from needs import needs_package

torch = needs_package("torch")
from torch import Tensor, nn  # noqa: E402

from edgendt.artifact import Run  # noqa: E402
from edgendt.config import load_config  # noqa: E402
from edgendt.errors import BadInput  # noqa: E402
from edgendt.models.checkpoint import read  # noqa: E402
from edgendt.models.ndt import NDT, NDTConfig  # noqa: E402
from edgendt.qat.recipe import QuantizeConfig  # noqa: E402
from edgendt.quantize import quantize  # noqa: E402

CHANNELS, D, LAYERS, FFN, BINS = 30, 12, 2, 20, 50  # channels and bins of the Lorenz data
SAID = {"NUM_HEADS": 2, "PRE_NORM": True, "ACTIVATION": "relu", "LOGRATE": True, "CONTEXT_FORWARD": 0}


class Public(nn.Module):
    """An NDT of torch's own encoder layers, with the names of the public code's modules."""

    def __init__(self, embedder: bool = True, learned: bool = True) -> None:
        super().__init__()
        d = D if embedder else CHANNELS
        self.scale = math.sqrt(d)
        self.embedder = nn.Linear(CHANNELS, d) if embedder else nn.Identity()
        self.pos_encoder = nn.Module()
        if learned:
            self.pos_encoder.register_buffer("pe", torch.arange(BINS)[:, None])
            self.pos_encoder.pos_embedding = nn.Embedding(BINS, d)
        else:
            self.pos_encoder.register_buffer("pe", torch.randn(BINS, 1, d))
        layer = nn.TransformerEncoderLayer(d, 2, FFN, dropout=0.0, norm_first=True)
        self.transformer_encoder = nn.TransformerEncoder(layer, LAYERS, nn.LayerNorm(d), enable_nested_tensor=False)
        self.decoder = nn.Sequential(nn.Linear(d, CHANNELS))
        for parameter in self.parameters():  # LayerNorms and copied layers too
            nn.init.normal_(parameter, std=0.3)

    def forward(self, counts: Tensor, seen: Tensor) -> Tensor:
        """counts [batch, bins, channels], seen [bins, bins] -> log-rates."""
        learned = hasattr(self.pos_encoder, "pos_embedding")
        rows = self.pos_encoder.pos_embedding(self.pos_encoder.pe) if learned else self.pos_encoder.pe
        h = self.embedder(counts.transpose(0, 1)) * self.scale + rows
        out: Tensor = self.decoder(self.transformer_encoder(h, mask=~seen)).transpose(0, 1)
        return out


def sees(ahead: int, back: int) -> Tensor:
    """[bins, bins]: the keys of each query; a negative number is all."""
    before = torch.arange(BINS)[:, None] - torch.arange(BINS)
    return (before <= back if back >= 0 else before > -BINS) & (-before <= ahead if ahead >= 0 else before < BINS)


def saved(path: Path, network: nn.Module, **said: Any) -> Path:
    torch.save({"state_dict": network.state_dict(), "config": {"MODEL": SAID | said}}, path)
    return path


@pytest.mark.parametrize("learned", [True, False], ids=["learned", "fixed"])
@pytest.mark.parametrize("embedder", [True, False], ids=["linear", "identity"])
@pytest.mark.parametrize("window", [BINS, 7])
def test_a_checkpoint_is_the_same_network(tmp_path: Path, embedder: bool, learned: bool, window: int) -> None:
    torch.manual_seed(1)
    public = Public(embedder, learned).eval()
    found = read(saved(tmp_path / "ndt.pth", public, CONTEXT_BACKWARD=window - 1))
    held_in = list(range(0, CHANNELS, 2))
    weights = found.of_inputs(held_in, CHANNELS)
    assert found.settings == {"heads": 2, "causal": True, "window": window}
    geometry = {name: found.model[name] for name in ("d_model", "layers", "ffn", "max_bins", "position")}
    identity = tuple(held_in) if found.model["identity"] else ()
    ours = NDT(NDTConfig(len(held_in), CHANNELS, heads=2, window=window, identity=identity, **geometry))
    ours.load_state_dict(weights)
    counts = torch.poisson(torch.full((3, BINS, CHANNELS), 1.0))
    counts[:, :, 1::2] = 0  # held out: fed as zeros where the checkpoint was trained
    with torch.no_grad():
        theirs = public.double()(counts.double(), sees(0, window - 1))
        assert float((ours.double()(counts[:, :, held_in].double()) - theirs).abs().max()) < 1e-9


@pytest.mark.parametrize(("ahead", "back"), [(4, 8), (-1, 3), (2, -1)])
def test_one_that_sees_ahead_is_the_same_network(ahead: int, back: int, tmp_path: Path) -> None:
    torch.manual_seed(2)
    public = Public().eval()
    found = read(saved(tmp_path / "ndt.pth", public, CONTEXT_FORWARD=ahead, CONTEXT_BACKWARD=back))
    assert found.settings == {"heads": 2, "causal": False, "back": back, "ahead": ahead}
    geometry = {name: found.model[name] for name in ("d_model", "layers", "ffn", "max_bins", "position")}
    sight = {name: found.settings[name] for name in ("causal", "back", "ahead")}
    ours = NDT(NDTConfig(CHANNELS, CHANNELS, heads=2, window=BINS, **geometry, **sight))
    ours.load_state_dict(found.of_inputs(range(CHANNELS), CHANNELS))
    counts = torch.poisson(torch.full((3, BINS, CHANNELS), 1.0)).double()
    with torch.no_grad():
        theirs = public.double()(counts, sees(ahead, back))
        assert float((ours.double()(counts) - theirs).abs().max()) < 1e-9


def test_quantize_starts_from_it(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = saved(tmp_path / "ndt.pth", Public(), CONTEXT_BACKWARD=9)
    options = ["data.conditions=4", "qat.steps=4"]
    config = load_config(QuantizeConfig, None, options, {"train.checkpoint": str(path)})
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
            lambda state: state | {"transformer_encoder.layers.0.linear2.weight": torch.zeros(5, 5)},
            r"layers.0.linear2.weight \[5, 5\] instead of \[12, 20\]",
        ),
        (lambda state: state | {"embedder.0.weight": torch.zeros(9, 2)}, "a row per count"),
        (lambda _: {"src_decoder.0.weight": torch.zeros(3)}, "an STNDT"),
        (lambda _: {"unit_emb.weight": torch.zeros(3)}, "a POYO"),
        (lambda _: {"fc.weight": torch.zeros(3)}, "no network of a known layout"),
        (lambda _: {}, "holds no state dict"),
    ],
)
def test_other_layouts_are_named(tmp_path: Path, change: Any, said: str) -> None:
    torch.save(change(Public().state_dict()), tmp_path / "other.pth")
    with pytest.raises(BadInput, match=said):
        read(tmp_path / "other.pth")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"PRE_NORM": False}, "LayerNorm behind the sum"),
        ({"ACTIVATION": "gelu"}, "another activation than ReLU"),
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
