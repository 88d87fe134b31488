"""The Neural Data Transformer as published (Ye & Pandarinath 2021), causal with a window or over whole windows; float.

With a spatial stream in each layer it is the STNDT (Le & Shlizerman 2022): edgendt/models/stndt.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgendt.models.rotary import Rotary
from edgendt.models.stndt import Courses, Spatial, trailing
from edgendt.ops.attention import ALL
from edgendt.ops.rotary import geometric

POSITIONS = ("learned", "sinusoidal", "rotary")
ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU}


@dataclass(frozen=True)
class NDTConfig:
    """Geometry. window: bins a query sees, its own included. max_bins: rows of the position table.

    causal = false: every bin sees the max_bins bins of a whole window, so window is max_bins; or `back` bins before it
    and `ahead` behind it, -1 for all. position: `learned`, a fixed `sinusoidal` table, or `rotary`, queries and keys
    turned by time, without a table: a causal network has no last bin, max_bins is None. identity: the column of
    d_model that each input channel's counts enter as they are; other columns start from 0. lookup: a count enters as a
    row of so many columns, of one table for all channels, the n-th block of columns where `identity` has n; `most`: the
    largest count with a row, larger ones take its. post_norm: LayerNorms behind the sums of a layer, not before its
    parts. spatial_heads: heads between channels, in every layer, whose tokens are time courses of the window; 0: none.
    courses: the column of each input channel, whose time course is a token of the first layer, rather than its input's;
    (): as in any layer. activation: of the feed-forward networks, `relu` or `gelu`.
    """

    channels: int
    outputs: int
    d_model: int = 64
    layers: int = 2
    heads: int = 2
    ffn: int = 128
    window: int = 32
    max_bins: int | None = 100
    dropout: float = 0.0
    causal: bool = True
    position: str = "learned"
    identity: tuple[int, ...] = ()
    spatial_heads: int = 0
    back: int = ALL
    ahead: int = ALL
    lookup: int = 0
    most: int = 0
    post_norm: bool = False
    courses: tuple[int, ...] = ()
    activation: str = "relu"

    def __post_init__(self) -> None:
        for name in ("channels", "outputs", "d_model", "layers", "heads", "ffn", "window"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.d_model % self.heads:
            raise ValueError(f"heads must divide d_model, got {self.heads} and {self.d_model}")
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {self.activation}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be 0 to below 1, got {self.dropout}")
        self._check_position()
        if not self.causal and self.window != self.max_bins:
            raise ValueError(f"window must be max_bins ({self.max_bins}) where causal is false, got {self.window}")
        if min(self.back, self.ahead) < ALL:
            raise ValueError(f"back and ahead must be at least 0, or {ALL} for all, got {self.back} and {self.ahead}")
        if self.causal and (self.back, self.ahead) != (ALL, ALL):
            raise ValueError("back and ahead must not be given where causal is true: window says how far a bin sees")
        self._check_columns()

    def _check_position(self) -> None:
        if self.position not in POSITIONS:
            raise ValueError(f"position must be one of {', '.join(POSITIONS)}, got {self.position}")
        endless = self.rotary and self.causal
        if not endless and (self.max_bins is None or self.max_bins < 1):
            raise ValueError(f"max_bins must be at least 1, got {self.max_bins}")
        if endless and self.max_bins is not None:
            raise ValueError(
                f"max_bins must not be given with rotary position, which has no last bin, got {self.max_bins}"
            )
        if self.rotary and self.d_model // self.heads % 2:
            raise ValueError(f"channels per head must be even with rotary position, got {self.d_model // self.heads}")

    def _check_columns(self) -> None:
        if self.identity and (len(self.identity) != self.channels or min(self.identity) < 0):
            raise ValueError(f"identity must give each of {self.channels} channels a column, got {self.identity}")
        if min(self.lookup, self.most) < 0 or bool(self.lookup) != bool(self.most):
            raise ValueError(f"lookup and most must be at least 1, or 0 both, got {self.lookup} and {self.most}")
        if self.lookup and not self.identity:
            raise ValueError("identity must say which columns are whose where a channel has a row per count")
        if self.identity and (last := (max(self.identity) + 1) * max(1, self.lookup) - 1) >= self.d_model:
            raise ValueError(f"d_model must be above {last}, a channel's own column, got {self.d_model}")
        heads = self.spatial_heads
        if self.courses and (not heads or len(self.courses) != self.channels or max(self.courses) >= self.d_model):
            raise ValueError(f"courses must give each of {self.channels} channels a column of a spatial stream")
        if heads and self.post_norm:
            raise ValueError("post_norm must be false with a spatial stream: its LayerNorms are before its parts")
        if self.courses and self.causal:
            raise ValueError("courses must not be given where causal is true: a bin's tokens are those of its layer")
        if heads and (heads < 0 or heads & (heads - 1) or self.window % heads):
            raise ValueError(f"spatial_heads must be a power of two that divides {self.window} bins, got {heads}")

    @property
    def bins(self) -> int:
        """Of the position table, or of the whole window: max_bins where there is a last bin."""
        assert self.max_bins is not None
        return self.max_bins

    @property
    def rotary(self) -> bool:
        return self.position == "rotary"

    @property
    def steps(self) -> tuple[int, ...]:
        """Phase steps of the pairs of a head, with rotary position."""
        return geometric(self.d_model // self.heads // 2, self.window)


class Rows(nn.Module):
    """Embedder of a row per count: [..., channels] -> [..., d_model]; between two counts between their rows."""

    blocks: Tensor

    def __init__(self, config: NDTConfig) -> None:
        super().__init__()
        self.most, self.spare = config.most, config.d_model % config.lookup
        self.weight = nn.Parameter(0.1 * torch.randn(config.most + 1, config.lookup))
        blocks = torch.zeros(config.d_model // config.lookup, config.channels)
        blocks[list(config.identity), range(config.channels)] = 1.0
        self.register_buffer("blocks", blocks, persistent=False)

    def linear(self) -> tuple[Tensor, Tensor]:
        """The same as weight [d_model, channels · most], bias [d_model] of what `steps` gives."""
        rises = self.weight.diff(dim=0)  # from one count to the next: [most, lookup]
        weight = torch.einsum("bc,ke->beck", self.blocks, rises).flatten(2).flatten(0, 1)
        bias = self.weight[0].repeat(len(self.blocks))
        return nn.functional.pad(weight, (0, 0, 0, self.spare)), nn.functional.pad(bias, (0, self.spare))

    def steps(self, counts: Tensor) -> Tensor:
        """[..., channels] -> [..., channels · most]: 1 for every step that a count has climbed, 0 for the others."""
        return (counts[..., None] - torch.arange(self.most, device=counts.device)).clamp(0, 1).flatten(-2)

    def forward(self, counts: Tensor) -> Tensor:
        return nn.functional.linear(self.steps(counts), *self.linear())


class Block(nn.Module):
    """Encoder layer, pre-LN: h + o(attention(ln1 h)), then h + f2(act(f1(ln2 h))); then the spatial stream, if any.

    Post-LN: ln1(h + o(attention(h))), then ln2(h + f2(act(f1(h)))).
    """

    def __init__(self, config: NDTConfig) -> None:
        super().__init__()
        d = config.d_model
        self.heads, self.post_norm = config.heads, config.post_norm
        self.window, self.causal = config.window, config.causal
        self.ln1, self.ln2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.q, self.k, self.v, self.o = (nn.Linear(d, d) for _ in range(4))
        self.q_rot, self.k_rot = (Rotary(config.steps) if config.rotary else nn.Identity() for _ in range(2))
        self.f1, self.f2 = nn.Linear(d, config.ffn), nn.Linear(config.ffn, d)
        self.f1_act = ACTIVATIONS[config.activation]()
        self.dropout = nn.Dropout(config.dropout)
        self.spatial = (
            Spatial(
                d, config.window, config.spatial_heads, config.ffn, config.dropout, ACTIVATIONS[config.activation]()
            )
            if config.spatial_heads
            else None
        )

    def forward(self, h: Tensor, allowed: Tensor, tokens: Tensor | None = None) -> Tensor:
        """h [batch, bins, d], allowed [bins, bins] (query, key) -> [batch, bins, d].

        tokens [batch, d, bins]: of the spatial stream; by default those of h, causal up to each bin.
        """
        if self.post_norm:
            h = self.ln1(h + self.attention(h, allowed))
            return self.ln2(h + self.hidden(h))
        if self.spatial is not None and tokens is None:
            tokens = trailing(h, self.window) if self.causal else h.transpose(1, 2)
        h = h + self.attention(self.ln1(h), allowed)
        h = h + self.hidden(self.ln2(h))
        return h if self.spatial is None else self.spatial(tokens, h)

    def attention(self, y: Tensor, allowed: Tensor) -> Tensor:
        """y [batch, bins, d] -> [batch, bins, d], dropped out."""
        parts = self.q_rot(self.q(y)), self.k_rot(self.k(y)), self.v(y)
        q, k, v = (self.split(part) for part in parts)  # [batch, heads, bins, d/heads]
        a = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
        return self.dropout(self.o(a.transpose(1, 2).flatten(2)))

    def hidden(self, y: Tensor) -> Tensor:
        """The feed-forward network, dropped out."""
        return self.dropout(self.f2(self.dropout(self.f1_act(self.f1(y)))))

    def split(self, x: Tensor) -> Tensor:
        """[batch, bins, d] -> [batch, heads, bins, d/heads]; head h owns columns h·d/heads onwards."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


class NDT(nn.Module):
    """Spike counts to log-rates (log of expected counts per bin), one answer per bin, from this bin and the past.

    Not causal: from the whole window.
    """

    def __init__(self, config: NDTConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = Rows(config) if config.lookup else nn.Linear(config.channels, config.d_model)
        self.pos = None if config.rotary else nn.Parameter(0.02 * torch.randn(config.bins, config.d_model))
        if config.position == "sinusoidal":
            self.pos = nn.Parameter(sinusoids(config.bins, config.d_model), requires_grad=False)
        if config.identity and not config.lookup:
            self.embed.weight.requires_grad_(False)
            with torch.no_grad():  # √d, which follows, would drown what other columns have to say
                unit = 1 / math.sqrt(config.d_model)
                self.embed.weight.zero_()[list(config.identity), range(config.channels)] = unit
        self.course = Courses(config.courses, config.d_model, config.bins) if config.courses else None
        self.layers = nn.ModuleList([Block(config) for _ in range(config.layers)])
        self.lnf = nn.LayerNorm(config.d_model)
        self.readout = nn.Linear(config.d_model, config.outputs)
        self.dropout = nn.Dropout(config.dropout)

    def embedding(self) -> tuple[Tensor, Tensor]:
        """weight [d_model, inputs], bias [d_model] of the embedder, √d included; inputs: channels, or their steps."""
        weight, bias = self.embed.linear() if isinstance(self.embed, Rows) else (self.embed.weight, self.embed.bias)
        root = math.sqrt(self.config.d_model)
        return weight * root, bias * root

    def forward(self, counts: Tensor) -> Tensor:
        """counts [batch, bins, channels] -> log-rates [batch, bins, outputs].

        ValueError past max_bins, or for another number of bins than a whole window's.
        """
        bins = counts.shape[1]
        if not self.config.causal and bins != self.config.max_bins:
            raise ValueError(f"bins must be the whole window's {self.config.max_bins}, got {bins}")
        if self.config.max_bins is not None and bins > self.config.max_bins:
            raise ValueError(f"bins must be at most max_bins = {self.config.max_bins}, got {bins}")
        h = self.embed(counts) * math.sqrt(self.config.d_model)
        h = self.dropout(h if self.pos is None else h + self.pos[:bins])
        back = self.config.window - 1 if self.config.causal else self.config.back
        allowed = seen(bins, back, 0 if self.config.causal else self.config.ahead)
        allowed = allowed.to(counts.device)
        tokens = None if self.course is None else self.course(counts)
        for layer in self.layers:
            h, tokens = layer(h, allowed, tokens), None
        return self.readout(self.lnf(h))


def seen(bins: int, back: int, ahead: int) -> Tensor:
    """[bins, bins] bool: query i may see keys i − back..i + ahead; ALL of those before it, or behind it."""
    i = torch.arange(bins)
    before = i[:, None] - i[None, :]
    return (before <= (bins if back == ALL else back)) & (-before <= (bins if ahead == ALL else ahead))


def sinusoids(bins: int, size: int) -> Tensor:
    """[bins, size] fixed positions: sines in the first half of the columns, cosines in the second (Vaswani 2017)."""
    half = (size + 1) // 2
    angle = torch.arange(bins)[:, None] * torch.exp(torch.arange(half) * (-math.log(10_000.0) / half))
    return torch.cat([angle.sin(), angle.cos()], 1)[:, :size]
