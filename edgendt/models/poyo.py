"""POYO: single spikes to velocity, any units of any session in one network (Azabou et al. 2023); float, in torch.

A Perceiver: spike tokens are read into a few latents per time step, the latents attend to each other, and velocity is
read out of them at any time asked for. Time enters through rotation alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from edgendt.data.tokens import KINDS, Windows
from edgendt.models.rotary import Rotary
from edgendt.ops.rotary import TURN

WIDEN = 4  # hidden channels of a feed-forward layer per channel


@dataclass(frozen=True)
class POYOConfig:
    """Geometry. units, sessions: rows of the tables; latents: per step of step_ms; depth: self-attention blocks.

    head_size channels per head, whatever dim is. Of the pairs of channels of a head, half rotate with time, with
    periods from shortest_ms to longest_ms; the others stand still. turns: instead of these, the `steps` of all pairs.
    """

    units: int
    sessions: int = 1
    outputs: int = 2
    dim: int = 64
    depth: int = 2
    latents: int = 8
    step_ms: int = 125
    window_ms: int = 1000
    cross_heads: int = 2
    self_heads: int = 4
    head_size: int = 64
    shortest_ms: float = 10.0
    longest_ms: float = 4000.0
    dropout: float = 0.0
    turns: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        numbers = "units sessions outputs dim depth latents step_ms window_ms cross_heads self_heads head_size"
        for name in numbers.split():
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.head_size % 2:
            raise ValueError(f"head_size must be even, for channels rotate in pairs, got {self.head_size}")
        if self.window_ms % self.step_ms:
            raise ValueError(f"step_ms must divide window_ms {self.window_ms}, got {self.step_ms}")
        if not 2 <= self.shortest_ms <= self.longest_ms <= TURN:
            got = f"{self.shortest_ms} and {self.longest_ms}"
            raise ValueError(f"periods must be 2 <= shortest_ms <= longest_ms <= {TURN}, got {got}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be 0 to below 1, got {self.dropout}")
        if self.turns and len(self.turns) != self.head_size // 2:
            raise ValueError(f"turns must be one per pair of a head, {self.head_size // 2}, got {len(self.turns)}")

    @property
    def steps(self) -> tuple[int, ...]:
        """Phase advance per ms of each pair of channels of a head, in 2**-16 turns; 0 stands still. [head_size / 2]

        Whole numbers, so that the float network turns by the very angles of the integer one.
        """
        if self.turns:
            return self.turns
        pairs = self.head_size // 2
        turning = (pairs + 1) // 2
        ratio = (self.longest_ms / self.shortest_ms) ** (1 / max(1, turning - 1))
        periods = [self.shortest_ms * ratio**i for i in range(turning)]
        return (*(round(TURN / period) for period in periods), *[0] * (pairs - turning))

    @property
    def latent_ms(self) -> tuple[int, ...]:
        """Time of every latent, the middle of its step. [latents of a window]"""
        starts = range(0, self.window_ms, self.step_ms)
        return tuple(start + self.step_ms // 2 for start in starts for _ in range(self.latents))


PRESETS: dict[str, dict[str, Any]] = {
    "compact": {"head_size": 32},  # an ULX3S-85F holds it
    "small": {},
    "1.3m": {"depth": 6, "latents": 16, "self_heads": 8},  # the published size; tables of units come on top
}


def preset(name: str, units: int, sessions: int = 1, **changes: Any) -> POYOConfig:
    """A named geometry. Raises ValueError for a name that is none."""
    if name not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)}, got {name!r}")
    return POYOConfig(units, sessions, **PRESETS[name] | changes)


class Tokens(NamedTuple):
    """Padded windows as the network reads them, int64; see data.tokens.Windows."""

    unit: Tensor
    kind: Tensor
    ms: Tensor
    length: Tensor
    session: Tensor
    query_ms: Tensor

    @classmethod
    def of(cls, windows: Windows) -> Tokens:
        return cls(*(torch.from_numpy(getattr(windows, name)) for name in cls._fields))


class Attention(nn.Module):
    """Softmax attention whose scores see times through their difference alone, and with `turned` the values too."""

    def __init__(self, config: POYOConfig, heads: int, turned: bool) -> None:
        super().__init__()
        inner = heads * config.head_size
        self.heads, self.turned = heads, turned
        self.q, self.k, self.v = (nn.Linear(config.dim, inner, bias=False) for _ in range(3))
        self.o = nn.Linear(inner, config.dim)
        self.turn = Rotary(config.steps)

    def forward(self, x: Tensor, context: Tensor, at: Tensor, of: Tensor, seen: Tensor | None) -> Tensor:
        """x [batch, n, dim] at times `at` [..., n] reads context [batch, m, dim] of times `of` -> [batch, n, dim].

        seen: [batch, 1, 1, m] bool, or None for all.
        """
        q, k, v = self.turn(self.q(x), at), self.turn(self.k(context), of), self.v(context)
        v = self.turn(v, of) if self.turned else v
        q, k, v = (self.split(part) for part in (q, k, v))
        a = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen).transpose(1, 2).flatten(2)
        y: Tensor = self.o(self.turn(a, -at) if self.turned else a)
        return y

    def split(self, x: Tensor) -> Tensor:
        """[batch, n, inner] -> [batch, heads, n, head_size]; head h owns columns h·head_size onwards."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


class Block(nn.Module):
    """Pre-LN: x + attention(ln1 x, lnc context), then x + f2(f1 · gelu(gate)) of ln2 x; without `cross`, x reads x."""

    def __init__(self, config: POYOConfig, heads: int, cross: bool, turned: bool = True) -> None:
        super().__init__()
        d = config.dim
        self.ln1, self.ln2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.lnc = nn.LayerNorm(d) if cross else None
        self.attention = Attention(config, heads, turned)
        self.f1, self.gate, self.f2 = nn.Linear(d, WIDEN * d), nn.Linear(d, WIDEN * d), nn.Linear(WIDEN * d, d)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, x: Tensor, at: Tensor, context: Tensor | None = None, of: Tensor | None = None, seen: Tensor | None = None
    ) -> Tensor:
        """x [batch, n, dim] at times `at`; context [batch, m, dim] of times `of`, x itself by default."""
        y = self.ln1(x)
        read = y if self.lnc is None else self.lnc(context)
        x = x + self.dropout(self.attention(y, read, at, at if of is None else of, seen))
        y = self.ln2(x)
        hidden = self.f1(y) * nn.functional.gelu(self.gate(y))
        return x + self.dropout(self.f2(self.dropout(hidden)))


class POYO(nn.Module):
    """Windows of spike tokens to velocity at the times asked for."""

    latent_ms: Tensor

    def __init__(self, config: POYOConfig) -> None:
        super().__init__()
        self.config = config
        d = config.dim
        self.unit, self.kind = nn.Embedding(config.units, d), nn.Embedding(KINDS, d)
        self.session = nn.Embedding(config.sessions, d)
        self.latents = nn.Parameter(torch.empty(config.latents, d))
        for table in (self.unit.weight, self.kind.weight, self.session.weight, self.latents):
            nn.init.normal_(table, std=0.02)
        self.read = Block(config, config.cross_heads, cross=True)
        self.layers = nn.ModuleList([Block(config, config.self_heads, cross=False) for _ in range(config.depth)])
        self.write = Block(config, config.cross_heads, cross=True, turned=False)
        self.readout = nn.Linear(d, config.outputs)
        self.register_buffer("latent_ms", torch.tensor(config.latent_ms), persistent=False)

    def forward(self, tokens: Tokens) -> Tensor:
        """-> [batch, queries, outputs]; what stands at padded queries means nothing."""
        batch = len(tokens.unit)
        spikes = self.unit(tokens.unit) + self.kind(tokens.kind)
        seen = torch.arange(spikes.shape[1], device=spikes.device) < tokens.length[:, None]
        at = self.latent_ms
        x = self.latents.repeat(len(self.latent_ms) // len(self.latents), 1).expand(batch, -1, -1)
        x = self.read(x, at, spikes, tokens.ms, seen[:, None, None])
        for layer in self.layers:
            x = layer(x, at)
        y = self.session(tokens.session)[:, None].expand(-1, tokens.query_ms.shape[1], -1)
        out: Tensor = self.readout(self.write(y, tokens.query_ms, x, at))
        return out


def adapted(net: POYO, units: int) -> POYO:
    """A copy for one new session of `units` units: only its rows of units and its session are left to train.

    They start at the mean of the rows that the network knows, so that nothing else has to move.
    """
    new = POYO(replace(net.config, units=units, sessions=1))
    tables = {"unit.weight": net.unit.weight, "session.weight": net.session.weight}
    state = {name: value for name, value in net.state_dict().items() if name not in tables}
    for name, rows in tables.items():
        fresh = new.state_dict()[name]
        state[name] = rows.detach().mean(0) + (fresh if name == "unit.weight" else 0 * fresh)
    new.load_state_dict(state)
    for name, parameter in new.named_parameters():
        parameter.requires_grad = name in tables
    return new


def weights(net: POYO) -> int:
    """Parameters that every session shares: all but the tables of units and sessions."""
    tables = len(net.unit.weight.flatten()) + len(net.session.weight.flatten())
    return sum(parameter.numel() for parameter in net.parameters()) - tables
