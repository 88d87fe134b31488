"""Checkpoints of torch_brain's POYO: a network of its names, written anew here, against ours; what is refused."""

from __future__ import annotations

import math
import os
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
from edgendt.models.checkpoint import read as read_ndt  # noqa: E402
from edgendt.models.poyo import POYOConfig, Tokens  # noqa: E402
from edgendt.models.poyo_checkpoint import read, turns  # noqa: E402
from edgendt.program import Program  # noqa: E402
from edgendt.qat.recipe import QuantizeConfig  # noqa: E402
from edgendt.quantize import quantize  # noqa: E402

D, HEAD, LATENTS, DEPTH, UNITS = 12, 8, 3, 2, 30  # units of the Lorenz data
STEP_MS, WINDOW_MS = 100, 1000
TURN = 1 << 16
SPEEDS = [9 * TURN + 40, 3 * TURN - 700, 250, 0]  # phases per ms; the first two beyond half a turn
QUICK = ["data.conditions=8", "train.steps=3", "qat.steps=2", "qat.calibration_trials=4"]


def rotated(x: Tensor, seconds: Tensor, omega: Tensor) -> Tensor:
    """x [batch, heads, n, HEAD], seconds [batch or 1, n]: neighbours as points in the plane, turned."""
    angle = (seconds[:, None, :, None] * omega).to(x.dtype)
    point = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(point * torch.polar(torch.ones_like(angle), angle)).flatten(-2)


def attend(q: Tensor, k: Tensor, v: Tensor, at: Tensor, of: Tensor, omega: Tensor, values: bool) -> Tensor:
    """q [batch, n, inner], k, v [batch, m, inner] at and of times in seconds."""
    q, k, v = (part.unflatten(2, (-1, HEAD)).transpose(1, 2) for part in (q, k, v))
    v = rotated(v, of, omega) if values else v
    scores = rotated(q, at, omega) @ rotated(k, of, omega).transpose(-1, -2) / math.sqrt(HEAD)
    out = scores.softmax(-1) @ v
    return (rotated(out, -at, omega) if values else out).transpose(1, 2).flatten(2)


class Cross(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.norm_context = nn.LayerNorm(D), nn.LayerNorm(D)
        self.to_q, self.to_kv = nn.Linear(D, 2 * HEAD, bias=False), nn.Linear(D, 4 * HEAD, bias=False)
        self.to_out = nn.Linear(2 * HEAD, D)

    def forward(self, x: Tensor, context: Tensor, at: Tensor, of: Tensor, omega: Tensor, values: bool) -> Tensor:
        k, v = self.to_kv(self.norm_context(context)).chunk(2, dim=-1)
        return self.to_out(attend(self.to_q(self.norm(x)), k, v, at, of, omega, values))


class Self(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.to_qkv = nn.LayerNorm(D), nn.Linear(D, 9 * HEAD, bias=False)
        self.to_out = nn.Linear(3 * HEAD, D)

    def forward(self, x: Tensor, at: Tensor, omega: Tensor) -> Tensor:
        q, k, v = self.to_qkv(self.norm(x)).chunk(3, dim=-1)
        return self.to_out(attend(q, k, v, at, at, omega, True))


class Gated(nn.Module):
    """A feed-forward network under `net`, its gates behind its values."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(D, 8 * D), nn.Identity(), nn.Identity(), nn.Linear(4 * D, D))

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.net[0](x).chunk(2, dim=-1)
        return self.net[3](value * nn.functional.gelu(gate))


def feed_forward() -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(D), Gated())


class Public(nn.Module):
    """A POYO with the names of the public code's modules; rows 0 of units and sessions stand for no name."""

    def __init__(self, units: int = UNITS, sessions: int = 1) -> None:
        super().__init__()
        self.unit_emb, self.session_emb = nn.Embedding(units + 1, D), nn.Embedding(sessions + 1, D)
        self.token_type_emb, self.latent_emb = nn.Embedding(4, D), nn.Embedding(LATENTS, D)
        self.rotary_emb = nn.Module()
        self.rotary_emb.register_buffer("omega", torch.zeros(len(SPEEDS)))
        self.enc_atn, self.enc_ffn, self.dec_atn, self.dec_ffn = Cross(), feed_forward(), Cross(), feed_forward()
        self.proj_layers, self.proc_layers = None, nn.ModuleList()
        for _ in range(DEPTH):
            self.proc_layers.append(nn.Sequential(Self(), feed_forward()))
        self.readout = nn.Linear(D, 2)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.3)
        self.rotary_emb.omega.copy_(self.omega())

    def omega(self) -> Tensor:
        """Radians per second, in double precision."""
        return torch.tensor(SPEEDS, dtype=torch.float64) * 2000 * math.pi / TURN

    def forward(self, tokens: Tokens) -> Tensor:
        """One window, without padding; its units and sessions counted from 0."""
        omega, batch = self.omega(), len(tokens.unit)
        spikes = self.unit_emb(tokens.unit + 1) + self.token_type_emb(tokens.kind)
        ms = torch.arange(0, WINDOW_MS, STEP_MS) + STEP_MS / 2
        at = (ms.double() / 1000).repeat_interleave(LATENTS)[None]
        x = self.latent_emb.weight.repeat(len(ms), 1).expand(batch, -1, -1)
        x = x + self.enc_atn(x, spikes, at, tokens.ms.double() / 1000, omega, True)
        x = x + self.enc_ffn(x)
        for attention, widen in self.proc_layers:
            x = x + attention(x, at, omega)
            x = x + widen(x)
        y = self.session_emb(tokens.session + 1)[:, None].expand(-1, tokens.query_ms.shape[1], -1)
        y = y + self.dec_atn(y, x, tokens.query_ms.double() / 1000, at, omega, False)
        return self.readout(y + self.dec_ffn(y))


def saved(path: Path, network: nn.Module, trainer: bool = True, **more: Any) -> Path:
    """As the public trainer writes it, or the state dict alone."""
    state = dict(network.state_dict())
    for name in ("unit_emb", "session_emb"):
        words = [f"{name}/{i}" for i in range(len(state[f"{name}.weight"]) - 1)]
        state[f"{name}.vocab"] = OrderedDict(zip(["NA", *words], range(len(words) + 1), strict=True))
    hyper = {"model": {"sequence_length": WINDOW_MS / 1000, "latent_step": STEP_MS / 1000}}
    wrapped = {f"model.{key}": value for key, value in state.items()}
    torch.save({"state_dict": wrapped, "hyper_parameters": hyper, **more} if trainer else state, path)
    return path


@torch.no_grad()
def test_a_checkpoint_is_the_same_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    public = Public(UNITS, 2).eval()
    found = read(saved(tmp_path / "poyo.ckpt", public))
    assert found.model["turns"] == (40, 700, 250, 0)  # the second the other way
    shape = {"dim": D, "depth": DEPTH, "latents": LATENTS, "cross_heads": 2, "self_heads": 3, "head_size": HEAD}
    assert shape.items() <= found.model.items()
    ours, new = found.network(POYOConfig(UNITS, 2, **found.model))
    assert not new
    n = 70
    tokens = Tokens(
        torch.randint(UNITS, (3, n)),
        torch.randint(3, (3, n)),
        torch.randint(WINDOW_MS, (3, n)),
        torch.full((3,), n),
        torch.tensor([0, 1, 1]),
        torch.randint(WINDOW_MS, (3, 9)),
    )
    theirs = public.double()(tokens)
    assert float((ours.double().eval()(tokens) - theirs).abs().max()) < 1e-9


def test_turns_are_whole_phases_per_ms() -> None:
    published = 2 * math.pi / torch.logspace(math.log10(1e-4), math.log10(4.0), 16, dtype=torch.float64)
    steps, backward = turns(published)
    exact = published / (2000 * math.pi) * TURN
    signed = torch.tensor([-step if back else step for step, back in zip(steps, backward, strict=True)])
    off = (exact - signed + TURN / 2) % TURN - TURN / 2
    assert off.abs().max() <= 0.5 and all(0 <= step <= TURN // 2 for step in steps) and any(backward)


@pytest.mark.parametrize("trainer", [True, False])
def test_quantize_starts_from_it(trainer: bool, tmp_path: Path) -> None:
    torch.manual_seed(1)
    path = saved(tmp_path / "poyo.ckpt", Public(), trainer)
    options = QUICK if trainer else [*QUICK, f"poyo.step_ms={STEP_MS}"]
    config = load_config(QuantizeConfig, None, options, {"train.checkpoint": str(path), "model.kind": "poyo"})
    result = quantize(config, tmp_path, "mine", quiet=True)
    assert "float" in result["metrics"]
    stage = Run.open("mine", tmp_path).stage("quantize")
    kept = torch.load(stage / "float.pt", weights_only=True)
    asked = read(path).weights["write.f2.weight"]
    assert torch.equal(kept["weights"]["write.f2.weight"], asked) and kept["config"]["turns"] == (40, 700, 250, 0)
    assert Program.load(stage / "program.edt").node("embed").op.rows == UNITS


def test_of_a_new_session_its_rows_alone_are_trained(tmp_path: Path) -> None:
    torch.manual_seed(2)
    path = saved(tmp_path / "poyo.ckpt", Public(UNITS + 7, 3))
    config = load_config(QuantizeConfig, None, QUICK, {"train.checkpoint": str(path), "model.kind": "poyo"})
    quantize(config, tmp_path, "mine", quiet=True)
    kept = torch.load(Run.open("mine", tmp_path).stage("quantize") / "float.pt", weights_only=True)["weights"]
    known = read(path).weights
    assert len(kept["unit.weight"]) == UNITS and len(kept["session.weight"]) == 1
    assert all(torch.equal(kept[name], known[name]) for name in kept if name not in ("unit.weight", "session.weight"))
    assert not torch.equal(kept["session.weight"], known["session.weight"].mean(0, keepdim=True))  # trained from there


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state.pop("dec_atn.to_out.bias"), "misses dec_atn.to_out.bias"),
        (lambda state: state.update({"task_emb.weight": torch.zeros(3)}), "has unknown task_emb.weight"),
        (
            lambda state: state.update({"proc_layers.1.0.to_qkv.weight": torch.zeros(9, D)}),
            r"proc_layers.1.0.to_qkv.weight \[9, 12\] instead of \[72, 12\]",
        ),
        (lambda state: state.update({"unit_emb.weight": "a word"}), "holds no state dict"),
        (lambda state: state.pop("unit_emb.weight"), "is no POYO"),
        (lambda state: state.pop("rotary_emb.omega"), "misses rotary_emb.omega"),
    ],
)
def test_other_layouts_are_named(change: Any, said: str, tmp_path: Path) -> None:
    state = Public().state_dict()
    change(state)
    torch.save(dict(state), tmp_path / "other.ckpt")
    with pytest.raises(BadInput, match=said):
        read(tmp_path / "other.ckpt")


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.mark}",)


def test_a_hostile_file_runs_nothing(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="could run code"):
        read(saved(tmp_path / "evil.ckpt", Public(), callbacks=Hostile(tmp_path / "ran")))
    assert not (tmp_path / "ran").exists()


def test_options_and_data_that_contradict_it_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "poyo.ckpt", Public())
    with pytest.raises(BadInput, match=r"is a POYO: add model\.kind=poyo"):
        read_ndt(path)
    config = load_config(QuantizeConfig, None, ["poyo.depth=9"], {"train.checkpoint": str(path), "model.kind": "poyo"})
    with pytest.raises(BadInput, match=r"poyo\.depth is 9, but the checkpoint has 2: leave it out"):
        quantize(config, tmp_path, "mine", quiet=True)
    with pytest.raises(BadInput, match="knows 30 units of 1 sessions, the data are 50 of 2"):
        read(path).network(POYOConfig(50, 2))
